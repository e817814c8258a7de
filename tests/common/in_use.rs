//! Which override constants reach the shaders: the programs of the built-in models, recorded and asked for, for
//! `tests/shaders/` and `examples/kernels_in_use.rs`.

use gpu_subset::batch::{Batch, Chosen, Draw, Looks};
use gpu_subset::device::{Buf, Gpu};
use gpu_subset::kernels::activation::Activation;
use gpu_subset::kernels::augment::Augmentation;
use gpu_subset::kernels::batch_norm::{self, BatchNorm, NormPart, Statistics};
use gpu_subset::kernels::epilogue::{Epilogue, Mask};
use gpu_subset::kernels::group_norm::{ExampleSums, GroupNorm};
use gpu_subset::kernels::{ceiling, update};
use gpu_subset::model::{Description, Model};
use gpu_subset::objective::{DEFAULT_MEMORY, Examples, Kronecker, Minibatches, Objective, Workspace};
use gpu_subset::optimise::{Elementwise, Importance, Space, Sweep};
use gpu_subset::shape::Shape;
use gpu_subset::training::GpuSpace;
use gpu_subset::update::{AdamUpdate, MuonUpdate};
use std::sync::Arc;

/// What the built-in models leave out: every pooling, every activation, a depthwise convolution.
const OTHER_LAYERS: &str = r#"
name = "other-layers"
layer = [
    { kind = "conv", channels = 6, size = 3, activation = "tanh" },
    { kind = "max-pool", size = 3, stride = 2, padding = 1 },
    { kind = "conv", channels = 9, size = 3, padding = 1, activation = "silu" },
    { kind = "conv", channels = 9, size = 3, padding = 1, groups = 9 },
    { kind = "avg-pool", size = 2 },
    { kind = "conv", channels = 8, size = 3, activation = "softplus" },
    { kind = "global-avg-pool" },
    { kind = "dense", activation = "tanh" },
]"#;

/// Enough for one small chunk, and of the examples that are passed through the network.
const MEMORY: u64 = 128 << 20;
const EXAMPLES: usize = 3;

/// Mini-batches of sweeps, and chunks, of which the last may have any size: these are recorded alone.
const BATCHES: [usize; 4] = [32, 64, 128, 192];
const CHUNKS: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];

/// (channels, side) of the images that are normalised.
const NORMS: [(usize, usize); 3] = [(16, 16), (32, 8), (64, 4)];

/// Channels that are normalised together in one example.
const GROUP: usize = 8;

/// Records every kernel that the built-in models use; [`Gpu::specialisations`] says which.
pub fn record_all(gpu: &Gpu) {
    for (description, input, classes) in models() {
        record(gpu, &description, input, classes);
        record_screening(gpu, input, classes);
    }
    for (channels, side) in NORMS {
        record_norm(gpu, BatchNorm { shape: Shape::new(channels, side, side) });
    }
    for (channels, side) in NORMS {
        record_group_norm(gpu, GroupNorm { shape: Shape::new(channels, side, side), groups: channels / GROUP });
    }
    let (x, out) = (gpu.alloc_quads("x", 256, false).unwrap(), gpu.alloc("out", 64).unwrap());
    ceiling::arithmetic(gpu, &x, &out).unwrap();
    let [by, g, m, v, y] = [8, 64, 64, 64, 64].map(|len| gpu.alloc("update", len).unwrap());
    update::adam(gpu, &by, &g, [&m, &v], &y).unwrap();
    update::momentum(gpu, &by.prefix(4), &g, &v, &y).unwrap();
    update::natural(gpu, &by, [&g.prefix(1), &g], &g, [&v, &y]).unwrap();
}

/// Each model with shape and number of classes of the data it is meant for.
fn models() -> Vec<(Description, Shape, usize)> {
    let mut models = vec![(Description::parse(OTHER_LAYERS, "test").unwrap(), Shape::new(1, 28, 28), 10)];
    for name in Description::builtin_names() {
        let data: &[(Shape, usize)] = match name.split('-').next() {
            Some("digits") => &[(Shape::new(1, 8, 8), 10)],
            Some("mnist") => &[(Shape::new(1, 28, 28), 10)],
            Some("cifar") => &[(Shape::new(3, 32, 32), 10), (Shape::new(3, 32, 32), 100)],
            _ => panic!("built-in model {name}: say here what data it is meant for"),
        };
        models.extend(data.iter().map(|&(input, classes)| (Description::open(name).unwrap(), input, classes)));
    }
    models
}

