//! A trained network as an ONNX model (opset 17), its preprocessing included: it reads the bytes of pictures.

use super::proto::{
    AttributeProto, Dimension, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OF_FLOAT, OF_INT, OF_INTS,
    OperatorSetId, StringStringEntry, TensorProto, TensorShape, TensorType, TypeProto, ValueInfo,
};
use super::signature::{KEY, Signature};
use crate::error::Result;
use crate::files::write_atomically;
use crate::kernels::activation::Activation;
use crate::kernels::batch_norm::EPSILON;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::group_norm::GroupNorm;
use crate::model::reference::Map;
use crate::model::{Edges, Model};
use crate::shape::Shape;
use crate::values::ValueKind;
use prost::Message;
use std::path::Path;

/// The version of ONNX's operators, and of its file format.
pub const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// What goes in: pictures `[N][C][H][W]`, f32 from 0 to 255, or what other numbers the network was trained on. What
/// comes out: logits `[N][M]`.
const INPUT: &str = "images";
const OUTPUT: &str = "logits";

/// Writes the parameters `theta` (a flat vector of `model`) and the [moments](Model::moments) as an ONNX model. Its
/// input `images` is f32 `[N][C][H][W]`, bytes as picture files have them, its output `logits` `[N][M]`; the names of
/// the classes are in its metadata, a JSON list under `classes`, and all that this program has to read it again.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) naming the file.
pub fn save_onnx(path: &Path, model: &Model, [theta, moments]: [&[f32]; 2], signature: &Signature) -> Result<()> {
    let mut graph = OnnxGraph::default();
    for (tensors, of) in [(model.tensors(), theta), (model.moments(), moments)] {
        for tensor in tensors {
            graph.floats(&tensor.name, &tensor.dims, &of[tensor.range]);
        }
    }
    graph.normalise(signature);
    let maps = model.maps(1);
    for (i, (map, edges)) in maps.maps.iter().zip(&maps.edges).enumerate() {
        graph.push(map, model, i, *edges);
    }
    graph.end();
    let Shape { channels, height, width } = signature.input;
    let graph = GraphProto {
        node: graph.nodes,
        name: model.name.clone(),
        initializer: graph.tensors,
        input: vec![value(INPUT, &[channels, height, width])],
        output: vec![value(OUTPUT, &[signature.classes.len()])],
    };
    let classes = serde_json::to_string(&signature.classes).expect("plain data");
    // what the graph does not say: blocks, names of layers, all digits of the normalisation
    let own = serde_json::to_string(signature).expect("plain data");
    let entry = |(key, value): (&str, String)| StringStringEntry { key: key.to_owned(), value };
    let proto = ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!("{INPUT}: f32 {}; {OUTPUT}: before the softmax", units(signature.values)),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
        metadata_props: [("classes", classes), (KEY, own)].map(entry).to_vec(),
    };
    write_atomically(path, &proto.encode_to_vec())
}

/// What the numbers are that go in.
fn units(values: ValueKind) -> &'static str {
    match values {
        ValueKind::Bytes => "from 0 to 255, as picture files have them",
        ValueKind::Floats => "as the training examples have them",
    }
}

/// A constant.
fn tensor(name: &str, dims: Vec<i64>, data_type: i32, raw_data: Vec<u8>) -> TensorProto {
    TensorProto { dims, data_type, name: name.to_owned(), raw_data, ..TensorProto::default() }
}

