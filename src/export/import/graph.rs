//! Names of a graph and what they stand for.

use super::constant::Constant;
use super::layers::{Imported, Layers};
use super::node::OnnxNode;
use super::value::{Form, GraphValue, Item};
use crate::error::OnnxError;
use crate::export::proto::TensorProto;
use crate::model::LayerKind;
use crate::shape::Shape;
use std::collections::HashMap;
use std::path::Path;

/// Values of an example: sizes out of a file may be any, and their products stay far from 64 bits.
const MOST_VALUES: usize = 1 << 36;

/// What is known so far.
pub(super) struct Import<'a> {
    pub items: HashMap<&'a str, Item>,
    pub initialisers: HashMap<&'a str, &'a TensorProto>,
    /// How many nodes read a name.
    pub readers: HashMap<&'a str, usize>,
    /// Where the model is.
    pub folder: &'a Path,
    /// Examples that the model was made for, where it fixes them.
    pub batch: Option<i64>,
    pub layers: Layers,
}

/// A layer without parameters.
pub(super) fn plain(kind: LayerKind, x: GraphValue, output: Shape) -> Imported {
    Imported { kind, reads: vec![x.of], output, parameters: None, moments: None }
}

impl<'a> Import<'a> {
    /// What input i of a node is.
    pub(super) fn item(&self, node: OnnxNode<'a>, i: usize) -> Result<Item, OnnxError> {
        let name = node.input(i).ok_or_else(|| node.fault(format!("input {} is not there", i + 1)))?;
        if let Some(item) = self.items.get(name) {
            return Ok(item.clone());
        }
        match self.initialisers.get(name) {
            Some(proto) => Constant::read(proto, self.folder).map(Item::Constant),
            None => Err(node.fault(format!("it reads {name}, which nothing before it puts out"))),
        }
    }

    /// The value that is input i, in whatever form.
    pub(super) fn formed(&self, node: OnnxNode<'a>, i: usize) -> Result<GraphValue, OnnxError> {
        match self.item(node, i)? {
            Item::Value(value) => Ok(value),
            Item::Constant(_) => {
                Err(node.fault(format!("input {} is a constant, and layers have a value there", i + 1)))
            }
        }
    }

    /// The same of a value to which nothing was done.
    pub(super) fn value(&self, node: OnnxNode<'a>, i: usize) -> Result<GraphValue, OnnxError> {
        let value = self.formed(node, i)?;
        let what = match value.form {
            Form::Plain => return Ok(value),
            Form::Gate => "a sigmoid, which layers have in a SiLU (x times its own sigmoid) alone",
            Form::Padded(_) => "a padding of channels, which layers have in sums alone",
            Form::Grouped(_) | Form::GroupNormal(_) => {
                "a value in groups, which layers have in group normalisations alone"
            }
            Form::Softmax => "a softmax, which layers have at the end alone",
        };
        Err(node.fault(format!("it reads {what}")))
    }

    /// The same of one with pixels.
    pub(super) fn maps(&self, node: OnnxNode<'a>, i: usize) -> Result<GraphValue, OnnxError> {
        match self.value(node, i)? {
            value if value.is_flat => Err(node.fault("it reads N×C, and layers of this kind read N×C×H×W")),
            value => Ok(value),
        }
    }

    /// The constant that is input i.
    pub(super) fn constant(&self, node: OnnxNode<'a>, i: usize) -> Result<Constant, OnnxError> {
        match self.item(node, i)? {
            Item::Constant(constant) => Ok(constant),
            Item::Value(_) => Err(node.fault(format!("input {} is computed, and layers have a constant there", i + 1))),
        }
    }

    /// Whole numbers that are input i, if it is there.
    pub(super) fn integers(&self, node: OnnxNode<'a>, i: usize) -> Result<Option<Vec<i64>>, OnnxError> {
        if node.input(i).is_none() {
            return Ok(None);
        }
        let found = self.constant(node, i)?;
        let numbers = found.as_integers().map(<[i64]>::to_vec);
        numbers.map(Some).ok_or_else(|| node.fault(format!("input {} has no whole numbers", i + 1)))
    }

    /// So many numbers that are input i.
    pub(super) fn vector(&self, node: OnnxNode<'a>, i: usize, len: usize) -> Result<Vec<f32>, OnnxError> {
        let found = self.constant(node, i)?;
        match found.as_floats() {
            Some(values) if values.len() == len => Ok(values.to_vec()),
            _ => Err(node.fault(format!("input {} has {} values, expected {len} real numbers", i + 1, found.len()))),
        }
    }

    /// Appends a layer.
    pub(super) fn push(&mut self, node: OnnxNode<'a>, layer: Imported) -> Result<GraphValue, OnnxError> {
        let Shape { channels, height, width } = layer.output;
        let values = [channels, height, width].iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        if values.is_none_or(|values| values > MOST_VALUES) {
            return Err(node.fault("more values than any device holds"));
        }
        let added = self.layers.push(layer);
        added.ok_or_else(|| node.fault("more parameters than its file can hold: many layers share some"))
    }
}
