//! Nodes that change the shape of a value, and arithmetic with shapes. In a list of dimensions, 0 stands for the number
//! of examples: so does a reshape read it.

use super::constant::{Constant, MOST_DIMS};
use super::graph::{Import, plain};
use super::layers::Imported;
use super::node::OnnxNode;
use super::value::{Form, GraphValue, Item};
use crate::error::OnnxError;
use crate::kernels::group_norm::GroupNorm;
use crate::model::LayerKind;
use crate::shape::Shape;

impl<'a> Import<'a> {
    /// A node that only changes how values are written.
    pub(super) fn reshaping(&mut self, node: OnnxNode<'a>) -> Result<Item, OnnxError> {
        let item = self.item(node, 0)?;
        match (node.kind(), item) {
            ("Cast", Item::Value(x)) => {
                let to = node.integer("to", 1);
                if to == 1 { Ok(Item::Value(x)) } else { Err(node.fault(format!("values of type {to}, not f32"))) }
            }
            ("Cast" | "Identity" | "Dropout", item) => Ok(item),
            ("Shape", Item::Value(x)) => Ok(Item::Constant(shape_of(x))),
            ("Flatten", Item::Value(_)) => self.flatten(node).map(Item::Value),
            ("Reshape", Item::Value(x)) => self.reshape(node, x).map(Item::Value),
            ("Squeeze" | "Unsqueeze", Item::Value(_)) => self.squeeze(node).map(Item::Value),
            ("Reshape" | "Squeeze" | "Unsqueeze", Item::Constant(c)) => {
                self.constant_reshaped(node, c).map(Item::Constant)
            }
            ("Gather", Item::Constant(c)) => self.gather(node, &c).map(Item::Constant),
            ("Concat", Item::Value(_)) => self.concat_channels(node).map(Item::Value),
            ("Concat", Item::Constant(_)) => self.concat(node).map(Item::Constant),
            ("Transpose", Item::Constant(c))
                if c.dims.len() == 2 && node.integers("perm").is_none_or(|p| p == [1, 0]) =>
            {
                let dims = vec![c.dims[1], c.dims[0]];
                Ok(Item::Constant(Constant { dims, is_transposed: !c.is_transposed, ..c }))
            }
            _ => Err(node.fault("no layer does this")),
        }
    }

    fn flatten(&self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        match node.integer("axis", 1) {
            1 => Ok(GraphValue { is_flat: true, ..x }),
            axis => Err(node.fault(format!("axis = {axis}, and layers keep the examples apart: axis = 1"))),
        }
    }

    fn squeeze(&self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        let axes = self.axes(node)?.unwrap_or_default();
        let of_pixels = |axis: &i64| matches!(axis, 2 | 3 | -1 | -2);
        let is_of_pixels = axes.len() == 2 && axes.iter().all(of_pixels) && x.shape.pixels() == 1;
        match is_of_pixels && x.is_flat == (node.kind() == "Unsqueeze") {
            true => Ok(GraphValue { is_flat: !x.is_flat, ..x }),
            false => Err(node.fault(format!("axes {axes:?} of {}, and layers have N×C or N×C×1×1", x.shape))),
        }
    }

    /// Axes that are an attribute, or since opset 13 the second input.
    pub(super) fn axes(&self, node: OnnxNode<'a>) -> Result<Option<Vec<i64>>, OnnxError> {
        match node.integers("axes") {
            Some(axes) => Ok(Some(axes.to_vec())),
            None => self.integers(node, 1),
        }
    }

