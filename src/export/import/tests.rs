//! Graphs written by hand.

use super::load::{OnnxNetwork, load_onnx};
use crate::error::Error;
use crate::export::onnx::save_onnx;
use crate::export::proto::{
    AttributeProto, Dimension, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OF_INT, OF_INTS, OperatorSetId,
    TensorProto, TensorShape, TensorType, TypeProto, ValueInfo,
};
use crate::export::signature::Signature;
use crate::model::{Description, Model};
use crate::values::ValueKind;
use prost::Message;
use std::path::Path;

/// A node as `y = Kind(a, b) name=1 names=1,2`.
fn node(text: &str) -> NodeProto {
    let (output, rest) = text.split_once(" = ").unwrap();
    let (call, attributes) = rest.split_once(')').unwrap();
    let (kind, inputs) = call.split_once('(').unwrap();
    let attribute = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        let ints: Vec<i64> = value.split(',').map(|n| n.parse().unwrap()).collect();
        let (kind, i) = if ints.len() == 1 { (OF_INT, ints[0]) } else { (OF_INTS, 0) };
        AttributeProto { name: name.to_owned(), i, ints, kind, ..AttributeProto::default() }
    };
    NodeProto {
        input: inputs.split(", ").map(str::to_owned).collect(),
        output: vec![output.to_owned()],
        op_type: kind.to_owned(),
        attribute: attributes.split_whitespace().map(attribute).collect(),
        ..NodeProto::default()
    }
}

fn value(name: &str, dims: &[i64]) -> ValueInfo {
    let dim = dims.iter().map(|&n| Dimension { dim_value: (n > 0).then_some(n), dim_param: None }).collect();
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(TensorShape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

/// Constants that the nodes read: names of small tensors with values 1, 2, … by their dimensions, `w4x2x3x3`; and of
/// lists of whole numbers, `i0,-1`.
fn constants(nodes: &[NodeProto]) -> Vec<TensorProto> {
    let mut all: Vec<TensorProto> = Vec::new();
    for name in nodes.iter().flat_map(|node| &node.input) {
        if all.iter().any(|tensor| tensor.name == *name) {
            continue;
        }
        let tensor = TensorProto { name: name.clone(), ..TensorProto::default() };
        if let Some(dims) = name.strip_prefix('w') {
            let dims: Vec<i64> = dims.split('x').map(|n| n.parse().unwrap()).collect();
            let float_data = (1..=dims.iter().product::<i64>()).map(|x| x as f32).collect();
            all.push(TensorProto { dims, data_type: FLOAT, float_data, ..tensor });
        } else if let Some(numbers) = name.strip_prefix('i') {
            let int64_data: Vec<i64> = numbers.split(',').map(|n| n.parse().unwrap()).collect();
            all.push(TensorProto { dims: vec![int64_data.len() as i64], data_type: INT64, int64_data, ..tensor });
        }
    }
    all
}

/// A model of nodes that read `x`, 2×6×6, and put out `y`.
fn model(nodes: &[&str]) -> ModelProto {
    let node: Vec<NodeProto> = nodes.iter().map(|text| node(text)).collect();
    let initializer = constants(&node);
    let graph = GraphProto {
        node,
        initializer,
        input: vec![value("x", &[0, 2, 6, 6])],
        output: vec![value("y", &[0, 4])],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetId { domain: String::new(), version: 17 }];
    ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() }
}

fn load(path: &Path, proto: &ModelProto) -> Result<OnnxNetwork, Error> {
    std::fs::write(path, proto.encode_to_vec()).unwrap();
    load_onnx(path)
}

/// What is refused, and what is said of it.
const REFUSED: &[(&[&str], &str)] = &[
    (&["y = ConvTranspose(x, w2x4x3x3)"], "node y (ConvTranspose): no layer does this"),
    (&["y = Conv(x, w4x1x3x3) group=3"], "node y (Conv): 2 to 4 channels in 3 groups"),
    (&["y = Conv(x, w4x2x3x3) group=2"], "filters of 2 channels on 2×6×6"),
    (&["y = Conv(x, w4x2x3x5)"], "3×5"),
    (&["y = Conv(x, w4x2x3x3) pads=0,0,1,1"], "pads"),
    (&["y = Conv(x, w4x2x3x3) strides=1,2"], "strides"),
    (&["y = Conv(x, w4x2x3x3) dilations=2,2"], "dilations"),
    (&["y = Conv(x, w4x3x3x3)"], "3 channels on 2×6×6"),
    (&["y = Conv(x, w4x2x9x9)"], "a 9×9 filter on 2×6×6"),
    (&["y = Conv(x, w4x2x3x3) strides=0,0"], "a 3×3 filter"),
    (&["a = GlobalAveragePool(x)", "b = Flatten(a)", "y = Gemm(b, w3x4)"], "weights of 3 inputs on 2 values"),
    (&["y = MatMul(x, w6x4)"], "flatten before it"),
    (&["a = Sigmoid(x)", "b = GlobalAveragePool(a)", "y = Flatten(b)"], "it reads a sigmoid"),
    (
        &["a = Relu(x)", "b = Sigmoid(x)", "c = Mul(a, b)", "d = GlobalAveragePool(c)", "y = Flatten(d)"],
        "another value",
    ),
    (&["y = Relu(z)"], "it reads z, which nothing before it puts out"),
    (&["a = Relu(b)", "b = Relu(x)", "y = Flatten(a)"], "it reads b, which nothing before it puts out"),
    (&["a = Relu(x)", "y = Add(a, w2x1x1)"], "a constant after something that has none"),
    (&["a = Conv(x, w4x2x3x3)", "y = Add(a, w3x1x1)"], "one of each channel of 4×4×4"),
    (&["y = Reshape(x, i2,-1)"], "to [2, -1]"),
    (&["y = Reshape(x, i0,4,18)"], "which layers do not"),
    (&["a = MaxPool(x) kernel_shape=3,3 strides=2,2 ceil_mode=1", "y = Flatten(a)"], "ceil_mode"),
    (&["a = AveragePool(x) kernel_shape=3,3 pads=1,1,1,1", "y = Flatten(a)"], "count_include_pad"),
    (&["a = MaxPool(x) kernel_shape=2,2 strides=2,2", "y = Concat(a, x) axis=1"], "2×6×6 after 2×3×3"),
    (&["y = Concat(x, x) axis=2"], "axis = 2"),
    (&["y = Relu(x)"], "not a value for each class"),
    (&["a = Softmax(x) axis=1", "y = GlobalAveragePool(a)"], "a softmax"),
    (&["y = GlobalAveragePool(x)"], "no layer has parameters"),
    (&["a = Sub(x, w4x1x1)", "y = Flatten(a)"], "one of each channel of 2×6×6"),
    (
        &["a = GlobalAveragePool(x)", "b = Flatten(a)", "y = Concat(b, w4) axis=1"],
        "node y (Concat): input 2 is a constant",
    ),
];

#[test]
fn what_no_layer_does_is_refused_by_node_and_operator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    for (nodes, why) in REFUSED {
        let said = match load(&path, &model(nodes)) {
            Err(error @ Error::Data(_)) => {
                let mut said = error.to_string();
                let mut next = std::error::Error::source(&error);
                while let Some(source) = next {
                    said += &format!(": {source}");
                    next = source.source();
                }
                said
            }
            other => panic!("{nodes:?}: {other:?}"),
        };
        assert!(said.contains(why) && said.contains("net.onnx"), "{nodes:?}: {said}");
    }
}

