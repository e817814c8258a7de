//! Every kernel of a network, and the network as a whole, against f64 on the CPU: what to look at first when results
//! are not what they should be.

use super::check::Check;
use super::network::{DECAY, Network};
use super::norms::NormCase;
use super::products::ProductCase;
use super::random::random_blocks;
use crate::batch::Looks;
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::from_blocks;
use crate::kernels::gather::reference::gather;
use crate::kernels::softmax_xent::{self, Targets, reference as xent};
use crate::kernels::weights::WeightShape;
use crate::model::reference::{Map, Maps};
use crate::model::{At, Layer, LayerWeights, Model};
use crate::objective::reference::{Look, Loss};
use crate::objective::{DEFAULT_MEMORY, Evaluation, Kronecker};
use crate::program::{Dispatch, Program};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Multiply-adds of the model that all examples of a check may take: the CPU does some ten times as many.
const REFERENCE: usize = 60_000_000;

/// Blocks of examples that the factors are of, so that each counts once; other checks have a part of a block more.
const MOST_BLOCKS: usize = 2;

/// Rows of a Kronecker factor whose inverse the CPU makes in a second or so. [`factor_chain`](super::factor_chain)
/// checks larger ones.
pub const MOST_ROWS: usize = 1_024;

/// Examples beyond whole blocks.
const PART: usize = 8;

/// Errors of a kernel, of a whole network and of a product with inverses, as shares of the largest value. In a whole,
/// rounding may move an activation over its kink.
const KERNEL: f64 = 2e-5;
const WHOLE: f64 = 2e-4;
const INVERSE: f64 = 1e-3;

/// λ of the damping.
const DAMPING: f64 = 1e-2;

/// Checks a model on a device. `progress` is told what comes next. A check that fails is a row of `checks` like the
/// others.
///
/// # Errors
/// What the device reports; `checks` has what was found before.
pub fn doctor(gpu: &Gpu, model: &Arc<Model>, checks: &mut Vec<Check>, mut progress: impl FnMut(&str)) -> Result<()> {
    let blocks = (REFERENCE / model.multiply_adds().max(1) / gpu.profile.block).clamp(1, MOST_BLOCKS);
    let examples = blocks * gpu.profile.block + PART;
    let maps = model.maps(model.group());
    let is_needed = model.is_input_gradient_needed();
    for (i, (layer, map)) in model.layers().iter().zip(&maps.maps).enumerate() {
        progress(layer.name());
        match map {
            Map::Affine(product) => {
                for case in ProductCase::of_layer(layer.name(), product, examples, is_needed[i]) {
                    checks.push(case.compare(gpu, examples, KERNEL)?);
                }
            }
            Map::Norm(norm, _) => {
                for case in NormCase::of_layer(*norm, examples) {
                    checks.push(case.compare(gpu, layer.name(), KERNEL)?);
                }
            }
            // what a product took over is no kernel of its own
            Map::Elementwise(..) if i > 0 && i + 1 < maps.maps.len() && model.layers()[i - 1].takes_activation() => {}
            map => checks.extend(alone(gpu, &**layer, map, examples)?),
        }
    }
    progress("the loss");
    checks.extend(softmax(gpu, model.classes, examples)?);
    progress("the whole network");
    checks.extend(whole(gpu, model, &maps, examples)?);
    progress("Kronecker factors");
    let of_sample = maps.over(usize::MAX);
    let examples = blocks * gpu.profile.block;
    for (positions, whole_inputs) in [(0, None), (2, None), (2, Some(0))] {
        let looks = Looks { positions, whole_inputs, ..Looks::USUAL.at(examples) };
        // the references of whole matrices take too long for large ones
        let is_small = factor_rows(model, &looks) <= MOST_ROWS;
        if is_small && Kronecker::check(gpu, model, &looks).is_ok() {
            checks.push(inverse(gpu, model, &of_sample, looks)?);
        }
    }
    Ok(())
}

