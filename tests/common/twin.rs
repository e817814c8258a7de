//! A model's twin on the CPU: the f64 references of the kernels, chained by hand. It reads the same TOML as the model
//! but builds its layers on its own, so a wrong default, shape or order of layers in the engine shows as a difference.
//! Parameters are compact here (PyTorch's order, no gaps), activations plain `[N][C][H][W]`.

use gpu_subset::kernels::activation::Activation;
use gpu_subset::kernels::batch_norm::BatchNorm;
use gpu_subset::kernels::conv2d::Conv2d;
use gpu_subset::kernels::group_norm::GroupNorm;
use gpu_subset::kernels::pool::Pool;
pub use gpu_subset::model::reference::Map as Op;
use gpu_subset::model::reference::Maps;
use gpu_subset::model::{Description, Edges, Model, Value};
use gpu_subset::shape::Shape;
use std::sync::Arc;

/// Examples that are normalised together.
pub const GROUP: usize = 64;

/// A model and the same graph in f64.
pub struct Twin {
    pub model: Arc<Model>,
    pub ops: Maps,
}

/// The maps so far, with the names that layers have.
struct Builder {
    input: Shape,
    classes: usize,
    ops: Maps,
    last: Value,
    names: Vec<(String, Value)>,
}

impl Twin {
    /// `layers` is the list of a description's layers in TOML: `{ kind = "conv", channels = 3, size = 5 }, { kind =
    /// "dense" }`.
    pub fn new(input: Shape, classes: usize, layers: &str) -> Self {
        let toml = format!("group = {GROUP}\nlayer = [{layers}]");
        let model = Model::new(&Description::parse(&toml, "twin.toml").unwrap(), input, classes).unwrap();
        let ops = Maps { maps: Vec::new(), edges: Vec::new(), shares: None };
        let mut builder = Builder { input, classes, ops, last: Value::EXAMPLE, names: Vec::new() };
        for layer in toml.parse::<toml::Table>().unwrap()["layer"].as_array().unwrap() {
            builder.push(layer, Value::EXAMPLE);
        }
        let ops = builder.ops;
        let shapes: Vec<_> = model.layers().iter().map(|layer| layer.output()).collect();
        assert_eq!(shapes, ops.maps.iter().map(Op::output).collect::<Vec<_>>(), "{layers}");
        assert_eq!(model.parameters(), ops.maps.iter().map(Op::parameters).sum::<usize>(), "{layers}");
        Self { model: Arc::new(model), ops }
    }

    /// Every value, last the logits.
    pub fn forward(&self, theta: &[f64], x: Vec<f64>) -> Vec<Vec<f64>> {
        self.ops.forward(theta, x)
    }

    /// J v, the derivative of the logits along a direction of the parameters.
    pub fn jvp(&self, theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
        self.ops.jvp(theta, x, v)
    }

    /// Jᵀ dz, summed over the examples.
    pub fn vjp(&self, theta: &[f64], x: &[Vec<f64>], dz: Vec<f64>) -> Vec<f64> {
        self.ops.vjp(theta, x, dz, |_, _| {})
    }

    /// The parameters of each op.
    pub fn split<'a>(&self, theta: &'a [f64]) -> Vec<&'a [f64]> {
        self.ops.split(theta)
    }
}

impl Builder {
    fn shape(&self, value: Value) -> Shape {
        value.layer().map_or(self.input, |i| self.ops.maps[i].output())
    }

    fn find(&self, name: &str, input: Value) -> Value {
        if name == "input" { input } else { self.names.iter().rev().find(|(other, _)| other == name).unwrap().1 }
    }

    fn add(&mut self, op: Op, x: Value, plus: Option<Value>) {
        self.ops.maps.push(op);
        self.ops.edges.push(Edges { x, plus });
        self.last = Value::of_layer(self.ops.maps.len() - 1);
    }

    /// Appends the sum of two values, or of one and the last, or one after the other.
    fn push_sum(&mut self, reads: &[Value], is_concat: bool) {
        let (x, plus) = if let [x, plus] = *reads { (x, plus) } else { (self.last, reads[0]) };
        let [a, b] = [x, plus].map(|value| self.shape(value));
        let channels = if is_concat { a.channels + b.channels } else { a.channels.max(b.channels) };
        let first = if is_concat { a.channels } else { 0 };
        self.add(Op::Sum { input: a, output: Shape { channels, ..a }, first }, x, Some(plus));
    }

    /// Appends a layer of a block that reads `input`.
    fn push(&mut self, layer: &toml::Value, input: Value) {
        let number = |key: &str| layer.get(key).map(|value| value.as_integer().unwrap() as usize);
        let reads: Vec<Value> = match layer.get("from") {
            None => vec![self.last],
            Some(toml::Value::String(name)) => vec![self.find(name, input)],
            Some(names) => {
                names.as_array().unwrap().iter().map(|name| self.find(name.as_str().unwrap(), input)).collect()
            }
        };
        let (x, shape, size) = (reads[0], self.shape(reads[0]), number("size").unwrap_or(0));
        let window = |stride| Pool {
            input: shape,
            height: size,
            width: size,
            stride: number("stride").unwrap_or(stride),
            padding: number("padding").unwrap_or(0),
        };
        match layer["kind"].as_str().unwrap() {
            "conv" => {
                let (Pool { stride, padding, .. }, channels) = (window(1), number("channels").unwrap());
                let groups = number("groups").unwrap_or(1);
                self.add(
                    Op::Affine(Arc::new(Conv2d { input: shape, channels, size, stride, padding, groups })),
                    x,
                    None,
                );
            }
            "dense" => {
                let units = number("units").unwrap_or(self.classes);
                self.add(Op::Affine(Arc::new(Conv2d::dense(shape.len(), units))), x, None);
            }
            "max-pool" => self.add(Op::Max(window(size)), x, None),
            "avg-pool" => self.add(Op::Average(window(size)), x, None),
            "global-avg-pool" => {
                let (height, width) = (shape.height, shape.width);
                self.add(Op::Average(Pool { input: shape, height, width, padding: 0, stride: 1 }), x, None);
            }
            "batch-norm" => self.add(Op::Norm(BatchNorm { shape }, GROUP), x, None),
            "group-norm" => self.add(Op::GroupNorm(GroupNorm { shape, groups: number("groups").unwrap() }), x, None),
            "activation" => self.add(Op::Elementwise(function(&layer["function"]), shape), x, None),
            kind @ ("add" | "concat") => self.push_sum(&reads, kind == "concat"),
            "block" => {
                self.last = x;
                for _ in 0..number("repeat").unwrap_or(1) {
                    let (input, before) = (self.last, self.names.len());
                    layer["layer"].as_array().unwrap().iter().for_each(|layer| self.push(layer, input));
                    self.names.truncate(before);
                }
            }
            kind => panic!("{kind}: the twin does not know it"),
        }
        if let Some(name) = layer.get("activation") {
            self.add(Op::Elementwise(function(name), self.shape(self.last)), self.last, None);
        }
        if let Some(name) = layer.get("name") {
            self.names.push((name.as_str().unwrap().to_owned(), self.last));
        }
    }
}

/// The activation of this name.
fn function(name: &toml::Value) -> Activation {
    Activation::ALL.into_iter().find(|f| Some(f.name()) == name.as_str()).unwrap()
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