/// What is read, and the layers that it becomes, by name.
const READ: &[(&[&str], &[&str])] = &[
    (&["a = Conv(x, w4x2x6x6, w4)", "y = Flatten(a)"], &["conv1"]),
    (
        &[
            "a = Conv(x, w4x2x3x3)",
            "b = Add(a, w4x1x1)",
            "c = Mul(b, w1)",
            "d = Relu(c)",
            "y = ReduceMean(d) axes=2,3 keepdims=0",
        ],
        &["conv1", "relu1", "global_avg_pool2"],
    ),
    (&["a = Flatten(x)", "b = MatMul(a, w72x4)", "y = Add(w4, b)"], &["dense1"]),
    (&["a = Reshape(x, i-1,72)", "b = Gemm(a, w4x72, w1) transB=1", "y = LogSoftmax(b) axis=1"], &["dense1"]),
    (
        &[
            "a = Shape(x)",
            "b = Gather(a, i0)",
            "c = Concat(b, i-1) axis=0",
            "d = Reshape(x, c)",
            "y = MatMul(d, w72x4)",
        ],
        &["dense1"],
    ),
    (&["t = Transpose(w4x72)", "a = Flatten(x)", "y = MatMul(a, t)"], &["dense1"]),
    // one layer reads what another adds: an activation of its own
    (
        &[
            "a = Conv(x, w4x2x3x3) pads=1,1,1,1",
            "b = Relu(a)",
            "c = Add(a, b)",
            "d = Sigmoid(c)",
            "e = Mul(d, c)",
            "f = GlobalMaxPool(e)",
            "y = Squeeze(f, i2,3)",
        ],
        &["conv1", "relu2", "add3", "silu3", "max_pool4"],
    ),
    (
        &[
            "a = Conv(x, w1x2x3x3) pads=1,1,1,1",
            "b = Concat(a, x, a) axis=1",
            "c = Relu(b)",
            "d = GlobalAveragePool(c)",
            "y = Flatten(d)",
        ],
        &["conv1", "concat2", "concat3", "relu3", "global_avg_pool4"],
    ),
    (
        &["a = MaxPool(x) kernel_shape=2,2 strides=2,2", "b = Tanh(a)", "c = Conv(b, w4x2x3x3)", "y = Flatten(c)"],
        &["max_pool1", "tanh2", "conv3"],
    ),
    (&["u = Erf(x)", "a = Conv(x, w4x2x6x6)", "y = Flatten(a)"], &["conv1"]),
];