/// Rows of the largest Kronecker factor of a model that is a matrix.
pub fn factor_rows(model: &Model, looks: &Looks) -> usize {
    let of_inputs = |values: usize| if looks.takes_whole(values) { values + 1 } else { 0 };
    let rows = |weights: WeightShape| of_inputs(weights.patches()).max(weights.outputs);
    model.layers().iter().filter_map(|layer| layer.weights()).map(rows).max().unwrap_or(0)
}

/// Two results of the same steps, of which each starts from an output that nobody has written.
fn twice<T>(mut run: impl FnMut() -> Result<T>) -> Result<[T; 2]> {
    Ok([run()?, run()?])
}

/// Runs what `record` records into an output of `features` values an example, from NaN.
fn run_into(
    gpu: &Gpu,
    features: usize,
    examples: usize,
    record: impl Fn(&Quads) -> Result<Vec<Dispatch>>,
) -> Result<[Vec<f32>; 2]> {
    twice(|| {
        let blank = vec![f32::NAN; examples.next_multiple_of(gpu.profile.block) * features];
        let out = gpu.upload_quads("doctor.output", &blank, false)?;
        let mut program = Program::default();
        program.extend(record(&out)?);
        program.run(gpu)?;
        Ok(from_blocks(&gpu.read_quads(&out)?, features, gpu.profile.block, examples))
    })
}

fn check(what: String, shapes: String, tolerance: f64, runs: &[Vec<f32>; 2], want: &[f64]) -> Check {
    let [first, again] = runs;
    Check::new(&what, shapes, tolerance, [first, again], want)
}

/// θ and a direction of a layer whose weights are not packed.
fn plain_weights(gpu: &Gpu, layer: &dyn Layer, rng: &mut ChaCha8Rng) -> Result<([Vec<f64>; 2], Option<LayerWeights>)> {
    let Some(shape) = layer.weights() else { return Ok(([Vec::new(), Vec::new()], None)) };
    let mut drawn = || (0..shape.len()).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<f32>>();
    let [theta, tangent] = [drawn(), drawn()];
    let values = [&theta, &tangent].map(|of| of.iter().map(|&x| f64::from(x)).collect());
    let [theta, tangent] = [gpu.upload("doctor.theta", &theta)?, gpu.upload("doctor.tangent", &tangent)?];
    Ok((values, Some(LayerWeights { theta, tangent, forward: None, backward: None, forward_tangent: None })))
}

/// Forward, jvp and vjp of a layer without parameters, or with those of each channel.
fn alone(gpu: &Gpu, layer: &dyn Layer, map: &Map, examples: usize) -> Result<Vec<Check>> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let [inputs, outputs] = [layer.input(), layer.output()].map(|shape| shape.len());
    let (x, x_quads) = random_blocks(gpu, &mut rng, examples, inputs)?;
    let (tx, tx_quads) = random_blocks(gpu, &mut rng, examples, inputs)?;
    let (dy, dy_quads) = random_blocks(gpu, &mut rng, examples, outputs)?;
    let ([theta, v], weights) = plain_weights(gpu, layer, &mut rng)?;
    let padded = examples.next_multiple_of(gpu.profile.block);
    let [first, second] = layer.room().map(|words| gpu.alloc("doctor.room", (words * padded).max(1)));
    let room = [first?, second?];
    let at = At { gpu, weights: weights.as_ref(), x: &x_quads, normalised: None, room: Some(&room) };
    let partial =
        layer.weights().map_or(1, |shape| layer.splits(gpu, padded / gpu.profile.block) * shape.partial_len());
    let partial = gpu.alloc("doctor.partial", partial)?;
    let forward = run_into(gpu, outputs, examples, |y| layer.forward(&at, y, &Epilogue::default()))?;
    let jvp = run_into(gpu, outputs, examples, |ty| layer.jvp(&at, Some(&tx_quads), ty, None))?;
    let vjp = run_into(gpu, inputs, examples, |dx| {
        let sums = layer.grad_weight(&at, &dy_quads, &partial)?;
        Ok(sums.into_iter().chain(layer.grad_input(&at, &dy_quads, dx, None)?).collect())
    })?;
    let row = |kind: &str, runs, want: &[f64]| {
        let shapes = format!("{} -> {} x{examples}", layer.input(), layer.output());
        check(format!("{} {kind}", layer.name()), shapes, KERNEL, runs, want)
    };
    Ok(vec![
        row("forward", &forward, &map.forward(&x, &theta)),
        row("jvp", &jvp, &map.jvp(&x, &theta, &tx, &v)),
        row("grad_input", &vjp, &map.grad_input(&x, &theta, &dy)),
    ])
}

