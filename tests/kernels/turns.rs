//! Loops of more turns than Mesa's software drivers make (65,535 of an invocation, those of inner loops included): each
//! kernel that strides, on a device whose profile has one workgroup do all of it, against the same kernel on many.

use crate::common::*;
use gpu_subset::device::{AdapterChoice, Buf, Gpu, Profile, Quads};
use gpu_subset::error::{Error, MemoryError};
use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::batch_norm::{self, BatchNorm, NormPart, Statistics};
use gpu_subset::kernels::blocks::{Blocks, Part};
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::epilogue::Epilogue;
use gpu_subset::kernels::kronecker::{self, Factor};
use gpu_subset::kernels::matmul::Dense;
use gpu_subset::kernels::muon::MuonRoom;
use gpu_subset::kernels::patches::PatchSample;
use gpu_subset::kernels::pool::{self, Pool};
use gpu_subset::kernels::product::{Product, reference};
use gpu_subset::kernels::softmax_xent::{self, Targets};
use gpu_subset::kernels::weights::{self, Base, Direction, Partials, WeightShape};
use gpu_subset::kernels::{copy_quads, finite, update, vector};
use gpu_subset::shape::Shape;
use gpu_subset::update::Matrix;

/// Items that 64 invocations do not get through in so many turns each.
const LONG: usize = 64 * 65_536 + 17;

/// The adapter with lavapipe's profile, if it can run that, but so many workgroups.
pub fn device(workgroups: usize) -> Option<TestGpu> {
    gpu()?;
    let adapter = AdapterChoice::default().select().ok()?;
    let profile = Profile { workgroups, ..Profile::SOFTWARE };
    let runs = profile.unmet(&adapter).is_none();
    runs.then(|| TestGpu(Gpu::open_adapter(&adapter, profile).unwrap()))
}

/// Whether a kernel leaves the same numbers, all of them, in one workgroup and in many.
pub fn agree(what: &str, outputs: impl Fn(&Gpu) -> Vec<f32>) {
    let [Some(one), Some(many)] = [1, 1 << 12].map(device) else { return };
    let (got, want) = (outputs(&one), outputs(&many));
    assert!(want.iter().all(|x| x.is_finite()), "{what}: not finite in many workgroups");
    let differs = got.iter().zip(&want).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(differs, None, "{what}: of {}", want.len());
}

/// Numbers between 1/2 and 3/2 that repeat after a thousand or so.
fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| 0.5 + (i % 1021) as f32 / 1021.0).collect()
}

pub fn buf(gpu: &Gpu, len: usize) -> Buf {
    gpu.upload("test.input", &values(len)).unwrap()
}

pub fn quads(gpu: &Gpu, len: usize) -> Quads {
    gpu.upload_quads("test.input", &values(len), false).unwrap()
}

fn read(gpu: &Gpu, of: &Buf) -> Vec<f32> {
    gpu.read(of).unwrap()
}

fn read_quads(gpu: &Gpu, of: &Quads) -> Vec<f32> {
    gpu.read_quads(of).unwrap()
}

#[test]
fn vectors_are_gone_through_to_the_end() {
    let len = 4 * LONG;
    agree("axpby", |gpu| {
        let (coefficients, y) = (gpu.upload("test", &[2.0f32, 0.5]).unwrap(), buf(gpu, len));
        run(gpu, [vector::axpby(gpu, &coefficients, &buf(gpu, len), &y).unwrap()]);
        read(gpu, &y)
    });
    agree("sgd", |gpu| {
        let (coefficients, x) = (buf(gpu, 4), buf(gpu, len));
        run(gpu, [update::momentum(gpu, &coefficients, &buf(gpu, len), &buf(gpu, len), &x).unwrap()]);
        read(gpu, &x)
    });
    agree("adam", |gpu| {
        let (coefficients, x, v) = (buf(gpu, 8), buf(gpu, len), buf(gpu, len));
        run(gpu, [update::adam(gpu, &coefficients, &buf(gpu, len), [&buf(gpu, len), &v], &x).unwrap()]);
        read(gpu, &x)
    });
    agree("natural", |gpu| {
        let (coefficients, slope, slopes, x) = (buf(gpu, 8), buf(gpu, 1), buf(gpu, 16), buf(gpu, len));
        run(
            gpu,
            [update::natural(gpu, &coefficients, [&slope, &slopes], &buf(gpu, len), [&buf(gpu, len), &x]).unwrap()],
        );
        read(gpu, &x)
    });
    agree("quads_copy", |gpu| {
        let out = unwritten(gpu, len);
        run(gpu, [copy_quads(gpu, &quads(gpu, len), &out).unwrap()]);
        read(gpu, &out)
    });
    let Some(one) = device(1) else { return };
    let mut x = values(len);
    x[len - 1] = f32::NAN;
    let found = one.upload("found", &[0u32]).unwrap();
    run(&one, [finite::check(&one, &one.upload("x", &x).unwrap(), &found).unwrap()]);
    assert_eq!(one.read::<u32>(&found).unwrap()[0], 1, "the last value is looked at");
}