/// Records every pass of an objective.
fn record(gpu: &Gpu, description: &Description, input: Shape, classes: usize) {
    let model = Arc::new(Model::new(description, input, classes).unwrap());
    let images = vec![0; EXAMPLES * input.len()];
    let labels = vec![0; EXAMPLES];
    let statistics = vec![(128.0, 64.0); input.channels];
    let examples = Arc::new(Examples::upload(gpu, input, &images, &labels, &statistics).unwrap());

    let workspace = Arc::new(Workspace::new(gpu, model.clone(), MEMORY).unwrap());
    let indices: Vec<u32> = (0..EXAMPLES as u32).collect();
    let mut objective = Objective::new(gpu, &workspace, &examples, &indices, 1e-3).unwrap();
    objective.prepare().unwrap();
    let mut smoothed = objective.sample(EXAMPLES).unwrap().smoothed(0.1).unwrap();
    smoothed.prepare().unwrap();
    for choice in [Chosen::Own, Chosen::Common] {
        Minibatches::new(&smoothed, EXAMPLES, choice).unwrap();
    }
    let positions = Sweep::default().looks.positions;
    for (positions, whole_inputs) in [(0, None), (positions, None), (positions, Some(0))] {
        Kronecker::new(&objective, Looks { positions, whole_inputs, ..Looks::USUAL.at(EXAMPLES) }).unwrap();
    }
    let [theta, gradient] = ["theta", "gradient"].map(|label| gpu.alloc(label, workspace.model.vector_len()).unwrap());
    let draw = Some(Draw { seed: 0, step: 0 });
    let batch = Batch { positions: &indices, weights: None, epoch: 0, draw };
    let mut minibatches = Minibatches::new(&objective, EXAMPLES, Chosen::Own).unwrap();
    minibatches.gradient(&theta, batch, &gradient).unwrap();
    for batch in BATCHES {
        Minibatches::new(&objective, batch, Chosen::Own).unwrap();
    }
    record_muon(gpu, &model, &theta);
    let large = Arc::new(Workspace::new(gpu, model, DEFAULT_MEMORY).unwrap());
    let large = Objective::new(gpu, &large, &examples, &indices, 1e-3).unwrap();
    for examples in CHUNKS {
        large.sample(examples).unwrap().prepare().unwrap();
    }

    for rotate in [0.0, 10.0] {
        let by = Augmentation { rotate, ..Augmentation::default() };
        let examples = Examples::upload(gpu, input, &images, &labels, &statistics).unwrap();
        let copies = Arc::new(examples.augmented(gpu, by, None, 0).unwrap());
        let mut objective = Objective::new(gpu, &workspace, &copies, &indices, 1e-3).unwrap();
        objective.loss(&theta).unwrap();
    }
    gpu.wait_for_kernels().unwrap();
}

/// Runs an update of Muon, with the matrices held at their norms.
fn record_muon(gpu: &Gpu, model: &Model, theta: &Buf) {
    let space = GpuSpace::new(gpu, model).unwrap();
    let [mut v, mut s, mut norms] = [(); 3].map(|()| space.zeros().unwrap());
    let others = AdamUpdate { beta1: 0.9, beta2: 0.999, step: 1e-3, epsilon: 1e-8 };
    let by = MuonUpdate { momentum: 0.9, rate: 0.1, hold: true, others };
    space.muon(&by, theta, [&mut v, &mut s, &mut norms], &mut space.copied(theta).unwrap()).unwrap();
}

/// Records what the screening of a training set's examples asks of its model.
fn record_screening(gpu: &Gpu, input: Shape, classes: usize) {
    let linear = Description::linear(input.height.div_ceil(Importance::USUAL.side));
    let model = Arc::new(Model::new(&linear, input, classes).unwrap());
    let (images, labels) = (vec![0; input.len()], [0]);
    let examples = Examples::upload(gpu, input, &images, &labels, &vec![(128.0, 64.0); input.channels]).unwrap();
    let workspace = Arc::new(Workspace::new(gpu, model, MEMORY).unwrap());
    Objective::new(gpu, &workspace, &Arc::new(examples), &[0], 1e-3).unwrap().prepare().unwrap();
}

