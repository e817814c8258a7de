//! Convolutions, dense products, and the packing and reduction around them.

use crate::common::*;
use gpu_subset::device::{Buf, Gpu, Quads};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::conv2d::{self, Conv2d};
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::weights::{self, Direction, Packing, WeightShape};
use gpu_subset::kernels::{from_blocks, matmul};
use gpu_subset::program::Dispatch;
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;

const BATCHES: [usize; 4] = [1, 17, 255, 257];
const CHANNELS: [usize; 4] = [1, 3, 5, 17];
const IMAGES: [(usize, usize); 4] = [(1, 1), (5, 7), (28, 28), (32, 32)];
const FILTERS: [usize; 6] = [1, 2, 3, 5, 7, 9];
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

/// θ as a product reads it.
fn packed(gpu: &Gpu, packing: &Packing, theta: &[f64]) -> Quads {
    upload_quads(gpu, &weights::reference::pack(packing, theta))
}

/// Every end that a product can have, with the value it must give to `z` and what else it must leave behind.
fn epilogues(gpu: &Gpu, len: usize, rng: &mut ChaCha8Rng) -> Vec<(Epilogue, Vec<f64>)> {
    let values = uniform(len, rng);
    let mask = |is_relu| Some(Mask { values: upload_quads(gpu, &values), is_relu });
    let activations = Activation::ALL.into_iter().map(|f| Epilogue {
        activation: Some(f),
        derivative: Some(unwritten_quads(gpu, len)),
        found: Some(gpu.upload("found", &[0u32]).unwrap()),
        mask: None,
    });
    let masks = [true, false].into_iter().map(|is_relu| Epilogue { mask: mask(is_relu), ..Epilogue::default() });
    activations.chain(masks).map(|epilogue| (epilogue, values.clone())).collect()
}

/// What a product's end makes of z.
fn finished(epilogue: &Epilogue, mask: &[f64], z: &[f64]) -> Vec<f64> {
    let of = |(z, m): (&f64, &f64)| match (&epilogue.mask, epilogue.activation) {
        (Some(mask), _) if mask.is_relu => {
            if *m > 0.0 {
                *z
            } else {
                0.0
            }
        }
        (Some(_), _) => z * m,
        (None, Some(f)) => activation::reference::forward(f, *z),
        (None, None) => *z,
    };
    z.iter().zip(mask).map(of).collect()
}