#[test]
fn activations_are_gone_through_to_the_end() {
    let len = 4 * LONG;
    agree("activation", |gpu| {
        let y = unwritten_quads(gpu, len);
        run(gpu, [activation::forward(gpu, Activation::Relu, &quads(gpu, len), &y).unwrap()]);
        read_quads(gpu, &y)
    });
    agree("its Jacobian", |gpu| {
        let (x, out) = (quads(gpu, len), unwritten_quads(gpu, len));
        run(gpu, [activation::product(gpu, Activation::Relu, &x, &x, &out).unwrap()]);
        read_quads(gpu, &out)
    });
    // 20 windows of 60 × 60 an invocation
    let input = Shape::new(40, 120, 120);
    let pool = Pool { input, height: 60, width: 60, stride: 60, padding: 0 };
    let outputs = pool.output().unwrap().len();
    agree("avg_pool_forward", |gpu| {
        let (block, y) = (gpu.profile.block, unwritten_quads(gpu, outputs * gpu.profile.block));
        run(gpu, [pool::avg_forward(gpu, &pool, &quads(gpu, block * input.len()), &y).unwrap()]);
        read_quads(gpu, &y)
    });
    agree("max_pool_select", |gpu| {
        let (x, y) = (quads(gpu, gpu.profile.block * input.len()), unwritten_quads(gpu, outputs * gpu.profile.block));
        run(gpu, [pool::max_select(gpu, &pool, &x, &x, &y).unwrap()]);
        read_quads(gpu, &y)
    });
    let overlapping = Pool { input: Shape::new(8, 24, 24), height: 12, width: 12, stride: 2, padding: 5 };
    let [x_len, y_len] = [overlapping.input, overlapping.output().unwrap()].map(|shape| shape.len());
    agree("max_pool_vjp", |gpu| {
        let [x, dy] = [x_len, y_len].map(|len| quads(gpu, len * gpu.profile.block));
        let dx = unwritten_quads(gpu, x.len());
        run(gpu, [pool::max_vjp(gpu, &overlapping, &x, &dy, &dx, None).unwrap()]);
        read_quads(gpu, &dx)
    });
    let overlapping = Pool { input: Shape::new(16, 64, 64), ..overlapping };
    let [x_len, y_len] = [overlapping.input, overlapping.output().unwrap()].map(|shape| shape.len());
    agree("avg_pool_vjp", |gpu| {
        let (dy, dx) = (quads(gpu, y_len * gpu.profile.block), unwritten_quads(gpu, x_len * gpu.profile.block));
        run(gpu, [pool::avg_vjp(gpu, &overlapping, &dy, &dx, None).unwrap()]);
        read_quads(gpu, &dx)
    });
}

#[test]
fn every_example_of_many_classes_has_its_loss_and_derivatives() {
    const CLASSES: usize = 1000;
    let examples = 64 * 4 * 17; // 17 vec4 of them an invocation
    agree("softmax cross-entropy", |gpu| {
        let [z, u] = [(); 2].map(|()| quads(gpu, examples * CLASSES));
        let index: Vec<u32> = (0..examples as u32).collect();
        let index = gpu.upload("test.index", &index).unwrap();
        let label: Vec<u32> = (0..examples as u32).map(|n| n % CLASSES as u32).collect();
        let label = gpu.upload("test.label", &label).unwrap();
        let targets = Targets { label, weight: buf(gpu, examples), smoothing: Some(buf(gpu, 1)) };
        let [loss, hits, score, uu, uv, vv] = [(); 6].map(|()| unwritten(gpu, examples));
        let [dz, h, root] = [(); 3].map(|()| unwritten_quads(gpu, z.len()));
        let steps = [
            softmax_xent::loss(gpu, &z, &targets, [&loss, &hits], Some(&score)),
            softmax_xent::curvature(gpu, &z, [&u, &z], &targets, [&uu, &uv, &vv]),
            softmax_xent::gradient(gpu, &z, &targets, &dz),
            softmax_xent::hvp(gpu, &z, &u, &targets, &h),
            softmax_xent::root(gpu, &z, &index, &buf(gpu, 1), &root),
        ];
        run(gpu, steps.map(Result::unwrap));
        let words = [loss, hits, score, uu, uv, vv].iter().flat_map(|of| read(gpu, of)).collect::<Vec<_>>();
        words.into_iter().chain([dz, h, root].iter().flat_map(|of| read_quads(gpu, of))).collect()
    });
}