/// Softmax cross entropy and its derivatives by the logits.
fn softmax(gpu: &Gpu, classes: usize, examples: usize) -> Result<Vec<Check>> {
    let (mut rng, block) = (ChaCha8Rng::seed_from_u64(3), gpu.profile.block);
    let (z, z_quads) = random_blocks(gpu, &mut rng, examples, classes)?;
    let (u, u_quads) = random_blocks(gpu, &mut rng, examples, classes)?;
    let padded = examples.next_multiple_of(block);
    let mut labels: Vec<u32> = (0..examples).map(|_| rng.random_range(0..classes as u32)).collect();
    let mut weights = vec![1f32; examples];
    labels.resize(padded, 0);
    weights.resize(padded, 0.0);
    let [label, weight] = [gpu.upload("doctor.label", &labels)?, gpu.upload("doctor.weight", &weights)?];
    let targets = Targets { label, weight, smoothing: None };
    let loss = twice(|| {
        let nan = vec![f32::NAN; padded];
        let (loss, correct) = (gpu.upload("doctor.loss", &nan)?, gpu.upload("doctor.correct", &nan)?);
        let mut program = Program::default();
        program.push(softmax_xent::loss(gpu, &z_quads, &targets, [&loss, &correct], None)?);
        program.run(gpu)?;
        let mut both = gpu.read::<f32>(&loss)?;
        both.truncate(examples);
        both.extend(&gpu.read::<f32>(&correct)?[..examples]);
        Ok(both)
    })?;
    let gradient =
        run_into(gpu, classes, examples, |dz| Ok(vec![softmax_xent::gradient(gpu, &z_quads, &targets, dz)?]))?;
    let hvp = run_into(gpu, classes, examples, |h| Ok(vec![softmax_xent::hvp(gpu, &z_quads, &u_quads, &targets, h)?]))?;

    let rows = || z.chunks_exact(classes).zip(labels.iter().map(|&label| label as usize));
    let hits = rows().map(|(z, label)| f64::from(u8::from(xent::correct(z, label))));
    let want_loss: Vec<f64> = rows().map(|(z, label)| xent::loss(z, label, 0.0)).chain(hits).collect();
    let want_gradient: Vec<f64> = rows().flat_map(|(z, label)| xent::gradient(z, label, 0.0)).collect();
    let want_hvp: Vec<f64> = rows().zip(u.chunks_exact(classes)).flat_map(|((z, _), u)| xent::hvp(z, u)).collect();
    let row = |kind: &str, runs, want: &[f64]| {
        check(format!("softmax cross entropy {kind}"), format!("{classes} x{examples}"), KERNEL, runs, want)
    };
    Ok(vec![
        row("loss and hits", &loss, &want_loss),
        row("gradient", &gradient, &want_gradient),
        row("hessian product", &hvp, &want_hvp),
    ])
}

/// Parameters, a direction and the features of a network's examples in f64.
struct InDouble {
    theta: Vec<f64>,
    v: Vec<f64>,
    x: Vec<f64>,
}

impl InDouble {
    fn of(network: &Network, model: &Model) -> Self {
        let wide = |vector: &[f32]| model.compact(vector).into_iter().map(f64::from).collect();
        let (mean, std): (Vec<f64>, Vec<f64>) = network.statistics.iter().copied().unzip();
        let indices: Vec<u32> = (0..network.labels.len() as u32).collect();
        Self {
            theta: wide(&model.initialise(0)),
            v: wide(&model.initialise(1)),
            x: gather(model.input, (&network.images).into(), &indices, &mean, &std),
        }
    }
}

