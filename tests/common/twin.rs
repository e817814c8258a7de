//! A model's twin on the CPU: the f64 references of the kernels, chained by hand. It reads the same TOML as the model
//! but builds its layers on its own, so a wrong default, shape or order of layers in the engine shows as a difference.
//! Parameters are compact here (PyTorch's order, no gaps), activations plain `[N][C][H][W]`.

use gpu_subset::kernels::activation::{self, Activation};
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::pool::{self, Pool};
use gpu_subset::kernels::product;
use gpu_subset::model::{Description, Model};
use gpu_subset::shape::Shape;
use std::sync::Arc;

/// One layer.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Convolution, or dense as a convolution of one pixel.
    Affine(Conv2d),
    Elementwise(Activation, Shape),
    Max(Pool),
    Average(Pool),
}

impl Op {
    pub fn output(&self) -> Shape {
        match self {
            Self::Affine(conv) => conv.output().unwrap(),
            Self::Elementwise(_, shape) => *shape,
            Self::Max(window) | Self::Average(window) => window.output().unwrap(),
        }
    }

    /// Length of θ.
    pub fn parameters(&self) -> usize {
        if let Self::Affine(conv) = self { conv.weights().len() } else { 0 }
    }

    /// y = f(x; θ)
    pub fn forward(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(conv) => product::reference::forward(conv, x, theta),
            Self::Elementwise(f, _) => x.iter().map(|&x| activation::reference::forward(*f, x)).collect(),
            Self::Max(window) => pool::reference::max_select(window, x, x),
            Self::Average(window) => pool::reference::avg_forward(window, x),
        }
    }

    /// J_x tx + J_θ v
    pub fn jvp(&self, x: &[f64], theta: &[f64], tx: &[f64], v: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(conv) => product::reference::jvp(conv, [x, tx], [theta, v]),
            Self::Elementwise(f, _) => activation::reference::product(*f, x, tx),
            Self::Max(window) => pool::reference::max_select(window, x, tx),
            Self::Average(window) => pool::reference::avg_forward(window, tx),
        }
    }

    /// (J_xᵀ dy, J_θᵀ dy)
    pub fn vjp(&self, x: &[f64], theta: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Affine(conv) => {
                (product::reference::grad_input(conv, dy, theta), product::reference::grad_weight(conv, x, dy))
            }
            Self::Elementwise(f, _) => (activation::reference::product(*f, x, dy), Vec::new()),
            Self::Max(window) => (pool::reference::max_vjp(window, x, dy), Vec::new()),
            Self::Average(window) => (pool::reference::avg_vjp(window, dy), Vec::new()),
        }
    }
}

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
                    Op::Affine(Conv2d { input, channels: number("channels").unwrap(), size, stride, padding })
                }
                "dense" => Op::Affine(Conv2d::dense(input.len(), number("units").unwrap_or(classes))),
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
        let mut all = vec![x];
        for (op, theta) in self.ops.iter().zip(self.split(theta)) {
            all.push(op.forward(&all[all.len() - 1], theta));
        }
        all
    }

    /// J v, the derivative of the logits along a direction of the parameters.
    pub fn jvp(&self, theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
        let mut tx = vec![0.0; x[0].len()];
        for (((op, theta), v), x) in self.ops.iter().zip(self.split(theta)).zip(self.split(v)).zip(x) {
            tx = op.jvp(x, theta, &tx, v);
        }
        tx
    }

    /// Jᵀ dz, summed over the examples.
    pub fn vjp(&self, theta: &[f64], x: &[Vec<f64>], dz: Vec<f64>) -> Vec<f64> {
        let mut dy = dz;
        let mut gradients = Vec::new();
        for ((op, theta), x) in self.ops.iter().zip(self.split(theta)).zip(x).rev() {
            let (dx, gradient) = op.vjp(x, theta, &dy);
            gradients.push(gradient);
            dy = dx;
        }
        gradients.into_iter().rev().flatten().collect()
    }

    /// The parameters of each op.
    pub fn split<'a>(&self, mut theta: &'a [f64]) -> Vec<&'a [f64]> {
        let parts = self.ops.iter().map(|op| theta.split_off(..op.parameters()).unwrap()).collect();
        assert!(theta.is_empty());
        parts
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