#[test]
fn conv2d_forward_jvp_and_gradients_agree_with_the_reference() {
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    let mut rng = rng(1);
    for gpu in gpus() {
        for (batch, conv) in &cases {
            let (batch, what) = (*batch, format!("batch {batch}, {conv:?}, {:?}", gpu.profile));
            let (shape, out) = (conv.weights(), conv.output().unwrap());
            let (x, tx) = (uniform(batch * conv.input.len(), &mut rng), uniform(batch * conv.input.len(), &mut rng));
            let dy = uniform(batch * out.len(), &mut rng);
            let (theta, v) = (uniform(shape.len(), &mut rng), uniform(shape.len(), &mut rng));
            let (x_buf, dy_buf) = (upload_blocks(&gpu, &x, conv.input.len()), upload_blocks(&gpu, &dy, out.len()));

            let packing = conv.packing(&gpu, Direction::Forward);
            let w = packed(&gpu, &packing, &theta);
            let y = unwritten_blocks(&gpu, batch, out.len());
            run(&gpu, [conv2d::forward(&gpu, conv, &x_buf, &w, &y, &Epilogue::default()).unwrap()]);
            let want = conv2d::reference::forward(conv, &x, &theta);
            assert_close(&format!("forward, {what}"), &download_blocks(&gpu, &y, batch, out.len()), &want, TOLERANCE);

            let tv = packed(&gpu, &packing, &v);
            let tx_buf = upload_blocks(&gpu, &tx, conv.input.len());
            let mut without_biases = theta.clone();
            without_biases[shape.outputs * shape.patches()..].fill(0.0);
            let along_w = conv2d::reference::forward(conv, &x, &v);
            let along_x = conv2d::reference::forward(conv, &tx, &without_biases);
            let both: Vec<f64> = along_x.iter().zip(&along_w).map(|(a, b)| a + b).collect();
            for (tx, want) in [(None, along_w), (Some((&tx_buf, &w)), both)] {
                let ty = unwritten_blocks(&gpu, batch, out.len());
                run(&gpu, [conv2d::jvp(&gpu, conv, (&x_buf, &tv), tx, &ty, None).unwrap()]);
                assert_close(&format!("jvp, {what}"), &download_blocks(&gpu, &ty, batch, out.len()), &want, TOLERANCE);
            }

            let w = packed(&gpu, &conv.packing(&gpu, Direction::Backward), &theta);
            let dx = unwritten_blocks(&gpu, batch, conv.input.len());
            run(&gpu, [conv2d::grad_input(&gpu, conv, &dy_buf, &w, &dx, None).unwrap()]);
            let want = conv2d::reference::grad_input(conv, &dy, &theta);
            let got = download_blocks(&gpu, &dx, batch, conv.input.len());
            assert_close(&format!("grad_input, {what}"), &got, &want, TOLERANCE);

            let partial = unwritten(&gpu, conv.splits(&gpu, batch.div_ceil(gpu.profile.block)) * shape.partial_len());
            let grad_weight = conv2d::grad_weight(&gpu, conv, &x_buf, &dy_buf, &partial).unwrap();
            let got = reduced(&gpu, grad_weight, &shape, &partial);
            let want = conv2d::reference::grad_weight(conv, &x, &dy);
            assert_close(&format!("grad_weight, {what}"), &got, &want, TOLERANCE);
        }
    }
}

/// The sum of a weight gradient's splits, added to ones that are subtracted again: the reduction accumulates.
fn reduced(gpu: &Gpu, grad_weight: Dispatch, shape: &WeightShape, partial: &Buf) -> Vec<f64> {
    let g = upload(gpu, &vec![1.0; shape.len()]);
    run(gpu, [grad_weight, weights::reduce_partials(gpu, shape, partial, &g).unwrap()]);
    download(gpu, &g).iter().map(|g| g - 1.0).collect()
}

#[test]
fn the_ends_of_products_agree_with_the_reference() {
    let mut rng = rng(13);
    let conv = Conv2d { input: Shape::new(3, 7, 9), channels: 5, size: 3, stride: 2, padding: 1 };
    let dense = WeightShape { outputs: 21, inputs: 30, taps: 1 };
    for gpu in gpus() {
        let batch = 2 * gpu.profile.block; // whole blocks, whose padding no mask or mark can meet
        let out = conv.output().unwrap().len();
        let (x, theta) = (uniform(batch * conv.input.len(), &mut rng), uniform(conv.weights().len(), &mut rng));
        let z = conv2d::reference::forward(&conv, &x, &theta);
        let w = packed(&gpu, &conv.packing(&gpu, Direction::Forward), &theta);
        let x = upload_blocks(&gpu, &x, conv.input.len());
        let forward = |y: &Quads, epilogue: &Epilogue| conv2d::forward(&gpu, &conv, &x, &w, y, epilogue).unwrap();
        check_ends(&gpu, batch, out, &z, &mut rng, forward);

        let (x, theta) = (uniform(batch * dense.inputs, &mut rng), uniform(dense.len(), &mut rng));
        let z = matmul::reference::forward(&dense, &x, &theta);
        let w = packed(&gpu, &matmul::packing(&gpu, &dense, Direction::Forward), &theta);
        let x = upload_blocks(&gpu, &x, dense.inputs);
        let forward = |y: &Quads, end: &Epilogue| matmul::forward(&gpu, &dense, &x, &w, y, end).unwrap();
        check_ends(&gpu, batch, dense.outputs, &z, &mut rng, forward);
    }
}

