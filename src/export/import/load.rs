//! Reading a file.

use super::constant::length_beside;
use super::graph::Import;
use super::layers::Layers;
use super::value::{Form, GraphValue, Item};
use crate::error::{Error, OnnxError, Result, RunError};
use crate::export::proto::{FLOAT, GraphProto, ModelProto, UINT8, ValueInfo};
use crate::export::signature::{KEY, Signature};
use crate::files::read_regular;
use crate::model::{Model, Tensor};
use crate::shape::Shape;
use crate::values::ValueKind;
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A protocol buffer is no longer.
const MOST_BYTES: u64 = 2 << 30;

/// Operators of these versions mean what is read here.
const OLDEST_OPSET: i64 = 9;

/// Values of a pixel where a model does not say that it reads bytes: from 0 to 1.
const BYTE: f64 = 255.0;

/// Which of what a network needs a model says. What it does not is taken to be usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// What the pixels are that it reads; else they are taken to be from 0 to 1.
    pub inputs: bool,
    /// The names of the classes; else these are numbers.
    pub classes: bool,
}

/// An ONNX model as a network.
#[derive(Debug)]
pub struct OnnxNetwork {
    /// Its layers.
    pub model: Model,
    /// A flat vector of the model.
    pub theta: Vec<f32>,
    /// The [moments](Model::moments).
    pub moments: Vec<f32>,
    /// What it was made for.
    pub signature: Signature,
    /// Which of that it says.
    pub stated: Stated,
}

/// Reads an ONNX model of a network that layers can do. What this program wrote is read to the bit, its description and
/// preprocessing included.
///
/// # Errors
/// [`Error::Data`] naming the file, and the node and its operator that no layer can do.
pub fn load_onnx(path: &Path) -> Result<OnnxNetwork> {
    let bytes = read_regular(path, MOST_BYTES).map_err(|e| Error::unreadable(path, e))?;
    let fault = |source: OnnxError| Error::from(RunError::Onnx { path: path.to_owned(), source });
    let proto = ModelProto::decode(&bytes[..]).map_err(|source| fault(OnnxError::Undecoded { source }))?;
    let room = bytes.len();
    drop(bytes);
    let found = read(path, &proto, room).map_err(|why| match why {
        Unread::Onnx(why) => fault(why),
        Unread::Model(why) => RunError::Model { path: path.to_owned(), source: Box::new(why) }.into(),
    })?;
    let tensors = [(found.model.tensors(), &found.theta), (found.model.moments(), &found.moments)];
    let mut all = tensors.iter().flat_map(|(tensors, values)| tensors.iter().map(move |tensor| (tensor, *values)));
    let is_finite = |(tensor, of): &(&Tensor, &Vec<f32>)| of[tensor.range.clone()].iter().all(|x| x.is_finite());
    if let Some((tensor, _)) = all.find(|found| !is_finite(found)) {
        return Err(RunError::NotFinite { path: path.to_owned(), tensor: tensor.name.clone() }.into());
    }
    Ok(found)
}

/// Why there is no network.
enum Unread {
    Onnx(OnnxError),
    /// The layers do not make a model.
    Model(Error),
}

impl From<OnnxError> for Unread {
    fn from(why: OnnxError) -> Self {
        Self::Onnx(why)
    }
}

fn read(path: &Path, proto: &ModelProto, room: usize) -> std::result::Result<OnnxNetwork, Unread> {
    let graph = proto.graph.as_ref().ok_or_else(|| OnnxError::graph("no graph"))?;
    let is_ours = proto.producer_name == env!("CARGO_PKG_NAME");
    let is_onnx = |domain: &str| matches!(domain, "" | "ai.onnx");
    let opset = proto.opset_import.iter().find(|set| is_onnx(&set.domain)).map_or(0, |set| set.version);
    if opset < OLDEST_OPSET {
        return Err(OnnxError::graph(format!("operators of version {opset}, and {OLDEST_OPSET} is the oldest")).into());
    }
    let (layers, input, outputs, is_bytes) = follow(path, graph, room)?;
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let description = layers.description(if is_ours { graph.name.clone() } else { stem() });
    let metadata = |key: &str| proto.metadata_props.iter().find(|entry| entry.key == key).map(|entry| &*entry.value);
    let named: Option<Vec<String>> = metadata("classes").and_then(|json| serde_json::from_str(json).ok());
    let named = named.filter(|names| names.len() == outputs);
    let stated = Stated { inputs: is_ours || is_bytes, classes: named.is_some() };
    let classes = named.unwrap_or_else(|| (0..outputs).map(|i| i.to_string()).collect());
    let scale = if stated.inputs { 1.0 } else { BYTE };
    let normalisation: Vec<(f64, f64)> =
        layers.normalisation.iter().map(|(mean, deviation)| (scale * mean, scale * deviation)).collect();
    // as the file of a run, or another ONNX model, has them
    let is_usable = |&(mean, by): &(f64, f64)| (mean as f32).is_finite() && (by as f32).is_normal() && by > 0.0;
    if !normalisation.iter().all(is_usable) {
        return Err(OnnxError::graph("pixels are divided by what is no number above 0").into());
    }
    let model = Model::new(&description, input, outputs).map_err(Unread::Model)?;
    let [theta, moments] = vectors(&model, &layers);
    let signature = Signature { model: description, input, classes, normalisation, values: ValueKind::Bytes };
    let own = metadata(KEY).and_then(|json| serde_json::from_str::<Signature>(json).ok());
    let own = own.and_then(|own| Some((like(&model, &signature, &own)?, own)));
    let (model, signature) = own.unwrap_or((model, signature));
    Ok(OnnxNetwork { model, theta, moments, signature, stated })
}

