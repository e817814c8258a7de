//! Convolutions, dense products, and the packing and reduction around them.

use crate::common::*;
use gpu_subset::kernels::conv2d::{self, Conv2d, Epilogue};
use gpu_subset::kernels::matmul;
use gpu_subset::kernels::weights::{self, Direction, WeightShape};
use gpu_subset::shape::Shape;

const BATCHES: [usize; 4] = [1, 17, 255, 257];
const CHANNELS: [usize; 4] = [1, 3, 5, 17];
const IMAGES: [(usize, usize); 4] = [(1, 1), (5, 7), (28, 28), (32, 32)];
const FILTERS: [usize; 5] = [1, 2, 3, 5, 7];
const STRIDES: [usize; 3] = [1, 2, 3];
const PADDINGS: [usize; 4] = [0, 1, 2, 3];

/// Sums of up to 10^5 products in f32, against the largest result.
const TOLERANCE: f64 = 1e-5;

fn case(levels: &[usize]) -> (usize, Conv2d) {
    let (height, width) = IMAGES[levels[3]];
    let conv = Conv2d {
        input: Shape::new(CHANNELS[levels[1]], height, width),
        channels: CHANNELS[levels[2]],
        size: FILTERS[levels[4]],
        stride: STRIDES[levels[5]],
        padding: PADDINGS[levels[6]],
    };
    (BATCHES[levels[0]], conv)
}

/// Every pair of batch, channels, image, filter, stride and padding that fits and takes the reference under 0.1 s.
fn cases() -> Vec<(usize, Conv2d)> {
    let levels =
        [BATCHES.len(), CHANNELS.len(), CHANNELS.len(), IMAGES.len(), FILTERS.len(), STRIDES.len(), PADDINGS.len()];
    let valid = |levels: &[usize]| {
        let (batch, conv) = case(levels);
        conv.output().is_some_and(|out| batch * out.len() * conv.weights().patches() <= 30_000_000)
    };
    pairwise(&levels, valid).iter().map(|levels| case(levels)).collect()
}

fn packed(
    gpu: &gpu_subset::device::Gpu,
    shape: &WeightShape,
    direction: Direction,
    theta: &[f64],
) -> gpu_subset::device::Buf {
    upload(gpu, &weights::reference::pack(shape, direction, theta))
}

#[test]
fn conv2d_forward_and_gradients_agree_with_the_reference() {
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    let mut rng = rng(1);
    for gpu in gpus() {
        for (batch, conv) in &cases {
            let (batch, what) = (*batch, format!("batch {batch}, {conv:?}, rows {}", gpu.profile.rows));
            let (shape, out) = (conv.weights(), conv.output().unwrap());
            let x = uniform(batch * conv.input.len(), &mut rng);
            let dy = uniform(batch * out.len(), &mut rng);
            let theta = uniform(shape.len(), &mut rng);
            let (x_buf, dy_buf) = (upload_blocks(&gpu, &x, conv.input.len()), upload_blocks(&gpu, &dy, out.len()));

            let w = packed(&gpu, &shape, Direction::Forward, &theta);
            let y = unwritten_blocks(&gpu, batch, out.len());
            run(&gpu, [conv2d::forward(&gpu, conv, Epilogue::Bias, &x_buf, &w, &y).unwrap()]);
            let want = conv2d::reference::forward(conv, &x, &theta);
            assert_close(&format!("forward, {what}"), &download_blocks(&gpu, &y, batch, out.len()), &want, TOLERANCE);

            // y += w x once more, without the bias: 2 (y - b) + b
            run(&gpu, [conv2d::forward(&gpu, conv, Epilogue::Accumulate, &x_buf, &w, &y).unwrap()]);
            let bias = &theta[shape.outputs * shape.patches()..];
            let twice: Vec<f64> =
                want.iter().enumerate().map(|(i, y)| 2.0 * y - bias[i / out.pixels() % out.channels]).collect();
            assert_close(
                &format!("accumulate, {what}"),
                &download_blocks(&gpu, &y, batch, out.len()),
                &twice,
                TOLERANCE,
            );

            let w = packed(&gpu, &shape, Direction::Backward, &theta);
            let dx = unwritten_blocks(&gpu, batch, conv.input.len());
            run(&gpu, [conv2d::grad_input(&gpu, conv, &dy_buf, &w, &dx).unwrap()]);
            let want = conv2d::reference::grad_input(conv, &dy, &theta);
            assert_close(
                &format!("grad_input, {what}"),
                &download_blocks(&gpu, &dx, batch, conv.input.len()),
                &want,
                TOLERANCE,
            );

            let got = grad_weight(&gpu, conv, &x_buf, &dy_buf);
            let want = conv2d::reference::grad_weight(conv, &x, &dy);
            assert_close(&format!("grad_weight, {what}"), &got, &want, TOLERANCE);
        }
    }
}