/// f32 `[N]` and then these dimensions.
fn value(name: &str, dims: &[usize]) -> ValueInfo {
    let batch = Dimension { dim_value: None, dim_param: Some("N".to_owned()) };
    let fixed = dims.iter().map(|&n| Dimension { dim_value: Some(n as i64), dim_param: None });
    let shape = TensorShape { dim: std::iter::once(batch).chain(fixed).collect() };
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(shape) });
    ValueInfo { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

/// A value in the graph.
#[derive(Clone)]
struct OnnxValue {
    name: String,
    /// Whether it is `[N][C]`, not `[N][C][H][W]`.
    is_flat: bool,
}

/// Nodes and constants so far, and what was put in and what each layer puts out, by the index of a `Value`.
#[derive(Default)]
struct OnnxGraph {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    values: Vec<OnnxValue>,
}

impl OnnxGraph {
    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw_data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let dims = dims.iter().map(|&n| n as i64).collect();
        self.tensors.push(tensor(name, dims, FLOAT, raw_data));
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        let raw_data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.tensors.push(tensor(name, dims, INT64, raw_data));
    }

    fn node(&mut self, kind: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        let input = input.iter().map(|&name| name.to_owned()).collect();
        let (name, output) = (output.to_owned(), vec![output.to_owned()]);
        let op_type = kind.to_owned();
        self.nodes.push(NodeProto { input, output, name, op_type, attribute, domain: String::new() });
    }

    /// (x − mean) / deviation of each channel: the value that the model calls its example.
    fn normalise(&mut self, signature: &Signature) {
        let [means, deviations]: [Vec<f32>; 2] =
            [0, 1].map(|of| signature.normalisation.iter().map(|&(m, s)| [m, s][of] as f32).collect());
        let dims = [means.len(), 1, 1];
        self.floats("input.mean", &dims, &means);
        self.floats("input.deviation", &dims, &deviations);
        self.node("Sub", &[INPUT, "input.mean"], "input.centred", Vec::new());
        self.node("Div", &["input.centred", "input.deviation"], "input.normalised", Vec::new());
        self.values.push(OnnxValue { name: "input.normalised".to_owned(), is_flat: false });
    }

    /// The nodes of layer i.
    fn push(&mut self, map: &Map, model: &Model, i: usize, edges: Edges) {
        let layer = model.layers()[i].name();
        let y = format!("{layer}.output");
        let x = self.values[edges.x.index()].clone();
        let is_flat = match map {
            Map::Affine(product) => {
                let is_dense = model.layers()[i].weight_dims().len() == 2;
                let conv = product.patches().expect("products have patches");
                let x = self.shaped(&x, is_dense, layer);
                self.product(&conv, &x, layer, &y, is_dense);
                is_dense
            }
            Map::Elementwise(activation, _) => {
                self.activation(*activation, &x.name, &y);
                x.is_flat
            }
            Map::Max(pool) | Map::Average(pool) => {
                let x = self.shaped(&x, false, layer);
                let mut attributes = window([pool.height, pool.width], pool.stride, pool.padding);
                let is_max = matches!(map, Map::Max(_));
                attributes.extend((!is_max).then(|| integer("count_include_pad", 1)));
                self.node(if is_max { "MaxPool" } else { "AveragePool" }, &[&x], &y, attributes);
                false
            }
            Map::Norm(..) => {
                let parts = ["weight", "bias", "running_mean", "running_var"].map(|of| format!("{layer}.{of}"));
                let [scale, shift, mean, variance] = parts.each_ref().map(String::as_str);
                let input = [&x.name, scale, shift, mean, variance];
                self.node("BatchNormalization", &input, &y, vec![float("epsilon", EPSILON)]);
                x.is_flat
            }
            Map::GroupNorm(norm) => {
                self.group_norm(norm, &x, layer, &y);
                x.is_flat
            }
            Map::Sum { output, first, .. } => {
                let is_concat = *first > 0;
                let terms = [edges.x, edges.plus.expect("a sum has two terms")];
                let is_flat = terms.iter().any(|of| self.values[of.index()].is_flat);
                let names = [0, 1].map(|term| {
                    let (of, name) = (terms[term], format!("{layer}.term{term}"));
                    let value = self.values[of.index()].clone();
                    let shaped = self.shaped(&value, is_flat, &name);
                    let missing = if is_concat { 0 } else { output.channels - model.shape_of(of).channels };
                    self.padded(&shaped, missing, is_flat, &name)
                });
                let (kind, attributes) =
                    if is_concat { ("Concat", vec![integer("axis", 1)]) } else { ("Add", Vec::new()) };
                self.node(kind, &[&names[0], &names[1]], &y, attributes);
                is_flat
            }
        };
        self.values.push(OnnxValue { name: y, is_flat });
    }

    /// What the last layer puts out is the output.
    fn end(&mut self) {
        let last = self.values.last().expect("a model has layers").clone();
        match self.nodes.last_mut().filter(|_| last.is_flat) {
            Some(node) => node.output = vec![OUTPUT.to_owned()],
            None => self.node("Flatten", &[&last.name], OUTPUT, vec![integer("axis", 1)]),
        }
    }

    /// The name of a value as `[N][C]`, or else as `[N][C][H][W]`.
    fn shaped(&mut self, value: &OnnxValue, flat: bool, layer: &str) -> String {
        let (name, output) = (&value.name, format!("{layer}.input"));
        match (value.is_flat, flat) {
            (false, true) => self.node("Flatten", &[name], &output, vec![integer("axis", 1)]),
            (true, false) => {
                let axes = format!("{layer}.axes");
                self.integers(&axes, &[2, 3]);
                self.node("Unsqueeze", &[name, &axes], &output, Vec::new());
            }
            _ => return name.clone(),
        }
        output
    }

    /// A convolution, or a dense layer over all values of x.
    fn product(&mut self, conv: &Conv2d, x: &str, layer: &str, y: &str, is_dense: bool) {
        let [weight, bias] = ["weight", "bias"].map(|of| format!("{layer}.{of}"));
        let input = [x, &weight, &bias];
        if is_dense {
            return self.node("Gemm", &input, y, vec![integer("transB", 1)]);
        }
        let mut attributes = window([conv.size; 2], conv.stride, conv.padding);
        attributes.extend((conv.groups > 1).then(|| integer("group", conv.groups as i64)));
        self.node("Conv", &input, y, attributes);
    }

    /// Each group of channels as one of an instance normalisation, then γ and β of each channel; opset 17 has no other.
    fn group_norm(&mut self, norm: &GroupNorm, x: &OnnxValue, layer: &str, y: &str) {
        let name = |of: &str| format!("{layer}.{of}");
        let Shape { channels, height, width } = norm.shape;
        let shape = [-1, channels as i64, height as i64, width as i64];
        self.integers(&name("groups"), &[0, norm.groups as i64, -1]);
        self.integers(&name("shape"), if x.is_flat { &shape[..2] } else { &shape });
        self.floats(&name("ones"), &[norm.groups], &vec![1.0; norm.groups]);
        self.floats(&name("zeros"), &[norm.groups], &vec![0.0; norm.groups]);
        self.node("Reshape", &[&x.name, &name("groups")], &name("grouped"), Vec::new());
        let input = [&*name("grouped"), &name("ones"), &name("zeros")];
        self.node("InstanceNormalization", &input, &name("normal"), vec![float("epsilon", EPSILON)]);
        self.node("Reshape", &[&name("normal"), &name("shape")], &name("normalised"), Vec::new());
        self.integers(&name("axes"), &[1, 2]);
        let [scale, shift] = ["weight", "bias"].map(|of| {
            if x.is_flat {
                return name(of);
            }
            let shaped = format!("{}.shaped", name(of));
            self.node("Unsqueeze", &[&name(of), &name("axes")], &shaped, Vec::new());
            shaped
        });
        self.node("Mul", &[&name("normalised"), &scale], &name("scaled"), Vec::new());
        self.node("Add", &[&name("scaled"), &shift], y, Vec::new());
    }

    fn activation(&mut self, activation: Activation, x: &str, y: &str) {
        let kind = match activation {
            Activation::Relu => "Relu",
            Activation::Tanh => "Tanh",
            Activation::Softplus => "Softplus",
            Activation::Silu => {
                let gate = format!("{y}.gate");
                self.node("Sigmoid", &[x], &gate, Vec::new());
                return self.node("Mul", &[x, &gate], y, Vec::new());
            }
        };
        self.node(kind, &[x], y, Vec::new());
    }

    /// The name of x with so many more channels of zeros.
    fn padded(&mut self, x: &str, missing: usize, is_flat: bool, name: &str) -> String {
        if missing == 0 {
            return x.to_owned();
        }
        let (pads, output, missing) = (format!("{name}.pads"), format!("{name}.padded"), missing as i64);
        // before each dimension, and then after each
        let of_maps = [0, 0, 0, 0, 0, missing, 0, 0];
        let of_vector = [0, 0, 0, missing];
        self.integers(&pads, if is_flat { &of_vector } else { &of_maps });
        self.node("Pad", &[x, &pads], &output, Vec::new());
        output
    }
}

