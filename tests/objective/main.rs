//! Loss, gradient and Gauss-Newton product over subsets, against an f64 twin built from the references of the kernels.

#[path = "../common/mod.rs"]
mod common;

mod copies;
mod cost;
mod curvature;
mod gradient;
mod kronecker;
mod limits;
mod methods;
mod minibatches;
mod normal;
mod selection;
mod whitening;

use common::problem::Problem;
use common::twin::Twin;
use common::upload;
use gpu_subset::batch::Chosen;
use gpu_subset::device::{Buf, Gpu};
use gpu_subset::error::Error;
use gpu_subset::objective::{Evaluation, Examples, Minibatches, Objective, Workspace};
use gpu_subset::shape::Shape;
use std::sync::Arc;

/// Every kind of layer; an odd and an even number of layers (tangents alternate between two buffers); layers before the
/// first parameters; softmax regression. All with fewer than 500 parameters, for dense matrices.
const NETS: [(Shape, usize, &str); 11] = [
    (
        Shape::new(2, 9, 8),
        4,
        r#"{ kind = "conv", channels = 3, size = 3, stride = 2, padding = 1, activation = "tanh" },
           { kind = "avg-pool", size = 2, stride = 1 },
           { kind = "conv", channels = 4, size = 2, activation = "relu" },
           { kind = "max-pool", size = 2, stride = 1 },
           { kind = "dense", units = 6, activation = "silu" },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(3, 8, 7),
        3,
        r#"{ kind = "avg-pool", size = 3, stride = 2, padding = 1 },
           { kind = "max-pool", size = 2, stride = 1 },
           { kind = "conv", channels = 5, size = 3, activation = "softplus" },
           { kind = "conv", channels = 3, size = 1 },
           { kind = "global-avg-pool" }"#,
    ),
    (Shape::new(1, 5, 5), 10, r#"{ kind = "dense", units = 12, activation = "relu" }, { kind = "dense" }"#),
    (Shape::new(1, 6, 5), 3, r#"{ kind = "dense" }"#),
    // blocks as residual networks have them: a value read three times, a shortcut by pooling and zeros
    (
        Shape::new(1, 7, 6),
        3,
        r#"{ kind = "conv", channels = 3, size = 3, padding = 1, activation = "relu", name = "stem" },
           { kind = "block", repeat = 2, layer = [
               { kind = "conv", channels = 3, size = 1, activation = "tanh" },
               { kind = "conv", channels = 3, size = 3, padding = 1 },
               { kind = "add", from = "input", activation = "silu" } ] },
           { kind = "add", from = "stem", name = "sum" },
           { kind = "conv", channels = 4, size = 2, stride = 2, name = "branch" },
           { kind = "max-pool", size = 2, from = "sum", name = "short" },
           { kind = "add", from = ["short", "branch"], pad = true, activation = "relu" },
           { kind = "dense" }"#,
    ),
    // paths from the example itself, a sum of a value with itself and one at the end
    (
        Shape::new(2, 5, 4),
        3,
        r#"{ kind = "conv", channels = 3, size = 3, padding = 1, name = "a" },
           { kind = "add", from = ["input", "a"], pad = true, activation = "softplus", name = "sum" },
           { kind = "add", from = ["sum", "sum"] },
           { kind = "global-avg-pool", name = "pool" },
           { kind = "dense", units = 3 },
           { kind = "add", from = "pool" }"#,
    ),
    // values one after the other: of the example, of one twice, of parts that others read as well, of units
    (
        Shape::new(2, 6, 5),
        3,
        r#"{ kind = "conv", channels = 2, size = 3, padding = 1, activation = "relu", name = "a" },
           { kind = "concat", from = ["a", "input"], name = "b" },
           { kind = "conv", channels = 2, size = 3, padding = 1, name = "c" },
           { kind = "concat", from = ["b", "c"], activation = "tanh", name = "d" },
           { kind = "concat", from = ["c", "d"], name = "g" }, { kind = "concat", from = ["a", "a"] },
           { kind = "concat", from = "g" },
           { kind = "global-avg-pool", name = "f" }, { kind = "dense", units = 3, activation = "silu" },
           { kind = "concat", from = "f" }, { kind = "dense" }"#,
    ),
    // normalised, with a sum that is fused and one that is not, and a normalisation without an activation
    (
        Shape::new(2, 6, 5),
        3,
        r#"{ kind = "conv", channels = 3, size = 3, padding = 1 },
           { kind = "batch-norm", activation = "tanh", name = "stem" },
           { kind = "conv", channels = 3, size = 3, padding = 1 },
           { kind = "batch-norm" }, { kind = "add", from = "stem", activation = "relu", name = "sum" },
           { kind = "conv", channels = 4, size = 2, stride = 2 },
           { kind = "batch-norm", name = "branch" },
           { kind = "avg-pool", size = 2, from = "sum", name = "short" },
           { kind = "add", from = ["branch", "short"], pad = true, activation = "silu" },
           { kind = "global-avg-pool" }, { kind = "dense" }"#,
    ),
    // normalised by groups of channels, example by example
    (
        Shape::new(2, 6, 5),
        4,
        r#"{ kind = "conv", channels = 6, size = 3, padding = 1 },
           { kind = "group-norm", groups = 3, activation = "tanh", name = "stem" },
           { kind = "conv", channels = 6, size = 1 },
           { kind = "group-norm", groups = 1 }, { kind = "add", from = "stem", activation = "relu" },
           { kind = "conv", channels = 4, size = 2, stride = 2 },
           { kind = "group-norm", groups = 2, activation = "silu" },
           { kind = "global-avg-pool" }, { kind = "dense" }"#,
    ),
    // activations on their own: of the example, of a value that others read as well, after a pool and after another
    (
        Shape::new(2, 6, 5),
        3,
        r#"{ kind = "activation", function = "softplus" },
           { kind = "conv", channels = 3, size = 3, padding = 1, name = "stem" },
           { kind = "activation", function = "tanh" },
           { kind = "conv", channels = 3, size = 3, padding = 1 },
           { kind = "add", from = "stem", name = "sum" },
           { kind = "max-pool", size = 2 },
           { kind = "activation", function = "silu" }, { kind = "activation", function = "tanh", name = "short" },
           { kind = "conv", channels = 3, size = 2, stride = 2, from = "sum" },
           { kind = "activation", function = "relu" },
           { kind = "add", from = "short" },
           { kind = "dense" }"#,
    ),
    // in groups: depthwise, with two outputs a channel, and of several channels
    (
        Shape::new(2, 6, 5),
        3,
        r#"{ kind = "conv", channels = 4, size = 3, padding = 1, groups = 2, activation = "tanh" },
           { kind = "conv", channels = 4, size = 3, stride = 2, padding = 1, groups = 4 },
           { kind = "conv", channels = 6, size = 1, activation = "relu" },
           { kind = "conv", channels = 8, size = 2, groups = 2, activation = "silu" },
           { kind = "dense" }"#,
    ),
];

const MIB: u64 = 1 << 20;

/// Net `which` of the table with `examples` random examples.
fn problem(which: usize, examples: usize, weight_decay: f64) -> Problem {
    let (input, classes, layers) = NETS[which];
    Problem::new(Twin::new(input, classes, layers), examples, weight_decay, 100 + which as u64)
}

/// A problem on a device, with compact vectors in and out.
struct OnDevice<'a> {
    gpu: &'a Gpu,
    problem: &'a Problem,
    objective: Objective,
}

impl<'a> OnDevice<'a> {
    fn new(gpu: &'a Gpu, problem: &'a Problem, workspace: &Arc<Workspace>, examples: &Arc<Examples>) -> Self {
        let objective = Objective::new(gpu, workspace, examples, &problem.indices, problem.weight_decay).unwrap();
        Self { gpu, problem, objective: objective.smoothed(problem.smoothing).unwrap() }
    }

    /// With memory of its own for at most `chunk` examples at once.
    fn with_chunks(gpu: &'a Gpu, problem: &'a Problem, chunk: usize) -> Self {
        Self::new(gpu, problem, &workspace(gpu, problem, chunk), &problem.upload(gpu))
    }

    fn vector(&self, compact: &[f64]) -> Buf {
        upload(self.gpu, &self.problem.twin.model.expand(compact))
    }

    /// An output as it was before: nothing that may survive.
    fn unwritten(&self) -> Buf {
        common::unwritten(self.gpu, self.problem.twin.model.vector_len())
    }

    fn compact(&self, vector: &Buf) -> Vec<f64> {
        let (model, all) = (&self.problem.twin.model, common::download(self.gpu, vector));
        let in_tensor = model.expand(&vec![true; model.parameters()]);
        let is_right = |(in_tensor, &value): (bool, &f64)| in_tensor || value == 0.0;
        assert!(in_tensor.into_iter().zip(&all).all(is_right), "what gaps hold goes into inner products");
        model.compact(&all)
    }

    /// Mini-batches of so many of its examples, all or a choice of which go backward.
    fn minibatches(&self, batch: usize, choice: Chosen) -> Minibatches {
        Minibatches::new(&self.objective, batch, choice).unwrap()
    }

    fn loss(&mut self, theta: &[f64]) -> Evaluation {
        let theta = self.vector(theta);
        self.objective.loss(&theta).unwrap()
    }

    fn loss_and_gradient(&mut self, theta: &[f64]) -> (Evaluation, Vec<f64>) {
        let (theta, gradient) = (self.vector(theta), self.unwritten());
        let evaluation = self.objective.loss_and_gradient(&theta, &gradient).unwrap();
        (evaluation, self.compact(&gradient))
    }

    fn product(&mut self, theta: &[f64], v: &[f64]) -> (Evaluation, Vec<f64>) {
        let (theta, v, product) = (self.vector(theta), self.vector(v), self.unwritten());
        let evaluation = self.objective.gauss_newton_product(&theta, &v, &product).unwrap();
        (evaluation, self.compact(&product))
    }

    fn logits(&mut self, theta: &[f64]) -> Vec<f64> {
        let theta = self.vector(theta);
        self.objective.logits(&theta).unwrap().into_iter().map(f64::from).collect()
    }

    /// Jv as `[K][M]`.
    fn tangent(&mut self, theta: &[f64], v: &[f64]) -> Vec<f64> {
        let (theta, v) = (self.vector(theta), self.vector(v));
        let (_, tangents) = self.objective.tangent(&theta, &v).unwrap();
        let (classes, examples) = (self.problem.twin.model.classes, self.problem.indices.len());
        common::download_buffer_blocks(self.gpu, &tangents, examples, classes)
    }
}

/// The workspace of the smallest memory budget that makes chunks of `chunk` examples.
fn workspace(gpu: &Gpu, problem: &Problem, chunk: usize) -> Arc<Workspace> {
    let (mut too_small, mut enough) = (0, 64 * MIB);
    while enough - too_small > 64 {
        let memory = (too_small + enough) / 2;
        match Workspace::new(gpu, problem.twin.model.clone(), memory) {
            Ok(workspace) if workspace.chunk >= chunk => enough = memory,
            Ok(_) | Err(Error::OutOfMemory(_)) => too_small = memory,
            Err(e) => panic!("{e}"),
        }
    }
    let workspace = Workspace::new(gpu, problem.twin.model.clone(), enough).unwrap();
    assert_eq!(workspace.chunk, chunk);
    Arc::new(workspace)
}