#[test]
fn weights_are_packed_and_reduced_to_the_end() {
    let dense = Dense { inputs: 4099, outputs: 4096 };
    agree("pack_weights", |gpu| {
        let packing = dense.packing(gpu, Direction::Forward);
        let packed = unwritten_quads(gpu, packing.len());
        let sources = gpu.upload("test.sources", &packing.sources(0)).unwrap();
        run(gpu, [weights::pack(gpu, &sources, &buf(gpu, dense.weights().len()), &packed).unwrap()]);
        read_quads(gpu, &packed)
    });
    let shape = WeightShape { outputs: 1024, inputs: 1400, taps: 1 };
    agree("reduce_partials", |gpu| {
        let (partial, g) = (buf(gpu, 2 * shape.partial_len()), gpu.alloc("test.g", shape.len()).unwrap());
        let alone = [Partials::alone(shape, &partial)];
        run(gpu, [weights::reduce_partials(gpu, &alone, &partial, Base::Gradient, &g).unwrap()]);
        read(gpu, &g)
    });
}

#[test]
fn large_factors_are_summed_inverted_and_multiplied_with() {
    const SIDE: usize = 1500;
    agree("factor_reduce", |gpu| {
        let factor = Factor::new(gpu, Conv2d::dense(SIDE, 1), true, unwritten(gpu, (SIDE + 1).pow(2))).unwrap();
        factor.weigh(gpu, 0.0, 0.25, gpu.profile.block);
        let partial = unwritten(gpu, factor.partial_len(gpu, 1));
        run(gpu, factor.accumulate(gpu, &quads(gpu, SIDE * gpu.profile.block), &partial).unwrap());
        read(gpu, &factor.matrix)
    });
    let part = Part::whole(0, SIDE, SIDE);
    agree("inverse and product", |gpu| {
        let blocks = Blocks::new(gpu, &[[SIDE + 1, SIDE], [SIDE, SIDE + 1]]).unwrap();
        for (i, side) in [SIDE + 1, SIDE].into_iter().enumerate() {
            let mut matrix = vec![1e-3f32; side * side];
            (0..side).for_each(|row| matrix[row * side + row] = 1.0 + row as f32 / side as f32);
            gpu.write(&blocks.matrix(i), &matrix);
        }
        gpu.write(&blocks.deltas, &[0.1f32; 2]);
        let d = unwritten(gpu, SIDE * (SIDE + 1));
        let mut steps = blocks.invert(gpu).unwrap();
        steps.extend(blocks.apply_inverse(gpu, &[part], &buf(gpu, d.len()), &d).unwrap());
        run(gpu, steps);
        read(gpu, &d)
    });
    agree("kronecker_diagonal", |gpu| {
        let [a, g] = [(2049, true), (2048, false)].map(|(side, with_bias)| {
            let patches = Conv2d::dense(side - usize::from(with_bias), 1);
            Factor::new(gpu, patches, with_bias, buf(gpu, side * side)).unwrap()
        });
        let (v, d) = (buf(gpu, 2048 * 2049), unwritten(gpu, 2048 * 2049));
        run(gpu, [kronecker::diagonal(gpu, [&a, &g], &buf(gpu, 1), &v, &d).unwrap()]);
        read(gpu, &d)
    });
}

#[test]
fn matrices_are_orthogonalised_to_the_end() {
    // beside it a long vector of other parameters; 70,000 columns of 8 vec4, in one workgroup of eight invocations
    let matrix = Matrix { start: 64, rows: 5, columns: 70_000 };
    let len = 64 + 5 * 70_000 + LONG - 17;
    agree("muon", |gpu| {
        let [v, s, x] = [(); 3].map(|()| buf(gpu, len));
        let muon = MuonRoom::new(gpu, &[matrix], len).unwrap();
        let (coefficients, norms) = (buf(gpu, 8), buf(gpu, 1));
        run(gpu, muon.update(gpu, &coefficients, &buf(gpu, len), [&v, &s, &norms], &x, true).unwrap());
        read(gpu, &x)
    });
}