fn window(sides: [usize; 2], stride: usize, padding: usize) -> Vec<AttributeProto> {
    vec![integers("kernel_shape", &sides), integers("strides", &[stride; 2]), integers("pads", &[padding; 4])]
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, kind: OF_INT, ..AttributeProto::default() }
}

fn float(name: &str, f: f64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f: f as f32, kind: OF_FLOAT, ..AttributeProto::default() }
}

fn integers(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|&n| n as i64).collect();
    AttributeProto { name: name.to_owned(), ints, kind: OF_INTS, ..AttributeProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Description;
    use std::collections::HashSet;

    const NET: &str = r#"
        layer = [
            { kind = "conv", channels = 3, size = 3, padding = 1, activation = "silu", name = "a" },
            { kind = "add", from = ["input", "a"], pad = true, activation = "softplus" },
            { kind = "conv", channels = 3, size = 2, groups = 3 },
            { kind = "global-avg-pool", name = "pool" },
            { kind = "dense", units = 3 },
            { kind = "add", from = "pool", name = "sum" },
            { kind = "dense", units = 5, activation = "tanh" },
            { kind = "add", from = "sum", pad = true },
            { kind = "batch-norm" },
            { kind = "group-norm", groups = 5 },
            { kind = "concat", from = "pool" },
            { kind = "dense" }
        ]"#;

    #[test]
    fn every_name_is_that_of_something_before_and_constants_have_their_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.onnx");
        let builtin = Description::builtin_names()
            .map(|name| (Description::open(name).unwrap(), Description::input_of(name).unwrap(), 10));
        let odd = (Description::parse(NET, "odd").unwrap(), Shape::new(2, 5, 4), 5);
        for (description, input, classes) in builtin.chain([odd]) {
            let model = Model::new(&description, input, classes).unwrap();
            let signature = Signature {
                values: ValueKind::Bytes,
                model: description,
                input,
                classes: (0..classes).map(|i| i.to_string()).collect(),
                normalisation: vec![(100.0, 50.0); input.channels],
            };
            let moments = vec![1.0; model.moments().iter().map(|tensor| tensor.range.len()).sum()];
            save_onnx(&path, &model, [&model.initialise(0), &moments], &signature).unwrap();
            let proto = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
            let graph = proto.graph.unwrap();
            let mut known: HashSet<&str> = HashSet::from([INPUT]);
            for TensorProto { dims, data_type, name, raw_data, .. } in &graph.initializer {
                let bytes = if *data_type == FLOAT { 4 } else { 8 };
                assert_eq!(raw_data.len() as i64, bytes * dims.iter().product::<i64>(), "{name}");
                assert!(known.insert(name), "{}: {name} twice", model.name);
            }
            for node in &graph.node {
                let unknown = node.input.iter().find(|name| !known.contains(name.as_str()));
                assert_eq!(unknown, None, "{}, {}", model.name, node.name);
                assert!(known.insert(&node.output[0]), "{}: {} twice", model.name, node.output[0]);
            }
            assert!(known.contains(OUTPUT), "{}", model.name);
        }
    }
}