/// Weight gradient by both kernels, added to ones that are subtracted again: the reduction accumulates.
fn grad_weight(
    gpu: &gpu_subset::device::Gpu,
    conv: &Conv2d,
    x: &gpu_subset::device::Buf,
    dy: &gpu_subset::device::Buf,
) -> Vec<f64> {
    let shape = conv.weights();
    let blocks = x.len() / (conv.input.len() * gpu.profile.block);
    let partial = unwritten(gpu, shape.splits(gpu, blocks) * shape.partial_len());
    let g = upload(gpu, &vec![1.0; shape.len()]);
    run(
        gpu,
        [
            conv2d::grad_weight(gpu, conv, x, dy, &partial).unwrap(),
            weights::reduce_partials(gpu, &shape, &partial, &g).unwrap(),
        ],
    );
    download(gpu, &g).iter().map(|g| g - 1.0).collect()
}

#[test]
fn dense_products_agree_with_the_reference() {
    let mut rng = rng(2);
    for gpu in gpus() {
        for batch in BATCHES {
            for (inputs, outputs) in [(1, 1), (17, 3), (3, 17), (257, 10), (40, 255)] {
                let what = format!("batch {batch}, {inputs} to {outputs}, rows {}", gpu.profile.rows);
                let shape = WeightShape { outputs, inputs, taps: 1 };
                let x = uniform(batch * inputs, &mut rng);
                let dy = uniform(batch * outputs, &mut rng);
                let theta = uniform(shape.len(), &mut rng);
                let (x_buf, dy_buf) = (upload_blocks(&gpu, &x, inputs), upload_blocks(&gpu, &dy, outputs));

                let w = packed(&gpu, &shape, Direction::Forward, &theta);
                let y = unwritten_blocks(&gpu, batch, outputs);
                run(&gpu, [matmul::forward(&gpu, &shape, Epilogue::Bias, &x_buf, &w, &y).unwrap()]);
                let want = matmul::reference::forward(&shape, &x, &theta);
                assert_close(&format!("forward, {what}"), &download_blocks(&gpu, &y, batch, outputs), &want, TOLERANCE);

                run(&gpu, [matmul::forward(&gpu, &shape, Epilogue::Accumulate, &x_buf, &w, &y).unwrap()]);
                let bias = &theta[outputs * inputs..];
                let twice: Vec<f64> = want.iter().enumerate().map(|(i, y)| 2.0 * y - bias[i % outputs]).collect();
                assert_close(
                    &format!("accumulate, {what}"),
                    &download_blocks(&gpu, &y, batch, outputs),
                    &twice,
                    TOLERANCE,
                );

                let w = packed(&gpu, &shape, Direction::Backward, &theta);
                let dx = unwritten_blocks(&gpu, batch, inputs);
                run(&gpu, [matmul::grad_input(&gpu, &shape, &dy_buf, &w, &dx).unwrap()]);
                let want = matmul::reference::grad_input(&shape, &dy, &theta);
                assert_close(
                    &format!("grad_input, {what}"),
                    &download_blocks(&gpu, &dx, batch, inputs),
                    &want,
                    TOLERANCE,
                );

                let conv = Conv2d::dense(inputs, outputs);
                let want = conv2d::reference::grad_weight(&conv, &x, &dy);
                assert_close(
                    &format!("grad_weight, {what}"),
                    &grad_weight(&gpu, &conv, &x_buf, &dy_buf),
                    &want,
                    TOLERANCE,
                );
            }
        }
    }
}

#[test]
fn packing_is_exact_and_pads_with_zeros() {
    let mut rng = rng(3);
    for gpu in gpus() {
        for shape in [(1, 1, 1), (8, 8, 9), (17, 3, 25), (5, 17, 4), (255, 3, 1)] {
            let shape = WeightShape { outputs: shape.0, inputs: shape.1, taps: shape.2 };
            let theta = uniform(shape.len(), &mut rng);
            for direction in [Direction::Forward, Direction::Backward] {
                let out = unwritten(&gpu, shape.packed_len(direction));
                run(&gpu, [weights::pack(&gpu, &shape, direction, &upload(&gpu, &theta), &out).unwrap()]);
                assert_eq!(
                    download(&gpu, &out),
                    weights::reference::pack(&shape, direction, &theta),
                    "{shape:?} {direction:?}"
                );
            }
        }
    }
}

#[test]
fn reduction_of_partial_sums_agrees_with_the_reference() {
    let mut rng = rng(4);
    for gpu in gpus() {
        for (outputs, inputs, taps, splits) in [(1, 1, 1, 1), (8, 7, 1, 3), (17, 3, 25, 5), (5, 8, 9, 17)] {
            let shape = WeightShape { outputs, inputs, taps };
            let partial = uniform(splits * shape.partial_len(), &mut rng);
            let g = upload(&gpu, &vec![0.0; shape.len()]);
            run(&gpu, [weights::reduce_partials(&gpu, &shape, &upload(&gpu, &partial), &g).unwrap()]);
            let want = weights::reference::reduce_partials(&shape, &partial);
            assert_close(&format!("{shape:?}"), &download(&gpu, &g), &want, 1e-6);
        }
    }
}