#[test]
fn patches_are_brought_together_to_the_end() {
    // 1,700 places an invocation, four taps each, and the rounds of the generator
    let filter = Conv2d { input: Shape::new(17, 40, 40), channels: 1, size: 2, stride: 1, padding: 0, groups: 1 };
    let sample = PatchSample::new(filter, 400);
    agree("patches_sample", |gpu| {
        let examples = 2 * gpu.profile.block;
        let index = gpu.upload("test.index", &(0..examples as u32).collect::<Vec<_>>()).unwrap();
        let x = quads(gpu, examples * filter.input.len());
        let y = unwritten_quads(gpu, examples * sample.patches().input.len());
        run(gpu, [sample.gather(gpu, &x, [&index, &index.prefix(1)], &y).unwrap()]);
        read_quads(gpu, &y)
    });
}

#[test]
fn normalisations_of_many_channels_and_large_images_are_gone_through_to_the_end() {
    // no number of pixels that goes into steps of more than one
    let norm = BatchNorm { shape: Shape::new(2, 1, 66_173) };
    let len = 2 * 66_173;
    agree("maps of batch norm", |gpu| {
        let running = gpu.upload("test.running", &[0.5f32, 0.75, 1.0, 2.0]).unwrap();
        let (statistics, theta) = (Statistics::Running(&running), buf(gpu, 4));
        let [x, u] = [(); 2].map(|()| quads(gpu, len * gpu.profile.block));
        let [y, ty, dx] = [(); 3].map(|()| unwritten_quads(gpu, x.len()));
        let steps = [
            norm.forward(gpu, [&x, &y], None, &theta, statistics, &Epilogue::default()),
            norm.jvp(gpu, [&x, &ty], [&theta; 2], Some((&u, None)), statistics, None),
            norm.grad_input(gpu, [&u, &x, &dx], &theta, statistics, None, None),
        ];
        run(gpu, steps.map(Result::unwrap));
        [y, ty, dx].iter().flat_map(|of| read_quads(gpu, of)).collect()
    });
    const CHANNELS: usize = 64 * 65_536 / 3;
    agree("batch_norm_divide", |gpu| {
        let part = NormPart { start: 0, factor: 0, channels: CHANNELS };
        let d = unwritten(gpu, 2 * CHANNELS);
        let of = [&buf(gpu, d.len()), &d];
        run(gpu, [batch_norm::divide(gpu, &[part], &buf(gpu, 3 * CHANNELS), &buf(gpu, 1), of).unwrap()]);
        read(gpu, &d)
    });
}

/// Sums over groups of batches that are long for one workgroup; and one that is too long for any.
#[test]
fn statistics_of_long_groups_are_right_or_refused() {
    let Some(gpu) = device(1) else { return };
    let norm = BatchNorm { shape: Shape::new(1, 1, 16_381) };
    let blocks = 3;
    let examples = blocks * gpu.profile.block;
    let x: Vec<f64> = values(examples * 16_381).into_iter().map(f64::from).collect();
    let quads = upload_blocks(&gpu, &x, 16_381);
    let sums = unwritten(&gpu, norm.statistics_len(&gpu, 1));
    let (running, coefficients) = (unwritten(&gpu, 2), upload(&gpu, &[0.0, 1.0]));
    let steps =
        [norm.statistics(&gpu, &quads, examples, blocks, &sums), norm.collect(&gpu, &sums, 1, &coefficients, &running)];
    run(&gpu, steps.map(Result::unwrap));
    let want = batch_norm::reference::collect(&batch_norm::reference::statistics(norm, &x, examples));
    assert_close("mean and variance", &download(&gpu, &running), &want, 1e-5);
    if gpu.max_turns() == 65_535 {
        let examples = 4 * examples;
        let quads = unwritten_blocks(&gpu, examples, 16_381);
        let refused = norm.statistics(&gpu, &quads, examples, examples, &sums).map(|_| ()).unwrap_err();
        assert!(matches!(refused, Error::OutOfMemory(MemoryError::Turns { .. })), "{refused}");
        assert!(norm.turns(&gpu, 4 * blocks) > 65_535);
    }
}

