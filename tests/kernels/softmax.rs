//! Softmax cross-entropy with example weights: loss, hits, and derivatives by the logits.

use crate::common::*;
use gpu_subset::device::Gpu;
use gpu_subset::kernels::gather::PADDING;
use gpu_subset::kernels::softmax_xent::{self, Targets, reference};
use gpu_subset::kernels::to_blocks;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Of the random signs.
const SEED: u32 = 77;

#[test]
fn softmax_cross_entropy_agrees_with_the_reference() {
    let mut rng = rng(9);
    for gpu in gpus() {
        let sizes = [(1, 2), (17, 10), (255, 3), (257, 10), (33, 100), (5, 1)];
        for ((batch, classes), smoothing) in sizes.into_iter().flat_map(|size| [(size, 0.0), (size, 0.1)]) {
            let what = format!("batch {batch}, {classes} classes, smoothed by {smoothing}");
            let examples = Examples::random(batch, classes, smoothing, &mut rng);
            let written = Written::by_kernels(&gpu, &examples);
            assert_values(&what, &written, &examples);
            assert_gradient(&what, &written, &examples);
            assert_residual(&what, &written, &examples);
            assert_hvp(&what, &written, &examples);
            assert_root(&what, &written, &examples);
            assert_curvature(&what, &written, &examples);
            let padding: f64 = written.loss[batch..].iter().map(|x| x.abs()).sum();
            assert_eq!(padding, 0.0, "padded examples weigh nothing");
            assert!(written.root[batch * classes..].iter().all(|&x| x == 0.0), "nor have they a root");
        }
    }
}

/// Logits z, a direction u, labels and weights.
struct Examples {
    classes: usize,
    smoothing: f64,
    z: Vec<f64>,
    u: Vec<f64>,
    labels: Vec<u32>,
    weight: Vec<f64>,
}

struct Example<'a> {
    z: &'a [f64],
    u: &'a [f64],
    label: usize,
    weight: f64,
}

impl Examples {
    fn random(batch: usize, classes: usize, smoothing: f64, rng: &mut ChaCha8Rng) -> Self {
        // logits up to ±60: a softmax that does not subtract the maximum overflows
        let z = uniform(batch * classes, rng).iter().map(|z| f64::from((60.0 * z) as f32)).collect();
        let u = uniform(batch * classes, rng);
        let labels = (0..batch).map(|_| rng.random_range(0..classes as u32)).collect();
        let weight = (0..batch).map(|_| f64::from(rng.random_range(0f32..3.0))).collect();
        Self { classes, smoothing, z, u, labels, weight }
    }

    fn iter(&self) -> impl Iterator<Item = Example<'_>> {
        let rows = self.z.chunks_exact(self.classes).zip(self.u.chunks_exact(self.classes));
        let targets = self.labels.iter().zip(&self.weight);
        rows.zip(targets).map(|((z, u), (&label, &weight))| Example { z, u, label: label as usize, weight })
    }

    /// Compares values of order one, times the weight: the error is against the weight.
    fn assert_weighted(&self, what: &str, got: &[f64], want: &[f64]) {
        // e^-60 carries 60 times the rounding of its argument: 60 · 6e-8
        assert_close(what, &[got, &self.weight].concat(), &[want, &self.weight].concat(), 4e-6);
    }
}

/// What the kernels write, padding included where a word is an example.
struct Written {
    loss: Vec<f64>,
    correct: Vec<f64>,
    gradient: Vec<f64>,
    hvp: Vec<f64>,
    residual: Vec<f64>,
    root: Vec<f64>,
    curvature: [Vec<f64>; 3],
}

