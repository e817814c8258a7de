//! Nodes that are convolutions, dense layers and pools.

use super::graph::{Import, plain};
use super::layers::Imported;
use super::node::OnnxNode;
use super::value::GraphValue;
use crate::error::OnnxError;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::pool::Pool;
use crate::model::LayerKind;
use crate::shape::Shape;

impl<'a> Import<'a> {
    pub(super) fn conv(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.maps(node, 0)?;
        let weights = self.constant(node, 1)?;
        let (&[outputs, inputs, height, width], Some(values)) = (&weights.dims[..], weights.as_floats()) else {
            return Err(node.fault(format!("filters of {:?}, and layers have two-dimensional ones", weights.dims)));
        };
        let groups = usize::try_from(node.integer("group", 1)).unwrap_or(0);
        if groups == 0 || [outputs, x.shape.channels].iter().any(|channels| channels % groups != 0) {
            return Err(node.fault(format!("{} to {outputs} channels in {groups} groups", x.shape.channels)));
        }
        if node.integers("dilations").is_some_and(|by| by.iter().any(|&by| by != 1)) {
            return Err(node.fault("dilations, which layers do not have"));
        }
        if height != width {
            return Err(node.fault(format!("filters of {height}×{width}, and layers have square ones")));
        }
        if inputs != x.shape.channels / groups {
            return Err(node.fault(format!("filters of {inputs} channels on {}", x.shape)));
        }
        let stride = node.integers("strides").map_or(Ok(1), |strides| node.same("strides", strides))?;
        let padding = node.padding(height, stride)?;
        let conv = Conv2d { input: x.shape, channels: outputs, size: height, stride, padding, groups };
        let output =
            conv_output(&conv).ok_or_else(|| node.fault(format!("a {height}×{width} filter on {}", x.shape)))?;
        let biases = self.biases(node, outputs, 1.0)?;
        let kind = LayerKind::Conv { channels: outputs, size: height, stride, padding, groups, activation: None };
        let parameters = Some([values.to_vec(), biases]);
        self.push(node, Imported { parameters, ..plain(kind, x, output) })
    }

    /// A general matrix product, or one without biases.
    pub(super) fn dense(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.value(node, 0)?;
        let is_general = node.kind() == "Gemm";
        let weights = self.constant(node, 1)?;
        let (&[rows, columns], Some(values)) = (&weights.dims[..], weights.as_floats()) else {
            return Err(node.fault(format!("weights of {:?}, and layers have a matrix", weights.dims)));
        };
        if !x.is_flat {
            return Err(node.fault("it reads N×C×H×W, and dense layers read N×C: flatten before it"));
        }
        node.expect("transA", 0, 0)?;
        let is_output_first = is_general && node.integer("transB", 0) != 0;
        let (outputs, inputs) = if is_output_first { (rows, columns) } else { (columns, rows) };
        if inputs != x.shape.len() {
            return Err(node.fault(format!("weights of {inputs} inputs on {} values", x.shape.len())));
        }
        let [alpha, beta] = if is_general { ["alpha", "beta"].map(|name| node.float(name, 1.0)) } else { [1.0; 2] };
        // as a matrix of outputs × inputs
        let is_stored_so = is_output_first != weights.is_transposed;
        let mut matrix = match is_stored_so {
            true => values.to_vec(),
            false => (0..outputs * inputs).map(|i| values[i % inputs * outputs + i / inputs]).collect(),
        };
        matrix.iter_mut().for_each(|weight| *weight *= alpha);
        let biases = if is_general { self.biases(node, outputs, beta)? } else { vec![0.0; outputs] };
        let kind = LayerKind::Dense { units: Some(outputs), activation: None };
        let layer = Imported { parameters: Some([matrix, biases]), ..plain(kind, x, Shape::vector(outputs)) };
        Ok(GraphValue { is_flat: true, ..self.push(node, layer)? })
    }

