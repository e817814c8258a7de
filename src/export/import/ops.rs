//! What each node becomes.

use super::constant::Constant;
use super::graph::{Import, plain};
use super::layers::{Arithmetic, Imported};
use super::node::OnnxNode;
use super::value::{Form, GraphValue, Item};
use crate::error::OnnxError;
use crate::export::proto::NodeProto;
use crate::kernels::activation::Activation;
use crate::kernels::batch_norm::EPSILON;
use crate::model::LayerKind;
use crate::shape::Shape;

impl<'a> Import<'a> {
    /// Reads a node, and remembers what it puts out.
    pub(super) fn read(&mut self, proto: &'a NodeProto) -> Result<(), OnnxError> {
        let node = OnnxNode(proto);
        if !matches!(proto.domain.as_str(), "" | "ai.onnx") {
            return Err(node.fault(format!("an operator of {}, and layers do those of ONNX", proto.domain)));
        }
        let Some(output) = proto.output.first().map(String::as_str).filter(|name| !name.is_empty()) else {
            return Err(node.fault("it puts nothing out"));
        };
        let item = match self.put_out(node)? {
            Item::Value(value) => {
                let readers = value.readers.max(self.readers.get(output).copied().unwrap_or(0));
                Item::Value(GraphValue { readers, ..value })
            }
            constant @ Item::Constant(_) => constant,
        };
        match self.items.insert(output, item) {
            None => Ok(()),
            Some(_) => Err(node.fault(format!("{output} is put out twice"))),
        }
    }

