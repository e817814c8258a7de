//! A model as a person writes it: TOML in, layers with inferred shapes out.

use super::Layer;
use super::activation::ActivationLayer;
use super::affine::Affine;
use super::pool::Pooling;
use crate::error::{ModelError, Result};
use crate::kernels::activation::Activation;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::pool::Pool;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How weights start. Biases start at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// Variance gain / fan-in, gain 2 before ReLU and SiLU, else 1 (He et al. 2015, arXiv 1502.01852).
    #[default]
    He,
    /// Variance 2 / (fan-in + fan-out) (Glorot and Bengio 2010).
    Glorot,
}

/// A model description: `[[layer]]` tables in order. The last layer has one output a class; a dense one leaves `units` out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// For people; a file's stem when left out.
    #[serde(default)]
    pub name: String,
    /// How weights start.
    #[serde(default)]
    pub initialisation: Initialisation,
    /// The layers.
    #[serde(default)]
    layer: Vec<LayerDescription>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum LayerDescription {
    Conv {
        channels: usize,
        size: usize,
        #[serde(default = "one")]
        stride: usize,
        #[serde(default)]
        padding: usize,
        activation: Option<Activation>,
    },
    Dense {
        units: Option<usize>,
        activation: Option<Activation>,
    },
    MaxPool {
        size: usize,
        stride: Option<usize>,
        #[serde(default)]
        padding: usize,
    },
    AvgPool {
        size: usize,
        stride: Option<usize>,
        #[serde(default)]
        padding: usize,
    },
    GlobalAvgPool {},
}

fn one() -> usize {
    1
}

/// Numbers beyond these are slips of the pen, and their products would overflow.
const MOST_UNITS: usize = 1 << 16;
const LARGEST_WINDOW: usize = 1 << 10;

const BUILTIN: [(&str, &str); 4] = [
    ("digits-1k", include_str!("builtin/digits-1k.toml")),
    ("mnist-2k", include_str!("builtin/mnist-2k.toml")),
    ("mnist-14k", include_str!("builtin/mnist-14k.toml")),
    ("cifar-43k", include_str!("builtin/cifar-43k.toml")),
];

impl Description {
    /// Softmax regression on means over `size` × `size` pixels.
    pub fn linear(size: usize) -> Self {
        let pool = LayerDescription::AvgPool { size, stride: None, padding: 0 };
        let dense = LayerDescription::Dense { units: None, activation: None };
        let layer = if size > 1 { vec![pool, dense] } else { vec![dense] };
        Self { name: "linear".to_owned(), initialisation: Initialisation::default(), layer }
    }

    /// Names of the built-in descriptions.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// A built-in description by name, or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there is neither, or the file is no description.
    pub fn open(name: &str) -> Result<Self> {
        if let Some((_, toml)) = BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
            return Self::parse(toml, name);
        }
        let toml = std::fs::read_to_string(name).map_err(|source| ModelError::Unknown {
            name: name.to_owned(),
            known: Self::builtin_names().collect(),
            source,
        })?;
        Self::parse(&toml, name)
    }

    /// A description from TOML; `source` names it in messages.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) with line and column.
    pub fn parse(toml: &str, source: &str) -> Result<Self> {
        let mut description: Self = toml::from_str(toml).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + toml[..span.start].matches('\n').count());
            ModelError::Syntax { file: source.to_owned(), line, source: Box::new(e) }
        })?;
        if description.name.is_empty() {
            description.name = Path::new(source).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        Ok(description)
    }

    /// The layers for examples of shape `input`, and the standard deviation of each one's initial weights.
    pub(super) fn layers(&self, input: Shape, classes: usize) -> Result<(Layers, Vec<f64>)> {
        let mut chain = Chain { name: &self.name, shape: input, layers: Vec::new(), deviations: Vec::new() };
        for (index, layer) in self.layer.iter().enumerate() {
            let is_last = index + 1 == self.layer.len();
            chain.push(index, layer, self.initialisation, is_last.then_some(classes))?;
        }
        let outputs = chain.shape;
        if self.layer.is_empty() || outputs != Shape::vector(classes) {
            return Err(ModelError::Outputs { model: self.name.clone(), outputs, classes }.into());
        }
        Ok((chain.layers, chain.deviations))
    }
}

