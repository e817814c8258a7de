//! Every kind of layer on its own: forward against the f64 reference, jvp against finite differences of it, and vjp as
//! the adjoint of jvp. Layers come from model descriptions, so that the description's arms are tested too.

mod common;

use common::twin::{Op, Twin, dot, moved, norm, relative_error};
use common::*;
use gpu_subset::device::{Buf, Gpu, Quads};
use gpu_subset::kernels::epilogue::Epilogue;
use gpu_subset::kernels::weights::{self, Base, Direction, Partials, WeightShape};
use gpu_subset::model::{At, Layer, LayerWeights};
use gpu_subset::shape::Shape;
use rand_chacha::ChaCha8Rng;

/// Models whose layers are tested one by one: each kind, with sizes, strides and paddings that leave remainders.
const MODELS: [(Shape, usize, &str); 9] = [
    (
        Shape::new(3, 9, 7),
        10,
        r#"{ kind = "conv", channels = 5, size = 3, padding = 1, activation = "relu" },
           { kind = "max-pool", size = 3, stride = 2, padding = 1 },
           { kind = "conv", channels = 9, size = 2, activation = "tanh" },
           { kind = "avg-pool", size = 3, stride = 2, padding = 1 },
           { kind = "activation", function = "softplus" },
           { kind = "dense", units = 17, activation = "silu" },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(1, 13, 11),
        3,
        r#"{ kind = "conv", channels = 8, size = 5, stride = 2 },
           { kind = "max-pool", size = 2 },
           { kind = "conv", channels = 3, size = 1, activation = "softplus" },
           { kind = "global-avg-pool" }"#,
    ),
    (
        Shape::new(2, 10, 10),
        4,
        r#"{ kind = "conv", channels = 4, size = 3, stride = 3, padding = 2, activation = "silu" },
           { kind = "avg-pool", size = 2, stride = 1 },
           { kind = "conv", channels = 6, size = 2, stride = 2, activation = "tanh" },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(3, 12, 9),
        2,
        r#"{ kind = "avg-pool", size = 2 },
           { kind = "conv", channels = 17, size = 7, stride = 2, padding = 3, activation = "softplus" },
           { kind = "max-pool", size = 2, stride = 1, padding = 1 },
           { kind = "dense", activation = "relu" }"#,
    ),
    (Shape::new(5, 4, 3), 1, r#"{ kind = "dense", units = 40, activation = "tanh" }, { kind = "dense" }"#),
    (
        Shape::new(3, 5, 7),
        3,
        r#"{ kind = "conv", channels = 5, size = 1, name = "a" },
           { kind = "add", from = ["input", "a"], pad = true },
           { kind = "add", from = "input", pad = true, activation = "relu" },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(6, 7, 5),
        3,
        r#"{ kind = "group-norm", groups = 3, activation = "tanh" },
           { kind = "conv", channels = 17, size = 3, padding = 1 },
           { kind = "group-norm", groups = 17 }, { kind = "group-norm", groups = 1 },
           { kind = "avg-pool", size = 2 }, { kind = "group-norm", groups = 17 },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(6, 7, 9),
        3,
        r#"{ kind = "conv", channels = 12, size = 3, padding = 1, groups = 6, activation = "relu" },
           { kind = "conv", channels = 12, size = 3, stride = 2, padding = 1, groups = 12 },
           { kind = "conv", channels = 9, size = 2, groups = 3, activation = "silu" },
           { kind = "dense" }"#,
    ),
    (
        Shape::new(3, 5, 7),
        3,
        r#"{ kind = "conv", channels = 17, size = 1, name = "a" },
           { kind = "concat", from = ["input", "a"], name = "b" },
           { kind = "concat", from = ["b", "input"], activation = "tanh" },
           { kind = "dense" }"#,
    ),
];

/// Padding in the last block, exactly one more than a block, several splits of a weight gradient.
const BATCHES: [usize; 3] = [1, 33, 257];

/// Calls `test` for every layer of the table, under every profile, with the same random numbers for each.
fn for_each_layer(seed: u64, test: impl Fn(&Case, &mut ChaCha8Rng)) {
    for gpu in gpus() {
        let mut rng = rng(seed);
        for (input, classes, layers) in MODELS {
            let twin = Twin::new(input, classes, layers);
            for (layer, op) in twin.model.layers().iter().zip(&twin.ops.maps) {
                for batch in BATCHES {
                    let what = format!("{} of {input}, batch {batch}, {:?}: {op:?}", layer.name(), gpu.profile);
                    test(&Case { gpu: &gpu, layer: &**layer, op, batch, what }, &mut rng);
                }
            }
        }
    }
}

struct Case<'a> {
    gpu: &'a Gpu,
    layer: &'a dyn Layer,
    op: &'a Op,
    batch: usize,
    what: String,
}

