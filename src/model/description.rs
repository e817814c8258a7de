//! A model as a person writes it, in TOML.

use crate::error::{ModelError, Result, shown};
use crate::files::{TEXT, line_of, read_text};
use crate::kernels::activation::Activation;
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

/// A model description: `[[layer]]` tables in order. Each reads the one before it unless it says `from`. The last layer
/// has one output a class; a dense one leaves `units` out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// For people; a file's stem when left out.
    #[serde(default)]
    pub name: String,
    /// How weights start.
    #[serde(default)]
    pub initialisation: Initialisation,
    /// Examples over which normalisations take their mean and variance, in a loss over many: one after another, in
    /// groups of so many. A mini-batch is one group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The layers.
    #[serde(default)]
    pub(crate) layer: Vec<LayerDescription>,
}

/// A `[[layer]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerDescription {
    /// By which others find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it reads, if not the layer before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sources>,
    #[serde(flatten)]
    pub kind: LayerKind,
}

/// Names of layers, or `input`: what goes into the block that they are in, or into the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Sources {
    One(String),
    Many(Vec<String>),
}

/// What a layer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum LayerKind {
    Conv {
        channels: usize,
        size: usize,
        #[serde(default = "one")]
        stride: usize,
        #[serde(default)]
        padding: usize,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
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
    BatchNorm {
        activation: Option<Activation>,
    },
    GroupNorm {
        groups: usize,
        activation: Option<Activation>,
    },
    /// The sum of two values, or of one and the layer before. `pad`: channels that one of them lacks are zeros.
    Add {
        #[serde(default)]
        pad: bool,
        activation: Option<Activation>,
    },
    /// The channels of two values, or of one and the layer before, one after the other.
    Concat {
        activation: Option<Activation>,
    },
    /// An activation on its own.
    Activation {
        function: Activation,
    },
    /// Layers whose names are their own, one after another and so many times.
    Block {
        #[serde(default = "one")]
        repeat: usize,
        layer: Vec<LayerDescription>,
    },
}

impl From<LayerKind> for LayerDescription {
    fn from(kind: LayerKind) -> Self {
        Self { name: None, from: None, kind }
    }
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

/// Name, images that it is made for, and text.
const BUILTIN: [(&str, Shape, &str); 8] = [
    ("digits-1k", Shape::new(1, 8, 8), include_str!("builtin/digits-1k.toml")),
    ("digits-resnet-5k", Shape::new(1, 8, 8), include_str!("builtin/digits-resnet-5k.toml")),
    ("mnist-2k", Shape::new(1, 28, 28), include_str!("builtin/mnist-2k.toml")),
    ("mnist-14k", Shape::new(1, 28, 28), include_str!("builtin/mnist-14k.toml")),
    ("mnist-resnet-19k", Shape::new(1, 28, 28), include_str!("builtin/mnist-resnet-19k.toml")),
    ("cifar-43k", Shape::new(3, 32, 32), include_str!("builtin/cifar-43k.toml")),
    ("cifar-resnet-75k", Shape::new(3, 32, 32), include_str!("builtin/cifar-resnet-75k.toml")),
    ("cifar-resnet-300k", Shape::new(3, 32, 32), include_str!("builtin/cifar-resnet-300k.toml")),
];

impl Description {
    /// Softmax regression on means over `size` × `size` pixels.
    pub fn linear(size: usize) -> Self {
        let pool = LayerKind::AvgPool { size, stride: None, padding: 0 };
        let dense = LayerKind::Dense { units: None, activation: None };
        let layer = if size > 1 { vec![pool.into(), dense.into()] } else { vec![dense.into()] };
        Self { name: "linear".to_owned(), initialisation: Initialisation::default(), group: None, layer }
    }

    /// Names of the built-in descriptions.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, ..)| *name)
    }

    /// The images that a built-in description is made for.
    pub fn input_of(name: &str) -> Option<Shape> {
        BUILTIN.iter().find(|(builtin, ..)| *builtin == name).map(|(_, input, _)| *input)
    }

    /// A built-in description by name, or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there is neither, or the file is no description.
    pub fn open(name: &str) -> Result<Self> {
        if let Some((.., toml)) = BUILTIN.iter().find(|(builtin, ..)| *builtin == name) {
            return Self::parse(toml, name);
        }
        let toml = read_text(Path::new(name), TEXT).map_err(|source| ModelError::Unknown {
            name: name.to_owned(),
            known: Self::builtin_names().collect(),
            source,
        })?;
        Self::parse(&toml, name)
    }

    /// The built-in description for images of this shape; for others a residual network as deep as their size asks for,
    /// like `cifar-resnet-75k`; for features two hidden layers.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) for what has no height and width to speak of.
    pub fn suiting(shape: Shape) -> Result<Self> {
        match (shape.channels, shape.height, shape.width) {
            (1, 8, 8) => Self::open("digits-1k"),
            (1, 28, 28) => Self::open("mnist-14k"),
            (3, 32, 32) => Self::open("cifar-43k"),
            _ => Self::of_pictures(shape)
                .or_else(|| Self::of_features(shape))
                .ok_or_else(|| ModelError::NoDefault { images: shape, known: Self::builtin_names().collect() }.into()),
        }
    }

    /// A description from TOML; `source` names it in messages.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) with line and column.
    pub fn parse(toml: &str, source: &str) -> Result<Self> {
        let mut description: Self = toml::from_str(toml).map_err(|e| ModelError::Syntax {
            file: source.to_owned(),
            line: line_of(toml, &e),
            source: Box::new(e),
        })?;
        if description.name.is_empty() {
            description.name = Path::new(source).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        description.name = shown(&description.name);
        Ok(description)
    }
}
