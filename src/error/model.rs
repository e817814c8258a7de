//! Models that cannot be built.

use super::text::{BoxError, shown};
use crate::shape::Shape;

/// Why a model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Neither a built-in model nor a file that can be read.
    #[error("model {}: neither a built-in model ({}) nor a file that can be read", shown(name), known.join(", "))]
    Unknown {
        /// What was asked for: a name or a path.
        name: String,
        /// The built-in models.
        known: Vec<&'static str>,
        /// Why there is no file.
        source: std::io::Error,
    },
    /// A description that is no TOML, or no model.
    #[error("{}, line {line}: no description of a model", shown(file))]
    Syntax {
        /// The file, or the name of a built-in model.
        file: String,
        /// Line of the fault, from 1.
        line: usize,
        /// A [`toml::de::Error`].
        source: BoxError,
    },
    /// A size of a layer that is out of range.
    #[error("model {}, layer {layer}: {what} = {value} is not between {least} and {most}", shown(model))]
    Size {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// Which of its sizes.
        what: &'static str,
        /// What it is.
        value: usize,
        /// Least that it may be.
        least: usize,
        /// Most that it may be.
        most: usize,
    },
    /// A layer with sizes that no device has room for.
    #[error(
        "model {}, layer {layer}: {values} values an example and {weights} weights are more than any device holds",
        shown(model)
    )]
    TooLarge {
        /// Name of the model.
        model: String,
        /// Which layer, from 1; 0: the images themselves.
        layer: usize,
        /// Values of an example that come out of it.
        values: u128,
        /// Its weights.
        weights: u128,
    },
    /// A window that is larger than what it slides over.
    #[error("model {}, layer {layer}: {window} does not fit into {input}", shown(model))]
    Window {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// The filter or window, in words.
        window: String,
        /// What the layer reads of an example.
        input: Shape,
    },
    /// A name that no layer has that comes before.
    #[error("model {}, layer {layer}: it reads {}, but no layer before it has this name", shown(model), shown(name))]
    Unnamed {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// The name.
        name: String,
    },
    /// A name that another layer of the same block has, or that means the block's input.
    #[error("model {}, layer {layer}: the name {} is taken", shown(model), shown(name))]
    SameName {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// The name.
        name: String,
    },
    /// A layer that reads more values than it takes.
    #[error("model {}, layer {layer}: it reads {reads} values and takes {takes}", shown(model))]
    Sources {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// How many it reads.
        reads: usize,
        /// How many it can.
        takes: usize,
    },
    /// Two values that have no sum.
    #[error("model {}, layer {layer}: {} and {} have no sum", shown(model), terms[0], terms[1])]
    Terms {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// The terms.
        terms: [Shape; 2],
    },
    /// Channels that are no whole number of channels a group.
    #[error("model {}, layer {layer}: {channels} channels are not divisible into {groups} groups", shown(model))]
    Groups {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
        /// Groups that were asked for.
        groups: usize,
        /// Channels of what it reads.
        channels: usize,
    },
    /// A layer whose output plays no part.
    #[error("model {}: nothing reads what {} puts out", shown(model), shown(layer))]
    Unread {
        /// Name of the model.
        model: String,
        /// Name of the layer.
        layer: String,
    },
    /// A dense layer that is not the last and does not say how many units it has.
    #[error("model {}, layer {layer}: a dense layer without units that is not the last", shown(model))]
    Units {
        /// Name of the model.
        model: String,
        /// Which layer, from 1.
        layer: usize,
    },
    /// Outputs that are not one a class.
    #[error("model {}: ends in {outputs} values an example, but the data has {classes} classes", shown(model))]
    Outputs {
        /// Name of the model.
        model: String,
        /// What its last layer writes of an example.
        outputs: Shape,
        /// M, the number of classes.
        classes: usize,
    },
    /// Images for which there is no built-in model.
    #[error("there is no default model for {images} images (built in: {})", known.join(", "))]
    NoDefault {
        /// Shape of the images.
        images: Shape,
        /// The built-in models.
        known: Vec<&'static str>,
    },
    /// Parameters that a method with Kronecker factors would never move.
    #[error("layer {}: its parameters have no Kronecker factors", shown(layer))]
    NoFactors {
        /// Name of the layer.
        layer: String,
    },
    /// Layers to be kept as they are that leave none to train, or that have no parameters.
    #[error(
        "model {}, layers up to {number}: parameters are in {first} to {last}, and some have to be kept and some left",
        shown(model)
    )]
    Frozen {
        /// Name of the model.
        model: String,
        /// The last layer that was to be kept.
        number: usize,
        /// The first layer with parameters.
        first: usize,
        /// The last one.
        last: usize,
    },
    /// Nothing to train.
    #[error("model {}: no layer has parameters to train", shown(model))]
    NoParameters {
        /// Name of the model.
        model: String,
    },
}
