//! Convolutions, dense products, and the packing and reduction around them.

use crate::common::*;
use gpu_subset::device::{Buf, Gpu, Profile, Quads};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::from_blocks;
use gpu_subset::kernels::matmul::Dense;
use gpu_subset::kernels::product::{Product, reference};
use gpu_subset::kernels::weights::{self, Base, Direction, PackedWeights, Packing, Partials, WeightShape};
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
        groups: 1,
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
        plus: None,
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
fn convolutions_agree_with_the_reference() {
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    let mut rng = rng(1);
    let mut faults = Vec::new();
    for gpu in gpus_with(|profile| profile) {
        for (batch, conv) in &cases {
            faults.extend(product_faults(&gpu, conv, *batch, &mut rng));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A convolution in groups: (CI, CO), size, stride, padding, groups.
const fn grouped([inputs, channels]: [usize; 2], [size, stride, padding]: [usize; 3], groups: usize) -> Conv2d {
    Conv2d { input: Shape::new(inputs, 9, 7), channels, size, stride, padding, groups }
}

/// Depthwise, with several outputs a channel, and groups of few and of many channels.
const GROUPED: [Conv2d; 7] = [
    grouped([17, 17], [3, 1, 1], 17),
    grouped([5, 15], [3, 2, 1], 5),
    grouped([6, 6], [9, 1, 4], 6),
    grouped([6, 4], [5, 3, 2], 2),
    grouped([34, 34], [1, 1, 0], 2),
    grouped([4, 40], [7, 2, 3], 2),
    grouped([18, 9], [2, 1, 0], 9),
];

#[test]
fn convolutions_in_groups_agree_with_the_reference() {
    let mut rng = rng(26);
    let mut faults = Vec::new();
    for gpu in gpus_with(|profile| profile) {
        for batch in BATCHES {
            GROUPED.iter().for_each(|conv| faults.extend(product_faults(&gpu, conv, batch, &mut rng)));
        }
    }
    for gpu in gpus_with(|profile| Profile { workgroups: 4, ..profile }) {
        GROUPED.iter().for_each(|conv| faults.extend(product_faults(&gpu, conv, 257, &mut rng)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn dense_layers_agree_with_the_reference() {
    let mut rng = rng(2);
    let mut faults = Vec::new();
    for gpu in gpus_with(|profile| profile) {
        for batch in BATCHES {
            for (inputs, outputs) in [(1, 1), (17, 3), (3, 17), (257, 10), (40, 255)] {
                faults.extend(product_faults(&gpu, &Dense { inputs, outputs }, batch, &mut rng));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn products_that_are_enough_for_a_device_agree_with_the_reference() {
    // of the usual profiles, only thousands of examples are, and batches are split and sums shared out before
    let mut rng = rng(12);
    let mut faults = Vec::new();
    for gpu in gpus_with(|profile| Profile { workgroups: 4, ..profile }) {
        for batch in BATCHES {
            for (inputs, outputs) in [(1, 1), (17, 3), (257, 10)] {
                faults.extend(product_faults(&gpu, &Dense { inputs, outputs }, batch, &mut rng));
            }
            for (channels, size, stride) in [(3, 3, 2), (1, 5, 1)] {
                let conv = Conv2d { input: Shape::new(5, 9, 7), channels, size, stride, padding: 1, groups: 1 };
                faults.extend(product_faults(&gpu, &conv, batch, &mut rng));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A product forward, its jvp with and without a tangent of x, and both gradients, against their references.
fn product_faults(gpu: &Gpu, product: &dyn Product, batch: usize, rng: &mut ChaCha8Rng) -> Vec<String> {
    let mut faults = Vec::new();
    let mut compare = |what: &str, got: Vec<f64>, want: Vec<f64>| {
        let what = format!("{what}, batch {batch}, {product:?}, {:?}", gpu.profile);
        faults.extend(distance_fault(&what, &got, &want, TOLERANCE));
    };
    let ([inputs, outputs], shape) = (product.shapes().map(|shape| shape.len()), product.weights());
    let [x, tx] = [0; 2].map(|_| uniform(batch * inputs, rng));
    let dy = uniform(batch * outputs, rng);
    let [theta, v] = [0; 2].map(|_| uniform(shape.len(), rng));
    let [on_x, on_tx] = [&x, &tx].map(|x| upload_blocks(gpu, x, inputs));
    let on_dy = upload_blocks(gpu, &dy, outputs);
    let [w, tw] = [&theta, &v].map(|theta| packed(gpu, &product.packing(gpu, Direction::Forward), theta));

    let y = unwritten_blocks(gpu, batch, outputs);
    run(gpu, [product.forward(gpu, (&on_x, &w), &y, &Epilogue::default()).unwrap()]);
    compare("forward", download_blocks(gpu, &y, batch, outputs), reference::forward(product, &x, &theta));

    let along_v = reference::forward(product, &x, &v);
    let along_both = reference::jvp(product, [&x, &tx], [&theta, &v]);
    for (tx, want) in [(None, along_v), (Some((&on_tx, &w)), along_both)] {
        let ty = unwritten_blocks(gpu, batch, outputs);
        run(gpu, [product.jvp(gpu, (&on_x, &tw), tx, &ty, None).unwrap()]);
        compare("jvp", download_blocks(gpu, &ty, batch, outputs), want);
    }

    let w = packed(gpu, &product.packing(gpu, Direction::Backward), &theta);
    let dx = unwritten_blocks(gpu, batch, inputs);
    run(gpu, [product.grad_input(gpu, (&on_dy, &w), &dx, None).unwrap()]);
    compare("grad_input", download_blocks(gpu, &dx, batch, inputs), reference::grad_input(product, &dy, &theta));

    let splits = product.splits(gpu, batch.div_ceil(gpu.profile.block));
    let partial = unwritten(gpu, splits * shape.partial_len());
    let grad_weight = product.grad_weight(gpu, &on_x, &on_dy, &partial).unwrap();
    compare("grad_weight", reduced(gpu, grad_weight, &shape, &partial), reference::grad_weight(product, &x, &dy));
    faults
}

/// The sum of a weight gradient's splits, added to ones that are subtracted again: the reduction accumulates.
fn reduced(gpu: &Gpu, grad_weight: Dispatch, shape: &WeightShape, partial: &Buf) -> Vec<f64> {
    let g = upload(gpu, &vec![1.0; shape.len()]);
    let reduce = weights::reduce_partials(gpu, &[Partials::alone(*shape, partial)], partial, Base::Gradient, &g);
    run(gpu, [grad_weight, reduce.unwrap()]);
    download(gpu, &g).iter().map(|g| g - 1.0).collect()
}

/// The references of a dense layer and of the convolution of one pixel that it is, each with terms of its own.
#[test]
fn a_dense_layer_is_the_convolution_of_its_patches() {
    let (mut rng, batch) = (rng(5), 3);
    let patches = DENSE.patches().unwrap();
    assert_eq!((DENSE.shapes(), DENSE.weights()), (patches.shapes(), patches.weights()));
    let [x, tx] = [0; 2].map(|_| uniform(batch * DENSE.inputs, &mut rng));
    let dy = uniform(batch * DENSE.outputs, &mut rng);
    let [theta, v] = [0; 2].map(|_| uniform(patches.weights().len(), &mut rng));
    let both: [&dyn Product; 2] = [&DENSE, &patches];
    let [dense, conv] = both.map(|product| {
        [
            reference::jvp(product, [&x, &tx], [&theta, &v]),
            reference::grad_input(product, &dy, &theta),
            reference::grad_weight(product, &x, &dy),
        ]
    });
    assert_eq!(dense, conv);
}

/// One of each, whose every side leaves a remainder.
const STRIDED: Conv2d = Conv2d { input: Shape::new(3, 7, 9), channels: 5, size: 3, stride: 2, padding: 1, groups: 1 };
const DENSE: Dense = Dense { inputs: 30, outputs: 21 };
const PRODUCTS: [&dyn Product; 2] = [&STRIDED, &DENSE];

#[test]
fn the_ends_of_products_agree_with_the_reference() {
    let mut rng = rng(13);
    for gpu in gpus() {
        for product in PRODUCTS {
            let batch = 2 * gpu.profile.block; // whole blocks, whose padding no mask or mark can meet
            let [inputs, outputs] = product.shapes().map(|shape| shape.len());
            let (x, theta) = (uniform(batch * inputs, &mut rng), uniform(product.weights().len(), &mut rng));
            let z = reference::forward(product, &x, &theta);
            let w = packed(&gpu, &product.packing(&gpu, Direction::Forward), &theta);
            let x = upload_blocks(&gpu, &x, inputs);
            let forward = |y: &Quads, end: &Epilogue| product.forward(&gpu, (&x, &w), y, end).unwrap();
            check_ends(&gpu, batch, outputs, &z, &mut rng, forward);
        }
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
    for gpu in gpus() {
        let batch = 3 * gpu.profile.block;
        for (bad, expected) in [(1.0, 0), (f64::NAN, 1), (f64::INFINITY, 1), (f64::NEG_INFINITY, 1)] {
            for product in PRODUCTS {
                let found = gpu.upload("found", &[0u32]).unwrap();
                let epilogue =
                    Epilogue { activation: Some(Activation::Relu), found: Some(found.clone()), ..Epilogue::default() };
                let [inputs, outputs] = product.shapes().map(|shape| shape.len());
                let mut x = vec![0.5; batch * inputs];
                x[2 * gpu.profile.block * inputs + 7] = bad;
                let theta = vec![0.25; product.weights().len()];
                let w = packed(&gpu, &product.packing(&gpu, Direction::Forward), &theta);
                let (x, y) = (upload_blocks(&gpu, &x, inputs), unwritten_blocks(&gpu, batch, outputs));
                run(&gpu, [product.forward(&gpu, (&x, &w), &y, &epilogue).unwrap()]);
                assert_eq!(gpu.read::<u32>(&found).unwrap(), [expected], "{bad} into {product:?}");
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
        groups: 1,
    };
    let convs =
        [conv(1, 1, 1, 1, 0), conv(8, 8, 3, 1, 1), conv(3, 17, 5, 2, 0), conv(5, 3, 9, 2, 4), conv(3, 9, 2, 3, 1)];
    let dense = [(1, 1), (3, 17), (30, 255)].map(|(inputs, outputs)| Dense { inputs, outputs });
    let of_convs = convs.iter().chain(&GROUPED).map(|conv| conv as &dyn Product);
    let products: Vec<&dyn Product> = of_convs.chain(dense.iter().map(|dense| dense as _)).collect();
    let mut faults = Vec::new();
    for gpu in gpus() {
        for direction in [Direction::Forward, Direction::Backward] {
            for product in &products {
                let packing = product.packing(&gpu, direction);
                let theta = uniform(product.weights().len(), &mut rng);
                let out = unwritten_quads(&gpu, packing.len());
                let sources = gpu.upload("test.sources", &packing.sources(0)).unwrap();
                run(&gpu, [weights::pack(&gpu, &sources, &upload(&gpu, &theta), &out).unwrap()]);
                if download_quads(&gpu, &out) != weights::reference::pack(&packing, &theta) {
                    faults.push(format!("{product:?}, {direction:?}, {:?}: {packing:?}", gpu.profile));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn layers_are_packed_together_and_found_again() {
    let mut rng = rng(5);
    let dense = [(3, 17), (1, 1), (30, 255)].map(|(inputs, outputs)| Dense { inputs, outputs });
    for gpu in gpus() {
        let packings = dense.map(|dense| dense.packing(&gpu, Direction::Forward));
        let starts = [64, 0, 192];
        let theta = uniform(192 + dense[2].weights().len(), &mut rng);
        let all = PackedWeights::new(&gpu, &[0, 1, 2].map(|i| (starts[i], packings[i]))).unwrap();
        for together in [&all, &all.another(&gpu).unwrap()] {
            run(&gpu, together.pack(&gpu, &upload(&gpu, &theta)).unwrap());
            for (i, packing) in packings.iter().enumerate() {
                let want = weights::reference::pack(packing, &theta[starts[i]..]);
                assert_eq!(download_quads(&gpu, &together.of(i)), want, "{:?}, {packing:?}", gpu.profile);
            }
        }
    }
}

#[test]
fn reduction_of_partial_sums_agrees_with_the_reference() {
    let mut rng = rng(4);
    let layers = [(1, 1, 1, 1), (8, 7, 1, 3), (17, 3, 25, 5), (5, 8, 9, 17)];
    let (mut start, mut first) = (0, 0);
    let partials = layers.map(|(outputs, inputs, taps, splits)| {
        let shape = WeightShape { outputs, inputs, taps };
        let of_layer = Partials { shape, start, first, splits };
        start += shape.len() + 3;
        first += splits * shape.partial_len() + 5;
        of_layer
    });
    for gpu in gpus() {
        let [room, theta, before] = [first, start, start].map(|len| uniform(len, &mut rng));
        let [on_room, on_theta] = [&room, &theta].map(|words| upload(&gpu, words));
        let lambda = gpu.upload("test.lambda", &[0.25f32]).unwrap();
        for (base, of_base) in [(Base::Gradient, &before), (Base::Decay(&lambda, &on_theta), &theta)] {
            let g = upload(&gpu, &before);
            run(&gpu, [weights::reduce_partials(&gpu, &partials, &on_room, base, &g).unwrap()]);
            let scale = if matches!(base, Base::Gradient) { 1.0 } else { 0.25 };
            let mut want = before.clone();
            for Partials { shape, start, first, splits } in partials {
                let sums = &room[first..first + splits * shape.partial_len()];
                for (i, sum) in weights::reference::reduce_partials(&shape, sums).into_iter().enumerate() {
                    want[start + i] = scale * of_base[start + i] + sum;
                }
            }
            assert_close(&format!("{base:?}"), &download(&gpu, &g), &want, 1e-6);
        }
    }
}