fn check_ends(
    gpu: &Gpu,
    batch: usize,
    features: usize,
    z: &[f64],
    rng: &mut ChaCha8Rng,
    forward: impl Fn(&Quads, &Epilogue) -> Dispatch,
) {
    for (epilogue, mask) in epilogues(gpu, batch * features, rng) {
        let what = format!("{:?}, mask {:?}, {:?}", epilogue.activation, epilogue.mask.is_some(), gpu.profile);
        let y = unwritten_blocks(gpu, batch, features);
        run(gpu, [forward(&y, &epilogue)]);
        let mask = from_blocks(&mask, features, gpu.profile.block, batch);
        let got = download_blocks(gpu, &y, batch, features);
        assert_close(&what, &got, &finished(&epilogue, &mask, z), 2e-6);
        if let (Some(f), Some(derivative)) = (epilogue.activation, &epilogue.derivative) {
            let want = activation::reference::product(f, z, &vec![1.0; z.len()]);
            let got = download_blocks(gpu, derivative, batch, features);
            if f == Activation::Relu {
                assert_eq!(got, want, "derivative, {what}");
            } else {
                assert_close(&format!("derivative, {what}"), &got, &want, 4e-6);
            }
        }
        if let Some(found) = &epilogue.found {
            assert_eq!(gpu.read::<u32>(found).unwrap(), [0], "{what}");
        }
    }
}

#[test]
fn a_product_marks_any_value_that_is_not_finite() {
    let shape = WeightShape { outputs: 21, inputs: 30, taps: 1 };
    let conv = Conv2d { input: Shape::new(3, 7, 9), channels: 5, size: 3, stride: 2, padding: 1 };
    for gpu in gpus() {
        let block = gpu.profile.block;
        for (bad, expected) in [(1.0, 0), (f64::NAN, 1), (f64::INFINITY, 1), (f64::NEG_INFINITY, 1)] {
            let found = gpu.upload("found", &[0u32]).unwrap();
            let epilogue =
                Epilogue { activation: Some(Activation::Relu), found: Some(found.clone()), ..Epilogue::default() };
            let mut x = vec![0.5; 3 * block * shape.inputs];
            x[2 * block * shape.inputs + 7] = bad;
            let w = packed(&gpu, &matmul::packing(&gpu, &shape, Direction::Forward), &vec![0.25; shape.len()]);
            let y = unwritten_blocks(&gpu, 3 * block, shape.outputs);
            let x = upload_blocks(&gpu, &x, shape.inputs);
            run(&gpu, [matmul::forward(&gpu, &shape, &x, &w, &y, &epilogue).unwrap()]);
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [expected], "{bad} into a dense layer");

            gpu.write(&found, &[0u32]);
            let mut x = vec![0.5; 3 * block * conv.input.len()];
            x[2 * block * conv.input.len() + 7] = bad;
            let w = packed(&gpu, &conv.packing(&gpu, Direction::Forward), &vec![0.25; conv.weights().len()]);
            let y = unwritten_blocks(&gpu, 3 * block, conv.output().unwrap().len());
            let x = upload_blocks(&gpu, &x, conv.input.len());
            run(&gpu, [conv2d::forward(&gpu, &conv, &x, &w, &y, &epilogue).unwrap()]);
            assert_eq!(gpu.read::<u32>(&found).unwrap(), [expected], "{bad} into a convolution");
        }
    }
}