/// The layers of a graph, the shape of what goes in, how many values come out, and whether bytes go in.
fn follow<'a>(
    path: &'a Path,
    proto: &'a GraphProto,
    room: usize,
) -> std::result::Result<(Layers, Shape, usize, bool), OnnxError> {
    let initialisers: HashMap<&str, _> = proto.initializer.iter().map(|tensor| (&*tensor.name, tensor)).collect();
    let mut inputs = proto.input.iter().filter(|input| !initialisers.contains_key(&*input.name));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return Err(OnnxError::graph("it does not read one value, which would be pictures"));
    };
    let [output] = &proto.output[..] else { return Err(OnnxError::graph("it does not put out one value")) };
    let (shape, batch, is_bytes) = pictures(input)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let needed = needed(proto, &output.name);
    let mut readers: HashMap<&str, usize> = HashMap::from([(&*output.name, 1)]);
    let nodes = || proto.node.iter().zip(&needed).filter(|(_, is_needed)| **is_needed).map(|(node, _)| node);
    nodes().flat_map(|node| &node.input).for_each(|name| *readers.entry(name).or_default() += 1);
    let first = GraphValue {
        of: 0,
        shape,
        is_flat: false,
        form: Form::Plain,
        readers: readers.get(&*input.name).copied().unwrap_or(0),
    };
    let mut graph = Import {
        items: HashMap::from([(&*input.name, Item::Value(first))]),
        initialisers,
        readers,
        folder,
        batch,
        layers: Layers::new(shape.channels, room.saturating_add(length_beside(&proto.initializer, folder))),
    };
    nodes().try_for_each(|node| graph.read(node))?;
    let Some(Item::Value(last)) = graph.items.get(&*output.name) else {
        return Err(OnnxError::graph(format!("{} is put out, and does not depend on the pictures", output.name)));
    };
    let is_one_a_class = last.is_flat || last.shape.pixels() == 1;
    if !is_one_a_class || !matches!(last.form, Form::Plain | Form::Softmax) || last.of != graph.layers.all.len() {
        return Err(OnnxError::graph(format!(
            "{} is put out, and not a value for each class by a last layer",
            output.name
        )));
    }
    let outputs = last.shape.len();
    Ok((graph.layers, shape, outputs, is_bytes))
}

/// Which nodes the output depends on.
fn needed(proto: &GraphProto, output: &str) -> Vec<bool> {
    let mut names: HashSet<&str> = HashSet::from([output]);
    let mut needed = vec![false; proto.node.len()];
    for (node, is_needed) in proto.node.iter().zip(&mut needed).rev() {
        *is_needed = node.output.iter().any(|name| names.contains(&**name));
        if *is_needed {
            names.extend(node.input.iter().map(String::as_str));
        }
    }
    needed
}

/// C × H × W of an input of pictures, N where it is fixed, and whether they are bytes.
fn pictures(input: &ValueInfo) -> std::result::Result<(Shape, Option<i64>, bool), OnnxError> {
    let tensor = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let size = |n: &Option<i64>| n.and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=1 << 16).contains(n));
    let sizes: Vec<Option<usize>> = dims.iter().map(|dim| size(&dim.dim_value)).collect();
    let &[_, Some(channels), Some(height), Some(width)] = &sizes[..] else {
        let sizes: Vec<String> = sizes.iter().map(|n| n.map_or("?".to_owned(), |n| n.to_string())).collect();
        let why = format!("its input {} is {}, and pictures are N×C×H×W of fixed sides", input.name, sizes.join("×"));
        return Err(OnnxError::graph(why));
    };
    let number = tensor.map_or(0, |tensor| tensor.elem_type);
    if ![FLOAT, UINT8].contains(&number) {
        return Err(OnnxError::graph(format!(
            "its input {} has numbers of type {number}, and f32 or u8 are read",
            input.name
        )));
    }
    Ok((Shape::new(channels, height, width), dims[0].dim_value, number == UINT8))
}

/// The flat vector, and the moments.
fn vectors(model: &Model, layers: &Layers) -> [Vec<f32>; 2] {
    let mut theta = vec![0.0; model.vector_len()];
    let parameters = layers.all.iter().filter_map(|layer| layer.parameters.as_ref()).flatten();
    for (tensor, values) in model.tensors().into_iter().zip(parameters) {
        theta[tensor.range].copy_from_slice(values);
    }
    let moments = layers.all.iter().filter_map(|layer| layer.moments.as_ref()).flatten().flatten();
    [theta, moments.copied().collect()]
}

/// The model that the metadata describe, if it is this one by other names: then also the numbers that the graph has.
fn like(model: &Model, found: &Signature, own: &Signature) -> Option<Model> {
    let floats =
        |of: &Signature| -> Vec<[f32; 2]> { of.normalisation.iter().map(|&(m, s)| [m as f32, s as f32]).collect() };
    if own.input != found.input || own.classes != found.classes || floats(own) != floats(found) {
        return None;
    }
    let other = Model::new(&own.model, own.input, own.classes.len()).ok()?;
    let [a, b] = [model, &other].map(|model| model.maps(1));
    (a.edges == b.edges && format!("{:?}", a.maps) == format!("{:?}", b.maps)).then_some(other)
}