/// Records what a normalisation that ends in a ReLU asks for, with an addend or without.
fn record_norm(gpu: &Gpu, norm: BatchNorm) {
    let examples = 2 * gpu.profile.block;
    let quads = |label| gpu.alloc_quads(label, examples * norm.shape.len(), false).unwrap();
    let words = |label, len| gpu.alloc(label, len).unwrap();
    let [x, y, slopes] = ["x", "y", "slopes"].map(quads);
    let [theta, running] = ["theta", "running"].map(|label| words(label, 2 * norm.shape.channels));
    let (sums, partial) = (words("sums", norm.statistics_len(gpu, 1)), words("partial", norm.partial_len(gpu, 1)));
    let [coefficients, lambda] = [("coefficients", 2), ("lambda", 1)].map(|(label, len)| words(label, len));
    let (share, factors) = (words("share", examples), words("factors", norm.fisher_len()));
    let found = Some(words("found", 1));
    norm.statistics(gpu, &x, examples, 2, &sums).unwrap();
    norm.collect(gpu, &sums, 1, &coefficients, &running).unwrap();
    let by_group = Statistics::Groups { sums: &sums, blocks: 2 };
    for statistics in [by_group, Statistics::Running(&running)] {
        let relu = Epilogue { activation: Some(Activation::Relu), found: found.clone(), ..Epilogue::default() };
        for skip in [None, Some(&slopes)] {
            norm.forward(gpu, [&x, &y], skip, &theta, statistics, &relu).unwrap();
        }
        let mask = Some(Mask { values: slopes.clone(), is_relu: true });
        let (along, means) = match statistics {
            Statistics::Groups { .. } => (Some(&partial), Some([&partial, &share])),
            Statistics::Running(_) => (None, None),
        };
        norm.products(gpu, [&slopes, &x], examples, statistics, &partial).unwrap();
        for tx in [Some((&slopes, along)), None] {
            norm.jvp(gpu, [&x, &y], [&theta; 2], tx, statistics, mask.as_ref()).unwrap();
        }
        for mask in [None, mask.as_ref()] {
            norm.grad_input(gpu, [&slopes, &x, &y], &theta, statistics, means, mask).unwrap();
        }
    }
    norm.fisher(gpu, [&slopes, &x], by_group, &coefficients, &factors).unwrap();
    let part = NormPart { start: 0, factor: 0, channels: norm.shape.channels };
    batch_norm::divide(gpu, &[part], &factors, &lambda, [&theta, &running]).unwrap();
}

/// The same of a normalisation of groups of channels.
fn record_group_norm(gpu: &Gpu, norm: GroupNorm) {
    let examples = 2 * gpu.profile.block;
    let quads = |label| gpu.alloc_quads(label, examples * norm.shape.len(), false).unwrap();
    let words = |label, len| gpu.alloc(label, len).unwrap();
    let [x, y, slopes] = ["x", "y", "slopes"].map(quads);
    let theta = words("theta", 2 * norm.shape.channels);
    let [statistics, products] = norm.room().map(|len| words("room", len * examples));
    let room = ExampleSums { statistics: &statistics, products: &products };
    let (coefficients, factors) = (words("coefficients", 2), words("factors", norm.fisher_len()));
    let partial = words("partial", norm.splits(gpu, 2) * norm.weights().partial_len());
    let relu = Epilogue { activation: Some(Activation::Relu), found: Some(words("found", 1)), ..Epilogue::default() };
    norm.statistics(gpu, &x, room).unwrap();
    for skip in [None, Some(&slopes)] {
        norm.forward(gpu, [&x, &y], skip, &theta, room, &relu).unwrap();
    }
    norm.products(gpu, [&slopes, &x], room).unwrap();
    let mask = Mask { values: slopes.clone(), is_relu: true };
    for tx in [Some(&slopes), None] {
        norm.jvp(gpu, [&x, &y], [&theta; 2], tx, room, Some(&mask)).unwrap();
    }
    for mask in [None, Some(&mask)] {
        norm.grad_input(gpu, [&slopes, &x, &y], &theta, room, mask).unwrap();
    }
    norm.grad_weight(gpu, &slopes, room, &partial).unwrap();
    norm.fisher(gpu, &slopes, room, &coefficients, &factors).unwrap();
}