#[test]
fn dense_products_agree_with_the_reference() {
    let mut rng = rng(2);
    for gpu in gpus() {
        for batch in BATCHES {
            for (inputs, outputs) in [(1, 1), (17, 3), (3, 17), (257, 10), (40, 255)] {
                let what = format!("batch {batch}, {inputs} to {outputs}, {:?}", gpu.profile);
                let shape = WeightShape { outputs, inputs, taps: 1 };
                let (x, tx) = (uniform(batch * inputs, &mut rng), uniform(batch * inputs, &mut rng));
                let dy = uniform(batch * outputs, &mut rng);
                let (theta, v) = (uniform(shape.len(), &mut rng), uniform(shape.len(), &mut rng));
                let (x_buf, dy_buf) = (upload_blocks(&gpu, &x, inputs), upload_blocks(&gpu, &dy, outputs));

                let packing = matmul::packing(&gpu, &shape, Direction::Forward);
                let w = packed(&gpu, &packing, &theta);
                let y = unwritten_blocks(&gpu, batch, outputs);
                run(&gpu, [matmul::forward(&gpu, &shape, &x_buf, &w, &y, &Epilogue::default()).unwrap()]);
                let want = matmul::reference::forward(&shape, &x, &theta);
                assert_close(&format!("forward, {what}"), &download_blocks(&gpu, &y, batch, outputs), &want, TOLERANCE);

                let tv = packed(&gpu, &packing, &v);
                let tx_buf = upload_blocks(&gpu, &tx, inputs);
                let mut without_biases = theta.clone();
                without_biases[outputs * inputs..].fill(0.0);
                let along_w = matmul::reference::forward(&shape, &x, &v);
                let along_x = matmul::reference::forward(&shape, &tx, &without_biases);
                let both: Vec<f64> = along_x.iter().zip(&along_w).map(|(a, b)| a + b).collect();
                for (tx, want) in [(None, along_w), (Some((&tx_buf, &w)), both)] {
                    let ty = unwritten_blocks(&gpu, batch, outputs);
                    run(&gpu, [matmul::jvp(&gpu, &shape, (&x_buf, &tv), tx, &ty, None).unwrap()]);
                    assert_close(
                        &format!("jvp, {what}"),
                        &download_blocks(&gpu, &ty, batch, outputs),
                        &want,
                        TOLERANCE,
                    );
                }

                let w = packed(&gpu, &matmul::packing(&gpu, &shape, Direction::Backward), &theta);
                let dx = unwritten_blocks(&gpu, batch, inputs);
                run(&gpu, [matmul::grad_input(&gpu, &shape, &dy_buf, &w, &dx, None).unwrap()]);
                let want = matmul::reference::grad_input(&shape, &dy, &theta);
                let got = download_blocks(&gpu, &dx, batch, inputs);
                assert_close(&format!("grad_input, {what}"), &got, &want, TOLERANCE);

                let splits = matmul::splits(&gpu, &shape, batch.div_ceil(gpu.profile.block));
                let partial = unwritten(&gpu, splits * shape.partial_len());
                let grad_weight = matmul::grad_weight(&gpu, &shape, &x_buf, &dy_buf, &partial).unwrap();
                let want = matmul::reference::grad_weight(&shape, &x, &dy);
                let got = reduced(&gpu, grad_weight, &shape, &partial);
                assert_close(&format!("grad_weight, {what}"), &got, &want, TOLERANCE);
            }
        }
    }
}

#[test]
fn packing_is_exact_and_pads_with_zeros() {
    let mut rng = rng(3);
    let conv = |channels, outputs, size, stride, padding| Conv2d {
        input: Shape::new(channels, 12, 11),
        channels: outputs,
        size,
        stride,
        padding,
    };
    let convs =
        [conv(1, 1, 1, 1, 0), conv(8, 8, 3, 1, 1), conv(3, 17, 5, 2, 0), conv(5, 3, 9, 2, 4), conv(3, 9, 2, 3, 1)];
    for gpu in gpus() {
        for direction in [Direction::Forward, Direction::Backward] {
            let of_convs = convs.iter().map(|conv| (conv.packing(&gpu, direction), conv.weights()));
            let of_dense = [(1, 1), (17, 3), (255, 30)].map(|(outputs, inputs)| {
                let shape = WeightShape { outputs, inputs, taps: 1 };
                (matmul::packing(&gpu, &shape, direction), shape)
            });
            for (packing, shape) in of_convs.chain(of_dense) {
                let theta = uniform(shape.len(), &mut rng);
                let out = unwritten_quads(&gpu, packing.len());
                run(&gpu, [weights::pack(&gpu, &packing, &upload(&gpu, &theta), &out).unwrap()]);
                let want = weights::reference::pack(&packing, &theta);
                assert_eq!(download_quads(&gpu, &out), want, "{packing:?}");
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