#[test]
fn what_layers_do_is_read_as_these() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    for (nodes, names) in READ {
        let OnnxNetwork { model, signature, stated, .. } =
            load(&path, &model(nodes)).unwrap_or_else(|why| panic!("{nodes:?}: {why:?}"));
        let found: Vec<&str> = model.layers().iter().map(|layer| layer.name()).collect();
        assert_eq!(found, *names, "{nodes:?}");
        assert_eq!((signature.classes.len(), signature.normalisation), (4, vec![(0.0, 255.0); 2]));
        assert!(!stated.inputs && !stated.classes);
    }
    let OnnxNetwork { theta, .. } = load(&path, &model(READ[1].0)).unwrap();
    assert_eq!(theta[4 * 18..4 * 18 + 4], [1.0, 2.0, 3.0, 4.0], "biases that a node adds");
    let OnnxNetwork { theta: a, .. } = load(&path, &model(READ[5].0)).unwrap();
    assert_eq!(a[..3], [1.0, 2.0, 3.0], "a transpose of a transpose");
    let OnnxNetwork { theta: a, .. } = load(&path, &model(READ[4].0)).unwrap();
    assert_eq!(a[..3], [1.0, 5.0, 9.0], "rows of outputs");
    // what is done to pixels first
    let nodes = ["a = Sub(x, w2x1x1)", "b = Div(a, w1x2x1x1)", "c = Conv(b, w4x2x6x6)", "y = Flatten(c)"];
    let OnnxNetwork { signature, .. } = load(&path, &model(&nodes)).unwrap();
    assert_eq!(signature.normalisation, [(255.0, 255.0), (510.0, 510.0)]);
}

#[test]
fn a_model_of_ours_without_its_metadata_is_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    for name in Description::builtin_names() {
        let (description, input) = (Description::open(name).unwrap(), Description::input_of(name).unwrap());
        let model = Model::new(&description, input, 10).unwrap();
        let classes = (0..10).map(|i| format!("class {i}")).collect();
        let normalisation = vec![(100.0, 50.0); input.channels];
        let signature = Signature { model: description, input, classes, normalisation, values: ValueKind::Bytes };
        let moments = vec![1.0; model.moments().iter().map(|tensor| tensor.range.len()).sum()];
        let theta = model.initialise(3);
        save_onnx(&path, &model, [&theta, &moments], &signature).unwrap();
        let mut proto = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        proto.metadata_props.retain(|entry| entry.key == "classes");
        let read = load(&path, &proto).unwrap();
        assert_eq!([read.theta, read.moments], [theta, moments], "{name}");
        let (found, read) = (read.model, read.signature);
        assert_eq!((&read.classes, &read.normalisation), (&signature.classes, &signature.normalisation));
        assert_eq!(
            (found.name.as_str(), format!("{:?}", found.maps(1).maps)),
            (name, format!("{:?}", model.maps(1).maps))
        );
        assert_eq!(found.edges(), model.edges());
    }
}

#[test]
fn constants_are_as_long_as_they_say_and_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let whole = model(READ[0].0);
    let refused = |change: &dyn Fn(&mut TensorProto)| {
        let mut proto = whole.clone();
        change(&mut proto.graph.as_mut().unwrap().initializer[0]);
        format!("{:?}", load(&path, &proto).unwrap_err())
    };
    assert!(refused(&|tensor| tensor.float_data.truncate(3)).contains("3 values where its dimensions say 288"));
    assert!(refused(&|tensor| tensor.dims[0] = 1 << 40).contains("where its dimensions say"));
    assert!(refused(&|tensor| tensor.dims = vec![1 << 40; 4]).contains("dimensions that are none"));
    assert!(refused(&|tensor| tensor.dims[0] = -1).contains("dimensions that are none"));
    assert!(refused(&|tensor| tensor.data_type = 10).contains("numbers of type 10"));
    assert!(refused(&|tensor| tensor.float_data[0] = f32::NAN).contains("NotFinite"));
    let entry =
        |key: &str, value: &str| crate::export::proto::StringStringEntry { key: key.into(), value: value.into() };
    let beside = |location: &str, offset: &str| {
        let entries = vec![entry("location", location), entry("offset", offset)];
        refused(&move |tensor| (tensor.data_location, tensor.external_data) = (1, entries.clone()))
    };
    // more than the model itself could hold, in another file
    let mut proto = whole.clone();
    let tensor = &mut proto.graph.as_mut().unwrap().initializer[0];
    let bytes: Vec<u8> = tensor.float_data.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(folder.path().join("values"), &bytes).unwrap();
    (tensor.data_location, tensor.external_data, tensor.float_data) =
        (1, vec![entry("location", "values")], Vec::new());
    let found = load(&path, &proto).unwrap();
    assert!(found.theta[..288] == load(&path, &whole).unwrap().theta[..288]);
    assert!(beside("../net.onnx", "0").contains("not beside the model"));
    assert!(beside("/etc/hostname", "0").contains("not beside the model"));
    assert!(beside("none", "0").contains("a file beside the model"));
    assert!(beside("net.onnx", "99999999999").contains("does not hold its 1152 bytes"));
    assert!(beside("net.onnx", "x").contains("at a place"));
}