impl Case<'_> {
    fn inputs(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        // up to ±3, where tanh bends; still exact in f32
        uniform(self.batch * self.layer.input().len(), rng).iter().map(|x| f64::from((3.0 * x) as f32)).collect()
    }

    fn outputs(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        uniform(self.batch * self.layer.output().len(), rng)
    }

    fn parameters(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        uniform(self.op.parameters(), rng)
    }

    fn upload_x(&self, x: &[f64]) -> Quads {
        upload_blocks(self.gpu, x, self.layer.input().len())
    }

    /// What a layer works in, holding nothing of use.
    fn room(&self) -> [Buf; 2] {
        let padded = self.batch.next_multiple_of(self.gpu.profile.block);
        self.layer.room().map(|words| unwritten(self.gpu, (padded * words).max(1)))
    }

    /// θ and v packed as a workspace does.
    fn weights(&self, theta: &[f64], v: &[f64]) -> Option<LayerWeights> {
        let gpu = self.gpu;
        self.layer.weights()?;
        let (on_device, tangent) = (upload(gpu, theta), upload(gpu, v));
        if !self.layer.is_product() {
            let (theta, forward, backward) = (on_device, None, None);
            return Some(LayerWeights { theta, tangent, forward, backward, forward_tangent: None });
        }
        let pack = |direction, theta: &[f64]| {
            let packing = self.layer.packing(gpu, direction).unwrap();
            upload_quads(gpu, &weights::reference::pack(&packing, theta))
        };
        Some(LayerWeights {
            theta: on_device,
            tangent,
            forward: Some(pack(Direction::Forward, theta)),
            backward: Some(pack(Direction::Backward, theta)),
            forward_tangent: Some(pack(Direction::Forward, v)),
        })
    }

    fn forward(&self, weights: Option<&LayerWeights>, x: &[f64]) -> Vec<f64> {
        let features = self.layer.output().len();
        let y = unwritten_blocks(self.gpu, self.batch, features);
        let at = At { gpu: self.gpu, weights, x: &self.upload_x(x), normalised: None, room: Some(&self.room()) };
        run(self.gpu, self.layer.forward(&at, &y, &Epilogue::default()).unwrap());
        download_blocks(self.gpu, &y, self.batch, features)
    }

    fn jvp(&self, weights: Option<&LayerWeights>, x: &[f64], tx: Option<&[f64]>) -> Vec<f64> {
        let features = self.layer.output().len();
        let ty = unwritten_blocks(self.gpu, self.batch, features);
        let tx = tx.map(|tx| self.upload_x(tx));
        let at = At { gpu: self.gpu, weights, x: &self.upload_x(x), normalised: None, room: Some(&self.room()) };
        run(self.gpu, self.layer.jvp(&at, tx.as_ref(), &ty, None).unwrap());
        download_blocks(self.gpu, &ty, self.batch, features)
    }

    /// (dx, dw), dx empty unless it is asked for.
    fn vjp(&self, weights: Option<&LayerWeights>, x: &[f64], dy: &[f64], with_dx: bool) -> (Vec<f64>, Vec<f64>) {
        let features = self.layer.input().len();
        let dx = with_dx.then(|| unwritten_blocks(self.gpu, self.batch, features));
        let dy = upload_blocks(self.gpu, dy, self.layer.output().len());
        let at = At { gpu: self.gpu, weights, x: &self.upload_x(x), normalised: None, room: Some(&self.room()) };
        let dw = self.layer.weights().map(|shape| self.grad_weight(&at, &dy, shape));
        run(self.gpu, dx.iter().flat_map(|dx| self.layer.grad_input(&at, &dy, dx, None).unwrap()));
        let dx = dx.map(|dx| download_blocks(self.gpu, &dx, self.batch, features));
        (dx.unwrap_or_default(), dw.unwrap_or_default())
    }

    /// The sum of the splits, added to ones that are subtracted again.
    fn grad_weight(&self, at: &At<'_>, dy: &Quads, shape: WeightShape) -> Vec<f64> {
        let splits = self.layer.splits(self.gpu, self.batch.div_ceil(self.gpu.profile.block));
        let partial = unwritten(self.gpu, splits * shape.partial_len());
        run(self.gpu, self.layer.grad_weight(at, dy, &partial).unwrap());
        let g = upload(self.gpu, &vec![1.0; shape.len()]);
        let partials = [Partials::alone(shape, &partial)];
        run(self.gpu, [weights::reduce_partials(self.gpu, &partials, &partial, Base::Gradient, &g).unwrap()]);
        download(self.gpu, &g).iter().map(|g| g - 1.0).collect()
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    for_each_layer(21, |case, rng| {
        let (x, theta) = (case.inputs(rng), case.parameters(rng));
        let weights = case.weights(&theta, &theta);
        let want = case.op.forward(&x, &theta);
        assert_close(&case.what, &case.forward(weights.as_ref(), &x), &want, 2e-6);
    });
}