impl Written {
    fn by_kernels(gpu: &Gpu, examples: &Examples) -> Self {
        let (batch, classes, block) = (examples.labels.len(), examples.classes, gpu.profile.block);
        let (z, u) = (upload_blocks(gpu, &examples.z, classes), upload_blocks(gpu, &examples.u, classes));
        let targets = Targets {
            label: gpu.upload("label", &to_blocks(&examples.labels, 1, block, 0)).unwrap(),
            weight: upload(gpu, &to_blocks(&examples.weight, 1, block, 0.0)),
            smoothing: (examples.smoothing > 0.0).then(|| upload(gpu, &[examples.smoothing])),
        };
        let index = gpu.upload("index", &to_blocks(&examples.labels, 1, block, PADDING)).unwrap();
        let seed = gpu.upload("seed", &[SEED]).unwrap();
        let [loss, correct, residual] = [(); 3].map(|()| unwritten(gpu, batch.next_multiple_of(block)));
        let products = [(); 3].map(|()| unwritten(gpu, batch.next_multiple_of(block)));
        let [gradient, hvp, root] = [(); 3].map(|()| unwritten_blocks(gpu, batch, classes));
        run(
            gpu,
            [
                softmax_xent::loss(gpu, &z, &targets, [&loss, &correct], Some(&residual)).unwrap(),
                softmax_xent::gradient(gpu, &z, &targets, &gradient).unwrap(),
                softmax_xent::hvp(gpu, &z, &u, &targets, &hvp).unwrap(),
                softmax_xent::root(gpu, &z, &index, &seed, &root).unwrap(),
                softmax_xent::curvature(gpu, &z, [&u, &z], &targets, products.each_ref()).unwrap(),
            ],
        );
        Self {
            loss: download(gpu, &loss),
            correct: download(gpu, &correct),
            gradient: download_blocks(gpu, &gradient, batch, classes),
            hvp: download_blocks(gpu, &hvp, batch, classes),
            residual: download(gpu, &residual),
            root: download_blocks(gpu, &root, batch.next_multiple_of(block), classes),
            curvature: products.map(|product| download(gpu, &product)),
        }
    }
}

fn assert_values(what: &str, written: &Written, examples: &Examples) {
    let batch = examples.labels.len();
    let s = examples.smoothing;
    let want: Vec<f64> = examples.iter().map(|e| e.weight * reference::loss(e.z, e.label, s)).collect();
    assert_close(&format!("loss, {what}"), &written.loss[..batch], &want, 1e-6);
    let correct = |e: Example<'_>| if reference::correct(e.z, e.label) { e.weight } else { 0.0 };
    let want: Vec<f64> = examples.iter().map(correct).collect();
    assert_eq!(written.correct[..batch], want, "correct, {what}");
}

/// p - 1 of an example that is all but certain cancels: the error is against the weight.
fn assert_gradient(what: &str, written: &Written, examples: &Examples) {
    let of = |e: Example<'_>| scaled(e.weight, reference::gradient(e.z, e.label, examples.smoothing));
    let want: Vec<f64> = examples.iter().flat_map(of).collect();
    examples.assert_weighted(&format!("gradient, {what}"), &written.gradient, &want);
}

/// 1 - p of the label cancels where it is all but certain: the error is against the weight.
fn assert_residual(what: &str, written: &Written, examples: &Examples) {
    let of = |e: Example<'_>| e.weight * reference::residual(e.z, e.label, examples.smoothing);
    let want: Vec<f64> = examples.iter().map(of).collect();
    examples.assert_weighted(&format!("residual, {what}"), &written.residual[..want.len()], &want);
}

fn assert_hvp(what: &str, written: &Written, examples: &Examples) {
    let want: Vec<f64> = examples.iter().flat_map(|e| scaled(e.weight, reference::hvp(e.z, e.u))).collect();
    examples.assert_weighted(&format!("hvp, {what}"), &written.hvp, &want);
}

/// Signs of either kind, of which the larger cancels where one class is all but certain: the error is against 1.
fn assert_root(what: &str, written: &Written, examples: &Examples) {
    let want: Vec<f64> = examples.iter().flat_map(|e| reference::root(e.z, e.label as u32, SEED)).collect();
    let with_one = |dz: &[f64]| [dz, &[1.0]].concat();
    assert_close(&format!("root, {what}"), &with_one(&written.root[..want.len()]), &with_one(&want), 4e-6);
}

/// Along u and z: uᵀHu, uᵀHz and zᵀHz.
fn assert_curvature(what: &str, written: &Written, examples: &Examples) {
    for (which, got) in written.curvature.iter().enumerate() {
        let of = |e: Example<'_>| {
            let (a, b) = [(e.u, e.u), (e.u, e.z), (e.z, e.z)][which];
            e.weight * a.iter().zip(reference::hvp(e.z, b)).map(|(a, hb)| a * hb).sum::<f64>()
        };
        let want: Vec<f64> = examples.iter().map(of).collect();
        examples.assert_weighted(&format!("curvature {which}, {what}"), &got[..want.len()], &want);
    }
}

fn scaled(weight: f64, values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(|x| weight * x).collect()
}