    /// Biases that are the third input, if it is there, as many as outputs or the same for all.
    fn biases(&self, node: OnnxNode<'a>, outputs: usize, scale: f32) -> Result<Vec<f32>, OnnxError> {
        if node.input(2).is_none() {
            return Ok(vec![0.0; outputs]);
        }
        let found = self.constant(node, 2)?;
        match found.as_floats() {
            Some(&[one]) => Ok(vec![scale * one; outputs]),
            Some(all) if all.len() == outputs => Ok(all.iter().map(|bias| scale * bias).collect()),
            _ => Err(node.fault(format!("{} biases of {outputs} outputs", found.len()))),
        }
    }

    pub(super) fn pool(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.maps(node, 0)?;
        let is_max = node.kind() == "MaxPool";
        let sides = node.integers("kernel_shape").unwrap_or_default();
        let strides = node.integers("strides").map_or(Ok(1), |strides| node.same("strides", strides))?;
        if node.integers("dilations").is_some_and(|by| by.iter().any(|&by| by != 1)) {
            return Err(node.fault("dilations, which layers do not have"));
        }
        let is_whole = sides == [x.shape.height as i64, x.shape.width as i64];
        let pads = node.integers("pads").unwrap_or_default();
        if !is_max && is_whole && pads.iter().all(|&pad| pad == 0) && (strides == 1 || sides[0] != sides[1]) {
            return self.global(node);
        }
        let size = node.same("kernel_shape", sides)?;
        let padding = node.padding(size, strides)?;
        let window = Pool { input: x.shape, height: size, width: size, stride: strides, padding };
        let fits = size > 0 && strides > 0;
        let output = fits.then(|| pool_output(&window)).flatten();
        let output = output.ok_or_else(|| node.fault(format!("a {size}×{size} window on {}", x.shape)))?;
        let reach = |side: usize| side + 2 * padding - size;
        let is_even = [x.shape.height, x.shape.width].iter().all(|&side| reach(side) % strides == 0);
        if node.integer("ceil_mode", 0) != 0 && !is_even {
            return Err(node.fault("ceil_mode: windows beyond the edge, which layers do not have"));
        }
        if !is_max && padding > 0 {
            node.expect("count_include_pad", 0, 1)?;
        }
        let stride = Some(strides);
        let kind = match is_max {
            true => LayerKind::MaxPool { size, stride, padding },
            false => LayerKind::AvgPool { size, stride, padding },
        };
        self.push(node, plain(kind, x, output))
    }

    /// The mean, or the largest, of each channel.
    pub(super) fn global(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let x = self.maps(node, 0)?;
        let output = Shape::vector(x.shape.channels);
        let kind = match (node.kind(), x.shape.height == x.shape.width) {
            ("GlobalMaxPool", true) => LayerKind::MaxPool { size: x.shape.height, stride: None, padding: 0 },
            ("GlobalMaxPool", false) => {
                return Err(node.fault(format!("the largest of {}, and layers have square windows", x.shape)));
            }
            _ => LayerKind::GlobalAvgPool {},
        };
        self.push(node, plain(kind, x, output))
    }

    /// A mean over the pixels.
    pub(super) fn mean(&mut self, node: OnnxNode<'a>) -> Result<GraphValue, OnnxError> {
        let axes = self.axes(node)?.unwrap_or_default();
        let of_pixels = [vec![2, 3], vec![3, 2], vec![-2, -1], vec![-1, -2], vec![2, -1], vec![-2, 3]];
        if !of_pixels.contains(&axes) {
            return Err(node.fault(format!("axes {axes:?}, and layers have the mean over both of the pixels")));
        }
        let y = self.global(node)?;
        Ok(GraphValue { is_flat: node.integer("keepdims", 1) == 0, ..y })
    }
}

/// Sizes out of a file may be any.
fn conv_output(conv: &Conv2d) -> Option<Shape> {
    let is_small = conv.size > 0 && conv.stride > 0 && conv.padding < 1 << 20;
    is_small.then(|| conv.output()).flatten()
}

fn pool_output(pool: &Pool) -> Option<Shape> {
    (pool.padding < 1 << 20 && pool.height < 1 << 30).then(|| pool.output()).flatten()
}