/// Loss, gradient and Gauss-Newton product of the whole network.
fn whole(gpu: &Gpu, model: &Arc<Model>, maps: &Maps, examples: usize) -> Result<Vec<Check>> {
    let network = Network::with(gpu, model.clone(), examples, DEFAULT_MEMORY)?;
    let mut objective = network.objective(gpu, examples)?;
    let Network { theta, gradient, .. } = &network;
    let v = gpu.upload("doctor.direction", &model.initialise(1))?;
    let losses = |found: &Evaluation| vec![found.loss as f32, found.accuracy as f32];
    let runs = twice(|| {
        let found = objective.loss_and_gradient(theta, gradient)?;
        let first = model.compact(&gpu.read::<f32>(gradient)?);
        objective.gauss_newton_product(theta, &v, gradient)?;
        Ok([losses(&found), first, model.compact(&gpu.read::<f32>(gradient)?)])
    })?;
    let InDouble { theta, v, x } = InDouble::of(&network, model);
    let loss = Loss { maps, x: &x, labels: &network.labels, weight_decay: DECAY, smoothing: 0.0 };
    let x = loss.activations(&theta);
    let wants = [
        vec![loss.loss(&theta, &x), loss.accuracy(&x)],
        loss.gradient(&theta, &x),
        loss.gauss_newton_product(&theta, &x, &v),
    ];
    let [first, again] = &runs;
    let named = ["loss and accuracy", "gradient", "Gauss-Newton product"];
    let rows = named.into_iter().zip(first).zip(again).zip(&wants).map(|(((what, first), again), want)| {
        let shapes = format!("{} -> {} x{examples}, {} parameters", model.input, model.classes, model.parameters());
        Check::new(what, shapes, WHOLE, [first, again], want)
    });
    Ok(rows.collect())
}

/// A direction divided by the Kronecker factors: these, their inverses and the products with them.
fn inverse(gpu: &Gpu, model: &Arc<Model>, maps: &Maps, looks: Looks) -> Result<Check> {
    const SIGNS: u32 = 7;
    let examples = looks.first;
    let network = Network::with(gpu, model.clone(), examples, DEFAULT_MEMORY)?;
    let objective = network.objective(gpu, examples)?;
    let v = gpu.upload("doctor.direction", &model.initialise(1))?;
    let [first, again] = twice(|| {
        let mut kronecker = Kronecker::new(&objective, looks)?;
        kronecker.update(&network.theta, u64::from(SIGNS), 0.0)?;
        kronecker.precondition(DAMPING, &v, &network.gradient)?;
        Ok(model.compact(&gpu.read::<f32>(&network.gradient)?))
    })?;
    let InDouble { theta, v, x } = InDouble::of(&network, model);
    let loss = Loss { maps, x: &x, labels: &network.labels, weight_decay: DECAY, smoothing: 0.0 };
    let indices: Vec<u32> = (0..examples as u32).collect();
    let look = Look { indices: &indices, seed: SIGNS, looks };
    let want = loss.divided(&theta, &loss.activations(&theta), look, DAMPING, &v);
    let sides = model.layers().iter().filter(|layer| layer.is_product()).filter_map(|layer| layer.weights());
    let sides: Vec<_> = sides.map(|w| format!("{}, {}", w.patches() + 1, w.outputs)).collect();
    let shapes = format!("{} rows x{examples}", sides.join("; "));
    let what = match (looks.positions, looks.whole_inputs) {
        (0, None) => "product with the inverse Kronecker factors".to_owned(),
        (positions, None) => format!("the same from {positions} places of each image"),
        (positions, Some(_)) => format!("the same with the inputs' mean and variance from {positions} places"),
    };
    Ok(Check::new(&what, shapes, INVERSE, [&first, &again], &want))
}