#[test]
fn weight_gradients_of_many_large_images_are_split() {
    let Some(gpu) = device(1) else { return };
    let conv = Conv2d { input: Shape::new(1, 130, 130), channels: 4, size: 3, stride: 1, padding: 0, groups: 1 };
    let batch = 8 * gpu.profile.block;
    let mut rng = rng(71);
    let [x, dy] = conv.shapes().map(|shape| uniform(batch * shape.len(), &mut rng));
    let [x_quads, dy_quads] =
        [(&x, conv.input.len()), (&dy, conv.output().unwrap().len())].map(|(of, len)| upload_blocks(&gpu, of, len));
    let shape = conv.weights();
    let partial = unwritten(&gpu, conv.splits(&gpu, 8) * shape.partial_len());
    let g = upload(&gpu, &vec![0.0; shape.len()]);
    let reduce = weights::reduce_partials(&gpu, &[Partials::alone(shape, &partial)], &partial, Base::Gradient, &g);
    let steps = [conv.grad_weight(&gpu, &x_quads, &dy_quads, &partial), reduce];
    run(&gpu, steps.map(Result::unwrap));
    assert_close("the gradient", &download(&gpu, &g), &reference::grad_weight(&conv, &x, &dy), 1e-4);

    let factor = Factor::new(&gpu, conv, true, unwritten(&gpu, 100)).unwrap();
    factor.weigh(&gpu, 0.0, 1.0, batch);
    let partial = unwritten(&gpu, factor.partial_len(&gpu, 8));
    run(&gpu, factor.accumulate(&gpu, &x_quads, &partial).unwrap());
    let want = kronecker::reference::gram(&conv, &x, true);
    assert_close("the factor", &download(&gpu, &factor.matrix), &want, 1e-4);
}

/// A dense layer's outputs of one block, or why there are none.
fn dense_forward(gpu: &Gpu, inputs: usize) -> Result<f64, Error> {
    let (dense, mut rng) = (Dense { inputs, outputs: 4 }, rng(72));
    let (x, theta) = (uniform(gpu.profile.block * inputs, &mut rng), uniform(dense.weights().len(), &mut rng));
    let packed = upload_quads(gpu, &weights::reference::pack(&dense.packing(gpu, Direction::Forward), &theta));
    let (x_quads, y) = (upload_blocks(gpu, &x, inputs), unwritten_blocks(gpu, gpu.profile.block, 4));
    run(gpu, [dense.forward(gpu, (&x_quads, &packed), &y, &Epilogue::default())?]);
    let (got, want) = (download_blocks(gpu, &y, gpu.profile.block, 4), reference::forward(&dense, &x, &theta));
    let scale = want.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
    Ok(got.iter().zip(want).map(|(g, w)| (g - w).abs() / scale).fold(0.0, f64::max))
}

#[test]
fn a_sum_that_is_too_long_is_refused_and_one_as_long_as_can_be_is_right() {
    let Some(gpu) = gpu() else { return };
    let longest = 4 * 65_500;
    let error = dense_forward(&gpu, longest).unwrap();
    assert!(error <= 1e-4, "off by {error:e}");
    match dense_forward(&gpu, longest + 4 * 40) {
        Ok(error) => assert!(error <= 1e-4 && gpu.max_turns() > 65_535, "off by {error:e}"),
        Err(Error::OutOfMemory(MemoryError::Turns { turns, limit, .. })) => assert!(turns > limit),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_buffer_as_large_as_a_binding_is_gone_through_and_a_larger_one_refused() {
    let Some(gpu) = gpu() else { return };
    let most = gpu.max_binding_words() / 4 * 4;
    if most > 1 << 26 {
        return; // more than a test should take
    }
    let coefficients = gpu.upload("test", &[2.0f32, 0.0]).unwrap();
    let (x, y) = (buf(&gpu, most), gpu.alloc("test.y", most).unwrap());
    run(&gpu, [vector::axpby(&gpu, &coefficients, &x, &y).unwrap()]);
    let wrong = read(&gpu, &y).iter().zip(values(most)).position(|(y, x)| *y != 2.0 * x);
    assert_eq!(wrong, None);
    let [x, y] = [(); 2].map(|()| gpu.alloc("test", most + 4).unwrap());
    let why = vector::axpby(&gpu, &coefficients, &x, &y).map(|_| ()).unwrap_err();
    assert!(matches!(why, Error::OutOfMemory(MemoryError::Binding { kernel: "axpby", .. })), "{why}");
}