    fn reshape(&mut self, node: OnnxNode<'a>, x: GraphValue) -> Result<GraphValue, OnnxError> {
        let to = match node.integers("shape") {
            Some(shape) => shape.to_vec(),
            None => self.integers(node, 1)?.unwrap_or_default(),
        };
        let Shape { channels, height, width } = x.shape;
        let (maps, vector) = ([channels, height, width].map(|n| n as i64), [x.shape.len() as i64]);
        let own: &[i64] = if x.is_flat { &vector } else { &maps };
        let rest: Vec<i64> = match to.split_first() {
            Some((n, rest)) if matches!(n, 0 | -1) || Some(*n) == self.batch => rest
                .iter()
                .enumerate()
                .map(|(i, &n)| if n == 0 { own.get(i).copied().unwrap_or(0) } else { n })
                .collect(),
            _ => return Err(node.fault(format!("to {to:?}, and layers keep the examples apart"))),
        };
        // one dimension may be left open, that of the examples or another
        let is = |dims: &[i64]| {
            let open = rest.iter().filter(|&&n| n == -1).count() + usize::from(to[0] == -1);
            open <= 1 && rest.len() == dims.len() && rest.iter().zip(dims).all(|(a, b)| a == b || *a == -1)
        };
        match x.form {
            Form::Plain if is(&vector) => Ok(GraphValue { is_flat: true, ..x }),
            Form::Plain if is(&maps) => Ok(GraphValue { is_flat: false, ..x }),
            Form::Plain if rest.len() == 2 && rest[1] == -1 && to[0] != -1 => match usize::try_from(rest[0]) {
                Ok(groups @ 1..) if channels % groups == 0 => Ok(GraphValue { form: Form::Grouped(groups), ..x }),
                _ => Err(node.fault(format!("{} in groups of {}", x.shape, rest[0]))),
            },
            Form::GroupNormal(groups) if is(&maps) || is(&vector) && x.shape.pixels() == 1 => {
                let kind = LayerKind::GroupNorm { groups, activation: None };
                let parameters = Some([vec![1.0; channels], vec![0.0; channels]]);
                let layer = Imported { parameters, ..plain(kind, x, GroupNorm { shape: x.shape, groups }.shape) };
                Ok(GraphValue { is_flat: is(&vector), ..self.push(node, layer)? })
            }
            _ => Err(node.fault(format!("{} to {to:?}, which layers do not", x.shape))),
        }
    }

    fn constant_reshaped(&self, node: OnnxNode<'a>, c: Constant) -> Result<Constant, OnnxError> {
        if c.is_transposed {
            return Err(node.fault("a transpose in another shape"));
        }
        let dims = match node.kind() {
            "Reshape" => {
                let to = self.integers(node, 1)?.unwrap_or_default();
                let known: i64 =
                    to.iter().filter(|&&n| n > 0).try_fold(1i64, |all, &n| all.checked_mul(n)).unwrap_or(0);
                let open = if known > 0 { c.len() as i64 / known } else { 0 };
                let of = |(i, &n): (usize, &i64)| match n {
                    0 => c.dims.get(i).copied(),
                    -1 => usize::try_from(open).ok(),
                    n => usize::try_from(n).ok(),
                };
                to.iter().enumerate().map(of).collect::<Option<Vec<_>>>()
            }
            "Squeeze" => Some(c.dims.iter().copied().filter(|&n| n != 1).collect()),
            _ => {
                let mut axes = self.axes(node)?.unwrap_or_default();
                axes.truncate(MOST_DIMS);
                let rank = (c.dims.len() + axes.len()) as i64;
                let places: Vec<i64> = axes.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
                let mut own = c.dims.iter().copied();
                (0..rank).map(|i| if places.contains(&i) { Some(1) } else { own.next() }).collect()
            }
        };
        let fits = |dims: &Vec<usize>| {
            dims.len() <= MOST_DIMS && dims.iter().try_fold(1usize, |all, &n| all.checked_mul(n)) == Some(c.len())
        };
        let dims =
            dims.filter(fits).ok_or_else(|| node.fault(format!("of {:?}, to a shape of other values", c.dims)))?;
        Ok(c.with_dims(dims))
    }

    fn gather(&self, node: OnnxNode<'a>, from: &Constant) -> Result<Constant, OnnxError> {
        let index = self.constant(node, 1)?;
        let (Some(values), Some(&[at])) = (from.as_integers(), index.as_integers()) else {
            return Err(node.fault("no layer does this"));
        };
        let at = if at < 0 { at + values.len() as i64 } else { at };
        let found = usize::try_from(at).ok().and_then(|at| values.get(at));
        let found = found.ok_or_else(|| node.fault(format!("index {at} of {} values", values.len())))?;
        Ok(Constant::integers(&[*found], index.dims))
    }

    fn concat(&self, node: OnnxNode<'a>) -> Result<Constant, OnnxError> {
        let mut all = Vec::new();
        for i in 0..node.0.input.len() {
            all.extend(self.integers(node, i)?.unwrap_or_default());
            if all.len() > MOST_DIMS {
                return Err(node.fault("no layer does this"));
            }
        }
        let len = all.len();
        Ok(Constant::integers(&all, vec![len]))
    }
}

/// N as 0, and the rest.
fn shape_of(x: GraphValue) -> Constant {
    let Shape { channels, height, width } = x.shape;
    let dims = if x.is_flat { vec![0, x.shape.len()] } else { vec![0, channels, height, width] };
    let dims: Vec<i64> = dims.into_iter().map(|n| n as i64).collect();
    Constant::integers(&dims, vec![dims.len()])
}
