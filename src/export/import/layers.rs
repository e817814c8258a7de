//! The layers that nodes become, with their parameters, and the description that they add up to.

use super::value::{Form, GraphValue};
use crate::kernels::activation::Activation;
use crate::model::{Description, Initialisation, LayerDescription, LayerKind, Sources};
use crate::shape::Shape;
use std::collections::HashSet;

/// A layer so far.
#[derive(Debug)]
pub(super) struct Imported {
    pub kind: LayerKind,
    /// What it reads, as [`GraphValue::of`] counts: one value, or the two terms of a sum.
    pub reads: Vec<usize>,
    pub output: Shape,
    /// Weights and biases, or scales and shifts.
    pub parameters: Option<[Vec<f32>; 2]>,
    /// Mean and variance of each channel.
    pub moments: Option<[Vec<f32>; 2]>,
}

/// All of them, and what is done to the pixels before.
#[derive(Debug)]
pub(super) struct Layers {
    pub all: Vec<Imported>,
    /// m and s of each channel: the first layer reads (x − m)/s.
    pub normalisation: Vec<(f64, f64)>,
    /// How many parameters and moments there may be: as many as a file of its length can hold.
    room: usize,
}

/// Arithmetic with a constant of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Layers {
    pub(super) fn new(channels: usize, room: usize) -> Self {
        Self { all: Vec::new(), normalisation: vec![(0.0, 1.0); channels], room }
    }

    /// Appends a layer; none where there are more parameters than the file can hold.
    pub(super) fn push(&mut self, layer: Imported) -> Option<GraphValue> {
        let words = [&layer.parameters, &layer.moments].into_iter().flatten().flatten().map(Vec::len).sum();
        self.room = self.room.checked_sub(words)?;
        let shape = layer.output;
        self.all.push(layer);
        Some(GraphValue { of: self.all.len(), shape, is_flat: false, form: Form::Plain, readers: 0 })
    }

    /// f of a value: in the layer that puts it out, where no more than `most` nodes read this, or else in one of its
    /// own.
    pub(super) fn activate(&mut self, x: GraphValue, function: Activation, most: usize) -> Option<GraphValue> {
        let layer = x.of.checked_sub(1).map(|i| &mut self.all[i]).filter(|_| x.readers <= most);
        if let Some(activation @ None) = layer.and_then(|layer| activation(&mut layer.kind)) {
            *activation = Some(function);
            return Some(x);
        }
        let kind = LayerKind::Activation { function };
        let y = self.push(Imported { kind, reads: vec![x.of], output: x.shape, parameters: None, moments: None })?;
        Some(GraphValue { is_flat: x.is_flat, ..y })
    }

    /// A value with a constant of each channel added or multiplied: in what puts it out, unless something else reads
    /// that, or it ends in an activation. None where it cannot.
    pub(super) fn fold(&mut self, x: GraphValue, how: Arithmetic, by: &[f32]) -> Option<GraphValue> {
        if x.readers > 1 {
            return None;
        }
        let Some(i) = x.of.checked_sub(1) else {
            for ((mean, deviation), &c) in self.normalisation.iter_mut().zip(by) {
                match how {
                    Arithmetic::Add => *mean -= f64::from(c) * *deviation,
                    Arithmetic::Sub => *mean += f64::from(c) * *deviation,
                    Arithmetic::Mul => *deviation /= f64::from(c),
                    Arithmetic::Div => *deviation *= f64::from(c),
                }
            }
            return Some(x);
        };
        let layer = &mut self.all[i];
        let [weights, biases] = layer.parameters.as_mut()?;
        if activation(&mut layer.kind)?.is_some() {
            return None;
        }
        let each = weights.len() / biases.len().max(1);
        for (channel, (bias, &c)) in biases.iter_mut().zip(by).enumerate() {
            let own = &mut weights[channel * each..(channel + 1) * each];
            match how {
                Arithmetic::Add => *bias += c,
                Arithmetic::Sub => *bias -= c,
                Arithmetic::Mul => own.iter_mut().chain([bias]).for_each(|value| *value *= c),
                Arithmetic::Div => own.iter_mut().chain([bias]).for_each(|value| *value /= c),
            }
        }
        Some(x)
    }

    /// The description. A last dense layer has one output a class, so that it can have another number.
    pub(super) fn description(&self, name: String) -> Description {
        // what each reads by name: a layer that reads the one before it alone names nothing
        let named = self.all.iter().enumerate().map(|(i, layer)| match layer.reads[..] {
            [x, ref others @ ..] if x == i => others,
            _ => &layer.reads[..],
        });
        let named: Vec<&[usize]> = named.collect();
        let read: HashSet<usize> = named.iter().copied().flatten().copied().collect();
        let name_of = |of: usize| if of == 0 { "input".to_owned() } else { format!("layer{of}") };
        let describe = |(i, layer): (usize, &Imported)| {
            let from = match named[i] {
                [] => None,
                [one] => Some(Sources::One(name_of(*one))),
                many => Some(Sources::Many(many.iter().map(|&of| name_of(of)).collect())),
            };
            let name = read.contains(&(i + 1)).then(|| name_of(i + 1));
            LayerDescription { name, from, kind: layer.kind.clone() }
        };
        let mut layer: Vec<LayerDescription> = self.all.iter().enumerate().map(describe).collect();
        if let Some(LayerDescription { kind: LayerKind::Dense { units, .. }, .. }) = layer.last_mut() {
            *units = None;
        }
        Description { name, initialisation: Initialisation::default(), group: None, layer }
    }
}

/// The activation that a layer ends in, of a kind that may have one.
fn activation(kind: &mut LayerKind) -> Option<&mut Option<Activation>> {
    match kind {
        LayerKind::Conv { activation, .. }
        | LayerKind::Dense { activation, .. }
        | LayerKind::BatchNorm { activation }
        | LayerKind::GroupNorm { activation, .. }
        | LayerKind::Add { activation, .. }
        | LayerKind::Concat { activation } => Some(activation),
        _ => None,
    }
}