    fn put_out(&mut self, node: OnnxNode<'a>) -> Result<Item, OnnxError> {
        let value = match node.kind() {
            "Constant" => return self.given(node).map(Item::Constant),
            "Identity" | "Dropout" | "Cast" | "Shape" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Gather"
            | "Concat" | "Transpose" => return self.reshaping(node),
            "Conv" => self.conv(node),
            "Gemm" | "MatMul" => self.dense(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global(node),
            "ReduceMean" => self.mean(node),
            "Relu" => self.activation(node, Activation::Relu),
            "Tanh" => self.activation(node, Activation::Tanh),
            "Softplus" => self.activation(node, Activation::Softplus),
            "Sigmoid" => self.value(node, 0).map(|x| GraphValue { form: Form::Gate, ..x }),
            "Softmax" | "LogSoftmax" => self.softmax(node),
            "BatchNormalization" => self.batch_norm(node),
            "InstanceNormalization" | "GroupNormalization" => self.group_norm(node),
            "Pad" => self.pad(node),
            "Add" | "Sum" => self.arithmetic(node, Arithmetic::Add),
            "Sub" => self.arithmetic(node, Arithmetic::Sub),
            "Mul" => self.arithmetic(node, Arithmetic::Mul),
            "Div" => self.arithmetic(node, Arithmetic::Div),
            _ => Err(node.fault("no layer does this")),
        };
        value.map(Item::Value)
    }

    /// What a `Constant` holds.
    fn given(&self, node: OnnxNode<'a>) -> Result<Constant, OnnxError> {
        let of = |name: &str| node.attribute(name);
        if let Some(tensor) = of("value").and_then(|attribute| attribute.t.as_ref()) {
            return Constant::read(tensor, self.folder);
        }
        let found = (of("value_float").map(|one| Constant::floats(&[one.f]).with_dims(Vec::new())))
            .or_else(|| of("value_floats").map(|all| Constant::floats(&all.floats)))
            .or_else(|| of("value_int").map(|one| Constant::integers(&[one.i], Vec::new())))
            .or_else(|| of("value_ints").map(|all| Constant::integers(&all.ints, vec![all.ints.len()])));
        found.ok_or_else(|| node.fault("a constant of no kind that is read"))
    }

    fn activation(&mut self, node: OnnxNode<'a>, function: Activation) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        self.activated(node, x, function, 1)
    }

    fn activated(
        &mut self,
        node: OnnxNode<'a>,
        x: GraphValue,
        f: Activation,
        readers: usize,
    ) -> Result<GraphValue, OnnxError> {
        let y = self.layers.activate(x, f, readers);
        y.map(|y| GraphValue { readers: 0, ..y }).ok_or_else(|| node.fault("more layers than its file can hold"))
    }

    fn softmax(&self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        match node.integer("axis", if x.is_flat { -1 } else { 1 }) {
            1 => Ok(GraphValue { form: Form::Softmax, ..x }),
            -1 if x.is_flat => Ok(GraphValue { form: Form::Softmax, ..x }),
            axis => Err(node.fault(format!("axis = {axis}, and layers end in one of the classes: axis = 1"))),
        }
    }

    fn batch_norm(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        node.expect("training_mode", 0, 0)?;
        if x.is_flat && x.shape.pixels() > 1 {
            return Err(node.fault("a scale for each pixel, and layers have one for each channel"));
        }
        let channels = x.shape.channels;
        let [mut scales, shifts, means, variances] = {
            let mut parts = (1..5).map(|i| self.vector(node, i, channels));
            let mut next = || parts.next().expect("four");
            [next()?, next()?, next()?, next()?]
        };
        if variances.iter().any(|&variance| variance < 0.0) {
            return Err(node.fault("a variance below 0"));
        }
        let epsilon = node.float("epsilon", EPSILON as f32);
        if epsilon != EPSILON as f32 {
            // the same outputs by the ε of our layers
            for (scale, &variance) in scales.iter_mut().zip(&variances) {
                let [own, ours] = [f64::from(epsilon), EPSILON].map(|epsilon| f64::from(variance) + epsilon);
                *scale = (f64::from(*scale) * (ours / own).sqrt()) as f32;
            }
        }
        let kind = LayerKind::BatchNorm { activation: None };
        let (parameters, moments) = (Some([scales, shifts]), Some([means, variances]));
        let y = self.push(node, Imported { parameters, moments, ..plain(kind, x, x.shape) })?;
        Ok(GraphValue { is_flat: x.is_flat, ..y })
    }

    /// A normalisation of groups of channels, of all its own, or of what was put into groups before.
    fn group_norm(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let epsilon = node.float("epsilon", EPSILON as f32);
        if epsilon != EPSILON as f32 {
            return Err(node.fault(format!("epsilon = {epsilon}, and layers have {EPSILON}")));
        }
        let x = self.formed(node, 0)?;
        if let (Form::Grouped(groups), "InstanceNormalization") = (x.form, node.kind()) {
            let [scales, shifts] = [self.vector(node, 1, groups)?, self.vector(node, 2, groups)?];
            if scales.iter().any(|&scale| scale != 1.0) || shifts.iter().any(|&shift| shift != 0.0) {
                return Err(node.fault("scales of groups, and layers have those of channels"));
            }
            return Ok(GraphValue { form: Form::GroupNormal(groups), ..x });
        }
        let x = self.maps(node, 0)?;
        let channels = x.shape.channels;
        let groups = match node.kind() {
            "GroupNormalization" => usize::try_from(node.integer("num_groups", 0)).unwrap_or(0),
            _ => channels,
        };
        let parameters = Some([self.vector(node, 1, channels)?, self.vector(node, 2, channels)?]);
        let kind = LayerKind::GroupNorm { groups, activation: None };
        self.push(node, Imported { parameters, ..plain(kind, x, x.shape) })
    }

    /// Zeros after the last channel, for a sum.
    fn pad(&self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        let pads = match node.integers("pads") {
            Some(pads) => pads.to_vec(),
            None => self.integers(node, 1)?.unwrap_or_default(),
        };
        let mode = node.attribute("mode").map_or(&b"constant"[..], |mode| mode.s.as_slice());
        let is_zero = match node.input(2) {
            Some(_) => self.constant(node, 2)?.as_floats() == Some(&[0.0]),
            None => node.float("value", 0.0) == 0.0,
        };
        let rank = if x.is_flat { 2 } else { 4 };
        let channels = pads.get(rank + 1).and_then(|&n| usize::try_from(n).ok()).filter(|&n| n < 1 << 20);
        let is_of_channels = pads.len() == 2 * rank && pads.iter().enumerate().all(|(i, &n)| n == 0 || i == rank + 1);
        match channels.filter(|_| is_of_channels && is_zero && mode == b"constant" && node.input(3).is_none()) {
            Some(channels) if !x.is_flat || x.shape.pixels() == 1 => {
                Ok(GraphValue { form: Form::Padded(channels), ..x })
            }
            _ => {
                Err(node.fault("layers have zeros after the last channel, before a sum, and padding of windows alone"))
            }
        }
    }

    fn arithmetic(&mut self, node: OnnxNode<'a>, how: Arithmetic) -> Result<GraphValue, OnnxError> {
        if node.inputs().count() != 2 {
            return Err(node.fault(format!("{} inputs, and layers have two", node.inputs().count())));
        }
        let is_either = matches!(how, Arithmetic::Add | Arithmetic::Mul);
        match (self.item(node, 0)?, self.item(node, 1)?) {
            (Item::Value(_), Item::Constant(by)) => self.with_constant(node, how, 0, &by),
            (Item::Constant(by), Item::Value(_)) if is_either => self.with_constant(node, how, 1, &by),
            (Item::Value(a), Item::Value(b)) if how == Arithmetic::Add => self.sum(node, [a, b]),
            (Item::Value(a), Item::Value(b)) if how == Arithmetic::Mul => self.gated(node, [a, b]),
            _ => Err(node.fault("no layer does this with such inputs")),
        }
    }

    /// Input i with a constant of each channel.
    fn with_constant(
        &mut self,
        node: OnnxNode<'a>,
        how: Arithmetic,
        i: usize,
        by: &Constant,
    ) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, i)?;
        let by = channels(x, by)
            .ok_or_else(|| node.fault(format!("a constant that is not one of each channel of {}", x.shape)))?;
        let folded = self.layers.fold(x, how, &by);
        folded.map(|y| GraphValue { readers: 0, ..y }).ok_or_else(|| {
            node.fault(
                "a constant after something that has none of its own: layers have it in a product or normalisation",
            )
        })
    }

    /// x σ(x)
    fn gated(&mut self, node: OnnxNode<'a>, factors: [GraphValue; 2]) -> Result<GraphValue, OnnxError> {
        let x = match factors.map(|factor| factor.form) {
            [Form::Plain, Form::Gate] => factors[0],
            [Form::Gate, Form::Plain] => factors[1],
            _ => {
                return Err(node.fault("a product of two values, and layers have that of x with its own sigmoid alone"));
            }
        };
        if factors[0].of != factors[1].of || factors[0].is_flat != factors[1].is_flat {
            return Err(
                node.fault("a product with the sigmoid of another value, and layers have that of its own alone")
            );
        }
        self.activated(node, x, Activation::Silu, 2)
    }

    fn sum(&mut self, node: OnnxNode<'a>, terms: [GraphValue; 2]) -> Result<GraphValue, OnnxError> {
        let mut padded = false;
        let mut shapes = [Shape::vector(0); 2];
        for (shape, term) in shapes.iter_mut().zip(terms) {
            let more = match term.form {
                Form::Plain => 0,
                Form::Padded(more) => more,
                _ => return Err(node.fault("a sum of values in a form that layers do not have")),
            };
            padded |= more > 0;
            *shape = Shape { channels: term.shape.channels + more, ..term.shape };
        }
        let [a, b] = terms;
        if shapes[0] != shapes[1] || a.is_flat != b.is_flat || a.form != Form::Plain && b.form != Form::Plain {
            return Err(node.fault(format!("a sum of {} and {}", shapes[0], shapes[1])));
        }
        let kind = LayerKind::Add { pad: padded, activation: None };
        let y = self.push(node, Imported { reads: vec![a.of, b.of], ..plain(kind, a, shapes[0]) })?;
        Ok(GraphValue { is_flat: a.is_flat, ..y })
    }

    /// The channels of two values and more, one after the other.
    pub(super) fn concat_channels(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let mut y = self.value(node, 0)?;
        let of_channels = [1, if y.is_flat { -1 } else { -3 }];
        let axis = node.integer("axis", 0);
        if !of_channels.contains(&axis) {
            return Err(node.fault(format!("axis = {axis}, and layers put channels one after the other: axis = 1")));
        }
        for i in 1..node.0.input.len() {
            let next = self.value(node, i)?;
            let are_alike = (y.shape.height, y.shape.width) == (next.shape.height, next.shape.width);
            if !are_alike || y.is_flat != next.is_flat {
                return Err(node.fault(format!("{} after {}", next.shape, y.shape)));
            }
            let output = Shape { channels: y.shape.channels.saturating_add(next.shape.channels), ..y.shape };
            let (is_flat, kind) = (y.is_flat, LayerKind::Concat { activation: None });
            y = self.push(node, Imported { reads: vec![y.of, next.of], ..plain(kind, y, output) })?;
            y.is_flat = is_flat;
        }
        Ok(y)
    }
}

/// A constant as one value for each channel of x, as ONNX repeats it.
fn channels(x: GraphValue, by: &Constant) -> Option<Vec<f32>> {
    let values = by.as_floats()?;
    if let &[one] = values {
        return Some(vec![one; x.shape.channels]);
    }
    if x.is_flat && x.shape.pixels() > 1 || by.is_transposed {
        return None;
    }
    let from_right = if x.is_flat { 0 } else { 2 };
    let expected = |(i, &n): (usize, &usize)| n == if i == from_right { x.shape.channels } else { 1 };
    by.dims.iter().rev().enumerate().all(expected).then(|| values.to_vec()).filter(|all| all.len() == x.shape.channels)
}
