//! A model's twin on the CPU: the f64 references of the kernels, chained by hand. It reads the same TOML as the model
//! but builds its layers on its own, so a wrong default, shape or order of layers in the engine shows as a difference.
//! Parameters are compact here (PyTorch's order, no gaps), activations plain `[N][C][H][W]`.

use gpu_subset::kernels::activation::Activation;
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::pool::Pool;
pub use gpu_subset::model::reference::Map as Op;
use gpu_subset::model::reference::{forward, jvp, split, vjp};
use gpu_subset::model::{Description, Model};
use gpu_subset::shape::Shape;
use std::sync::Arc;

/// A model and the same chain in f64.
pub struct Twin {
    pub model: Arc<Model>,
    pub ops: Vec<Op>,
}

impl Twin {
    /// `layers` is the list of a description's layers in TOML: `{ kind = "conv", channels = 3, size = 5 }, { kind =
    /// "dense" }`.
    pub fn new(input: Shape, classes: usize, layers: &str) -> Self {
        let toml = format!("layer = [{layers}]");
        let model = Model::new(&Description::parse(&toml, "twin.toml").unwrap(), input, classes).unwrap();
        let mut ops: Vec<Op> = Vec::new();
        for layer in toml.parse::<toml::Table>().unwrap()["layer"].as_array().unwrap() {
            let input = ops.last().map_or(input, Op::output);
            let number = |key: &str| layer.get(key).map(|value| value.as_integer().unwrap() as usize);
            let size = number("size").unwrap_or(0);
            let window = |stride| Pool {
                input,
                height: size,
                width: size,
                stride: number("stride").unwrap_or(stride),
                padding: number("padding").unwrap_or(0),
            };
            ops.push(match layer["kind"].as_str().unwrap() {
                "conv" => {
                    let Pool { stride, padding, .. } = window(1);
                    Op::Affine(Arc::new(Conv2d { input, channels: number("channels").unwrap(), size, stride, padding }))
                }
                "dense" => Op::Affine(Arc::new(Conv2d::dense(input.len(), number("units").unwrap_or(classes)))),
                "max-pool" => Op::Max(window(size)),
                "avg-pool" => Op::Average(window(size)),
                "global-avg-pool" => {
                    Op::Average(Pool { height: input.height, width: input.width, padding: 0, stride: 1, input })
                }
                kind => panic!("{kind}: the twin does not know it"),
            });
            if let Some(name) = layer.get("activation") {
                let function = Activation::ALL.into_iter().find(|f| Some(f.name()) == name.as_str()).unwrap();
                ops.push(Op::Elementwise(function, ops.last().unwrap().output()));
            }
        }
        let shapes: Vec<_> = model.layers().iter().map(|layer| layer.output()).collect();
        assert_eq!(shapes, ops.iter().map(Op::output).collect::<Vec<_>>(), "{layers}");
        assert_eq!(model.parameters(), ops.iter().map(Op::parameters).sum::<usize>(), "{layers}");
        Self { model: Arc::new(model), ops }
    }

    /// x of each layer, and last the logits.
    pub fn forward(&self, theta: &[f64], x: Vec<f64>) -> Vec<Vec<f64>> {
        forward(&self.ops, theta, x)
    }

    /// J v, the derivative of the logits along a direction of the parameters.
    pub fn jvp(&self, theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
        jvp(&self.ops, theta, x, v)
    }

    /// Jᵀ dz, summed over the examples.
    pub fn vjp(&self, theta: &[f64], x: &[Vec<f64>], dz: Vec<f64>) -> Vec<f64> {
        vjp(&self.ops, theta, x, dz, |_, _| {})
    }

    /// The parameters of each op.
    pub fn split<'a>(&self, theta: &'a [f64]) -> Vec<&'a [f64]> {
        split(&self.ops, theta)
    }
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

pub fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// ‖got − want‖ / ‖want‖
pub fn relative_error(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let difference: Vec<f64> = got.iter().zip(want).map(|(g, w)| g - w).collect();
    norm(&difference) / norm(want)
}

/// x + step · v
pub fn moved(x: &[f64], step: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + step * v).collect()
}