#[test]
fn jvp_is_the_derivative_of_the_reference() {
    for_each_layer(22, |case, rng| {
        let (x, tx) = (case.inputs(rng), case.inputs(rng));
        let (theta, v) = (case.parameters(rng), case.parameters(rng));
        // central differences: truncation 1e-12, cancellation 1e-10; a kink within 1e-6 of an input is not in the data
        let step = 1e-6;
        let along = |step: f64| case.op.forward(&moved(&x, step, &tx), &moved(&theta, step, &v));
        let want: Vec<f64> = along(step).iter().zip(along(-step)).map(|(a, b)| (a - b) / (2.0 * step)).collect();
        let weights = case.weights(&theta, &v);
        assert_close(&case.what, &case.jvp(weights.as_ref(), &x, Some(&tx)), &want, 3e-6);
        // The twin's formulas are used as a reference elsewhere: they are right, too.
        assert_close(&case.what, &case.op.jvp(&x, &theta, &tx, &v), &want, 1e-8);
    });
}

#[test]
fn vjp_is_the_adjoint_of_jvp() {
    for_each_layer(23, |case, rng| {
        let (x, tx, c) = (case.inputs(rng), case.inputs(rng), case.outputs(rng));
        let (theta, v) = (case.parameters(rng), case.parameters(rng));
        let weights = case.weights(&theta, &v);
        let still = case.weights(&theta, &vec![0.0; v.len()]);

        let (dx, dw) = case.vjp(weights.as_ref(), &x, &c, true);
        let along_x = case.jvp(still.as_ref(), &x, Some(&tx));
        assert_adjoint(&format!("inputs of {}", case.what), [&along_x, &c], [&tx, &dx]);
        let (want_dx, want_dw) = case.op.vjp(&x, &theta, &c);
        assert_close(&format!("dx of {}", case.what), &dx, &want_dx, 3e-6);

        if weights.is_none() {
            return;
        }
        let along_w = case.jvp(weights.as_ref(), &x, None);
        assert_adjoint(&format!("parameters of {}", case.what), [&along_w, &c], [&v, &dw]);
        assert!(relative_error(&dw, &want_dw) <= 2e-6, "dw of {}", case.what);

        // The first layer with parameters is not asked for dx: its weight gradient is the same, added to ones again.
        let (none, alone) = case.vjp(still.as_ref(), &x, &c, false);
        assert!(none.is_empty() && alone == dw, "dw alone of {}", case.what);
    });
}

/// ⟨Jv, c⟩ = ⟨v, Jᵀc⟩, against the larger of the two sides' norms: a Jv of few values can be small by cancellation.
#[track_caller]
fn assert_adjoint(what: &str, [jv, c]: [&[f64]; 2], [v, jc]: [&[f64]; 2]) {
    let (error, scale) = ((dot(jv, c) - dot(v, jc)).abs(), f64::max(norm(jv) * norm(c), norm(v) * norm(jc)));
    assert!(error <= 1e-6 * scale, "{what}: error {error:e} of scale {scale:e}");
}