type Layers = Vec<Box<dyn Layer>>;

/// Layers so far, and the shape that the next one meets.
struct Chain<'a> {
    name: &'a str,
    shape: Shape,
    layers: Layers,
    deviations: Vec<f64>,
}

impl Chain<'_> {
    fn push(
        &mut self,
        index: usize,
        layer: &LayerDescription,
        init: Initialisation,
        classes: Option<usize>,
    ) -> Result<()> {
        let number = index + 1;
        let input = self.shape;
        let model = || self.name.to_owned();
        let check = |what: &'static str, value: usize, least: usize| {
            let most = if matches!(what, "channels" | "units") { MOST_UNITS } else { LARGEST_WINDOW };
            match value {
                v if (least..=most).contains(&v) => Ok(v),
                value => Err(ModelError::Size { model: model(), layer: number, what, value, least, most }),
            }
        };
        let too_small = |window: String| ModelError::Window { model: model(), layer: number, window, input };
        match *layer {
            LayerDescription::Conv { channels, size, stride, padding, activation } => {
                check("channels", channels, 1)?;
                check("size", size, 1)?;
                check("stride", stride, 1)?;
                check("padding", padding, 0)?;
                let conv = Affine::conv(format!("conv{number}"), Conv2d { input, channels, size, stride, padding })
                    .ok_or_else(|| too_small(format!("a {size}×{size} filter with padding {padding}")))?;
                self.affine(conv, number, activation, init, classes.is_some());
            }
            LayerDescription::Dense { units, activation } => {
                let missing = || ModelError::Units { model: model(), layer: number };
                let units = units.or(classes).ok_or_else(missing)?;
                check("units", units, 1)?;
                self.affine(
                    Affine::dense(format!("dense{number}"), input.len(), units),
                    number,
                    activation,
                    init,
                    classes.is_some(),
                );
            }
            LayerDescription::MaxPool { size, stride, padding }
            | LayerDescription::AvgPool { size, stride, padding } => {
                let is_max = matches!(layer, LayerDescription::MaxPool { .. });
                check("size", size, 1)?;
                check("padding", padding, 0)?;
                let stride = check("stride", stride.unwrap_or(size), 1)?;
                let window = Pool { input, height: size, width: size, stride, padding };
                let name = format!("{}{number}", if is_max { "max_pool" } else { "avg_pool" });
                let pool = Pooling::new(name, window, is_max).ok_or_else(|| {
                    too_small(format!("a {size}×{size} window with padding {padding} (at most half of it)"))
                })?;
                self.add(pool, 0.0);
            }
            LayerDescription::GlobalAvgPool {} => {
                let window = Pool { input, height: input.height, width: input.width, stride: 1, padding: 0 };
                let pool = Pooling::new(format!("global_avg_pool{number}"), window, false);
                self.add(pool.ok_or_else(|| too_small("a window of the whole image".to_owned()))?, 0.0);
            }
        }
        Ok(())
    }

    fn affine(
        &mut self,
        layer: Affine,
        number: usize,
        activation: Option<Activation>,
        init: Initialisation,
        is_last: bool,
    ) {
        let weights = layer.weights().expect("an affine layer has weights");
        let (fan_in, fan_out) = (weights.patches() as f64, (weights.outputs * weights.taps) as f64);
        let gain = match activation {
            Some(Activation::Relu | Activation::Silu) if !is_last => 2.0,
            _ => 1.0,
        };
        let variance = match init {
            Initialisation::He => gain / fan_in,
            Initialisation::Glorot => 2.0 / (fan_in + fan_out),
        };
        self.add(layer, variance.sqrt());
        if let Some(function) = activation {
            self.add(
                ActivationLayer { name: format!("{}{number}", function.name()), function, shape: self.shape },
                0.0,
            );
        }
    }

    fn add(&mut self, layer: impl Layer + 'static, deviation: f64) {
        self.shape = layer.output();
        self.layers.push(Box::new(layer));
        self.deviations.push(deviation);
    }
}
