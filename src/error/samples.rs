//! An error of every cause, for tests. Whatever somebody else named has a name of two lines.

use super::*;
use crate::shape::Shape;
use crate::values::ValueKind;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;

const NAME: &str = "a\nb\u{7}";

fn name() -> String {
    NAME.to_owned()
}

fn path() -> PathBuf {
    NAME.into()
}

fn at() -> Place {
    Place { file: path(), offset: 7, is_compressed: true }
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn json() -> serde_json::Error {
    serde_json::from_str::<u8>("?").unwrap_err()
}

fn toml() -> BoxError {
    Box::new(toml::from_str::<toml::Table>("a = ").unwrap_err())
}

fn tensors() -> safetensors::SafeTensorError {
    safetensors::SafeTensors::deserialize(&[]).unwrap_err()
}

fn diverged(learning_rate: Option<f64>, weight_decay: f64) -> Error {
    let (tensor, stage) = ("the loss".to_owned(), "subset".to_owned());
    Error::Diverged { tensor, iteration: 3, stage, learning_rate, weight_decay }
}

/// An error of every cause.
pub(crate) fn all() -> Vec<Error> {
    let mut all = vec![
        diverged(Some(1e30), 1e-3),
        diverged(None, 1e300),
        diverged(None, 1e-3),
        Error::Stopped,
        Error::Interrupted { iteration: 3, stage: "full set".to_owned() },
    ];
    all.extend(usage().into_iter().map(Error::from));
    all.extend(rank().into_iter().map(Error::from));
    all.extend(model().into_iter().map(Error::from));
    all.push(Error::unreadable(&path(), denied()));
    all.extend(set().into_iter().map(Error::from));
    all.extend(images().into_iter().map(|cause| SetError::from(cause).into()));
    all.extend(set_of_other_files().into_iter().map(Error::from));
    all.extend(run().into_iter().map(Error::from));
    all.extend(onnx().into_iter().map(|source| RunError::Onnx { path: path(), source }.into()));
    all.extend(device().into_iter().map(Error::from));
    all.extend(memory().into_iter().map(Error::from));
    let image = || image::ImageError::IoError(denied());
    all.push(Error::io("writing", &path(), denied()));
    all.push(Error::io("creating", &path(), io::ErrorKind::StorageFull.into()));
    all.push(IoError::Fetch { path: path(), faults: vec![name()], missing: vec!["b.gz".into()] }.into());
    all.push(IoError::Chart { source: Box::new(denied()) }.into());
    all.push(IoError::Image { source: image() }.into());
    all
}

fn rank() -> Vec<RankError> {
    vec![
        RankError::Failed { rank: 3, host: name(), why: "no adapter".to_owned(), failure: FailureKind::Device },
        RankError::OtherProgram { rank: 3, host: name() },
        RankError::Message { why: "it is too short".to_owned() },
        RankError::OtherMpi { ranks: 4, found: 1 },
        RankError::NoMpi { ranks: 4 },
    ]
}

fn usage() -> Vec<UsageError> {
    vec![
        UsageError::Resize { height: 0, width: 8, most: 4096 },
        UsageError::Backend { name: name(), known: &["vulkan", "gl"] },
        UsageError::UnknownName { of: "method", name: name(), known: vec!["kfac".to_owned(), "lbfgs".to_owned()] },
        UsageError::Mismatch { method: "muon".to_owned(), schedule: "sweep".to_owned(), why: ["", "sweep takes kfac"] },
        UsageError::Augmentation { name: "crop", value: 8.0, most: 7.0 },
        UsageError::Copies { copies: 3_000_000, examples: 1437, most: 2988 },
        UsageError::Choice { examples: 1024, room: 512, most: 2048 },
        UsageError::Group { group: 100, chunk: 512, block: 64 },
        UsageError::Choice { examples: 1025, room: 512, most: 512 },
        UsageError::Subset { size: "1/8".to_owned(), count: 0, examples: 7, available: 7 },
        UsageError::HeldOut { size: "1/1".to_owned(), examples: 1437 },
        UsageError::NoStep,
        UsageError::ClassWeights { file: name(), why: name() },
        UsageError::Pixels { why: name() },
        UsageError::Arrays { why: name() },
        UsageError::Configuration { why: "copies is 0" },
        UsageError::Budget { epochs: 0.3, examples: 1437 },
        UsageError::RunExists { path: path() },
        UsageError::RunInUse { path: path(), holder: name() },
        UsageError::NotOurs { path: path() },
        UsageError::Refused { why: name() },
    ]
}

fn model() -> Vec<ModelError> {
    let (model, layer, input) = (name(), 2, Shape::new(1, 8, 8));
    vec![
        ModelError::Unknown { name: name(), known: vec!["digits-1k", "mnist-14k"], source: denied() },
        ModelError::Syntax { file: name(), line: 3, source: toml() },
        ModelError::Size { model: model.clone(), layer, what: "units", value: 0, least: 1, most: 9 },
        ModelError::TooLarge { model: model.clone(), layer, values: 1 << 70, weights: 1 << 60 },
        ModelError::Window { model: model.clone(), layer, window: "a 9×9 filter".to_owned(), input },
        ModelError::Unnamed { model: model.clone(), layer, name: name() },
        ModelError::SameName { model: model.clone(), layer, name: name() },
        ModelError::Sources { model: model.clone(), layer, reads: 3, takes: 2 },
        ModelError::Terms { model: model.clone(), layer, terms: [input; 2] },
        ModelError::Groups { model: model.clone(), layer, groups: 3, channels: 16 },
        ModelError::Unread { model: model.clone(), layer: name() },
        ModelError::Units { model: model.clone(), layer },
        ModelError::Outputs { model: model.clone(), outputs: input, classes: 10 },
        ModelError::NoDefault { images: input, known: vec!["digits-1k", "mnist-14k"] },
        ModelError::NoFactors { layer: name() },
        ModelError::Frozen { model: model.clone(), number: 9, first: 1, last: 9 },
        ModelError::NoParameters { model },
    ]
}

fn onnx() -> Vec<OnnxError> {
    vec![
        OnnxError::Undecoded { source: <u32 as prost::Message>::decode(&[8][..]).unwrap_err() },
        OnnxError::Node { node: name(), kind: name(), why: name() },
        OnnxError::Constant { name: name(), why: name() },
    ]
}

fn set() -> Vec<SetError> {
    let text = |text: &str| text.to_owned();
    let found = [Instead::Nothing, Instead::File, Instead::Empty, Instead::Undivided, Instead::Other];
    let mut all: Vec<_> = vec![
        SetError::NoSuchPrefix { path: path(), sets: vec![text("emnist-letters")] },
        SetError::Several { path: path(), sets: vec![text("emnist-letters"), text("emnist-balanced")] },
        SetError::MissingIdx { path: path() },
        SetError::MissingCifar { path: path(), format: text("CIFAR-10 binary"), files: vec!["test_batch.bin"] },
        SetError::NotAFile { path: path() },
        SetError::TestPart { path: path() },
        SetError::OneClass { path: path(), class: name() },
        SetError::Unexpected { at: at(), expected: text("images"), found: text("none"), source: Some(denied()) },
        SetError::Inconsistent { at: at(), expected: text("10 labels"), found: text("9") },
        SetError::ClassNames { at: at(), classes: 10, found: text("9 lines") },
    ];
    all.extend(found.map(|found| SetError::Unrecognised { path: path(), found, layouts: "understood are …" }));
    all
}

fn set_of_other_files() -> Vec<SetError> {
    let cause = Box::new(Error::from(SetError::NotAFile { path: path() }));
    vec![
        ArrayError::Missing { path: path(), names: vec![name()] }.into(),
        ArrayError::Dtype { path: path(), what: "images", dtype: "int16".to_owned(), wanted: "uint8" }.into(),
        ArrayError::Dtype { path: path(), what: "labels", dtype: "float32".to_owned(), wanted: "an integer" }.into(),
        ArrayError::Shape { path: path(), what: "labels", shape: vec![3, 14], wanted: "[N] or [N, 1]" }.into(),
        TableError::Syntax { path: path(), source: denied().into() }.into(),
        TableError::Long { path: path(), bytes: 3 << 30, most: 1 << 30 }.into(),
        TableError::Column { path: path(), names: &["label", "class"], found: vec![name()] }.into(),
        TableError::Cell { path: path(), line: 7, expected: "a label", found: name() }.into(),
        TableError::Untrained { path: path(), line: 7, class: name() }.into(),
        TableError::NoRow { path: path(), part: "testing" }.into(),
        ArchiveError::Zip { path: path(), source: zip::result::ZipError::FileNotFound }.into(),
        ArchiveError::Tar { path: path(), source: denied() }.into(),
        ArchiveError::Kind { path: path(), member: name(), kind: "a link" }.into(),
        ArchiveError::Outside { path: path(), member: name() }.into(),
        ArchiveError::Large { path: path(), most: 1 << 30, is_disk: false }.into(),
        ArchiveError::Many { path: path(), most: 9 }.into(),
        Unpacked { cause, folder: path(), archive: path() }.into(),
    ]
}

fn images() -> Vec<ImagesError> {
    let source = image::ImageError::IoError(denied());
    vec![
        ImagesError::NoTest { path: path() },
        ImagesError::Unread { count: 2, of: 9 },
        ImagesError::TwoTests { path: path() },
        ImagesError::Several { count: 12, faults: vec!["a.png: expected more".to_owned(), "b".to_owned()] },
        ImagesError::MissingClass { path: path(), counterpart: path() },
        ImagesError::NoClasses { path: path() },
        ImagesError::ClassName { path: path() },
        ImagesError::NoImages { path: path(), extensions: &["png", "jpg"] },
        ImagesError::Format { path: path() },
        ImagesError::Size { path: path(), size: (9, 7), other: path(), other_size: (20, 20) },
        ImagesError::Undecoded { path: path(), source },
        ImagesError::Kind { path: path(), source: image::ImageError::IoError(denied()) },
        ImagesError::Unexpected {
            path: path(),
            offset: 16,
            expected: "90 bytes of a chunk".to_owned(),
            found: "only 7".to_owned(),
        },
        ImagesError::Header { path: path(), height: 60_000, width: 60_000, bytes: 31 },
        ImagesError::Large { path: path(), height: 40_000, width: 40_000, bytes: 3 << 30, most: 1 << 30 },
        ImagesError::LongFile { path: path(), bytes: 3 << 30, most: 1 << 30 },
        ImagesError::CutOff { path: path(), bytes: 31 },
    ]
}

fn run() -> Vec<RunError> {
    let (images, tensor) = (Shape::new(1, 8, 8), name);
    vec![
        RunError::NotARun { path: path() },
        RunError::Incomplete { path: path() },
        RunError::NoWeights,
        RunError::NoRecord { path: path() },
        RunError::NoState { path: path() },
        RunError::OtherData { data: name(), run: None },
        RunError::OtherData { data: name(), run: Some(path()) },
        RunError::InitialWeights { path: path(), source: Box::new(denied()) },
        RunError::OtherWeights { path: path() },
        RunError::NothingKept { path: path() },
        RunError::OtherTensor { path: path(), tensor: tensor(), found: Some(vec![16, 3]), expected: vec![32, 3] },
        RunError::OtherTensor { path: path(), tensor: tensor(), found: None, expected: vec![32, 3] },
        RunError::NoPictures { input: Shape::new(2, 8, 8), values: ValueKind::Floats },
        RunError::OtherValues { data: name(), found: ValueKind::Bytes, trained: ValueKind::Floats },
        RunError::OtherClasses { data: name(), classes: vec![name()], trained: vec![name(), name()] },
        RunError::OtherImages { data: name(), images, classes: 9, trained_images: images, trained_classes: 10 },
        RunError::Config { path: path(), line: 3, source: toml() },
        RunError::Record { path: path(), line: None, source: json() },
        RunError::Record { path: path(), line: Some(3), source: json() },
        RunError::OtherConfiguration { path: path(), checkpoint: path() },
        RunError::OtherSteps { path: path(), records: 3, checkpoint: path() },
        RunError::Sequence { path: path(), line: 3, found: 7 },
        RunError::Records { path: path(), found: 3, expected: 4 },
        RunError::NotSealed { path: path() },
        RunError::Damaged { path: path() },
        RunError::NotFinite { path: path(), tensor: tensor() },
        RunError::Onnx { path: path(), source: OnnxError::graph("no graph") },
        RunError::NotSafetensors { path: path(), source: tensors() },
        RunError::NoMetadata { path: path(), key: name() },
        RunError::Vectors { path: path(), source: Box::new(RunError::UnknownVector { vector: name() }) },
        RunError::UnknownVector { vector: name() },
        RunError::MissingTensor { path: path(), tensor: tensor() },
        RunError::ElementType { path: path(), tensor: tensor(), found: safetensors::Dtype::F16 },
        RunError::TensorSize { path: path(), tensor: tensor(), found: 3, expected: 4 },
        RunError::Normalisation { path: path(), found: 3, channels: 1 },
        RunError::Model { path: path(), source: Box::new(ModelError::NoParameters { model: name() }) },
        RunError::Tensors { source: tensors() },
        RunError::State { lacks: "the vector gradient".to_owned(), source: None },
        RunError::State { lacks: "the numbers".to_owned(), source: Some(json()) },
    ]
}

fn device() -> Vec<DeviceError> {
    let (adapter, source) = (name, || -> BoxError { Box::new(denied()) });
    let (backend, why) = (|| "Vulkan".to_owned(), || "the driver says so".to_owned());
    let lacks = [
        Lack::StorageBuffers { offered: 4, needed: 8 },
        Lack::Subgroups { invocations: 8 },
        Lack::Invocations { offered: 64, needed: 128 },
        Lack::StorageTextures { offered: 4, needed: 8 },
        Lack::ReadWriteTextures,
    ];
    let mut all: Vec<_> = vec![
        DeviceError::NoAdapter,
        DeviceError::NoSuchAdapter { wanted: name(), found: vec![] },
        DeviceError::NoSuchAdapter { wanted: name(), found: vec![name(), name()] },
        DeviceError::Unopened { adapter: adapter(), source: source() },
        DeviceError::Lost { adapter: adapter(), why: why() },
        DeviceError::Rejected { adapter: adapter(), why: why() },
        DeviceError::Shader(ShaderRejection { adapter: adapter(), shader: "conv2d", why: why() }),
        DeviceError::Unfinished { adapter: adapter(), source: source() },
        DeviceError::Unread { adapter: adapter(), source: source() },
        DeviceError::NotFinite { adapter: adapter(), what: "the gradient".to_owned() },
        DeviceError::Gone { adapter: adapter(), tries: 3, source: Box::new(std::fmt::Error) },
        DeviceError::Unsteady { adapter: adapter(), what: "conv1 forward".to_owned() },
        DeviceError::Wrong { adapter: adapter(), what: "matmul".to_owned(), error: 0.5 },
    ];
    all.extend(lacks.map(|lack| DeviceError::Unfit { adapter: adapter(), backend: backend(), lack }));
    all
}

fn memory() -> Vec<MemoryError> {
    let (model, adapter, what) = (name, name, || "theta".to_owned());
    let source = Vec::<u64>::new().try_reserve(usize::MAX).unwrap_err();
    vec![
        MemoryError::Allocation { what: what(), bytes: 1 << 32, limit: None, adapter: adapter() },
        MemoryError::Allocation { what: what(), bytes: 1 << 32, limit: Some(1 << 31), adapter: adapter() },
        MemoryError::Device { adapter: adapter() },
        MemoryError::Host { what: what(), bytes: usize::MAX, source },
        MemoryError::Chunk { model: model(), examples: 64, bytes: 1 << 20, budget: 4096, adapter: adapter() },
        MemoryError::Parameters { model: model(), parameters: 1 << 32, limit: 1 << 31, adapter: adapter() },
        MemoryError::Examples { examples: 1 << 30, adapter: adapter() },
        MemoryError::Copies { copies: 1_500_000, examples: 1 << 31, adapter: adapter() },
        MemoryError::Factor { layer: name(), rows: 6145, bytes: 151_191_552, limit: 1 << 27, adapter: adapter() },
        MemoryError::Binding { kernel: "conv2d", bytes: 1 << 28, limit: 1 << 27, adapter: adapter() },
        MemoryError::Turns { what: what(), turns: 70_000, limit: 65_535, adapter: adapter() },
        MemoryError::Grid { kernel: "conv2d", groups: [70_000, 1, 1], limit: 65_535 },
    ]
}

/// Names of the variants of a file's enums: lines that are indented once and begin with a capital.
fn variants(source: &str) -> Vec<&str> {
    let enums = source.lines().filter_map(|line| line.strip_prefix("    "));
    let named = enums.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    named.map(|line| &line[..line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len())]).collect()
}

#[test]
fn every_cause_is_one_line_that_says_something() {
    let samples = all();
    for error in &samples {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains(char::is_control), "{error:?}: {text}");
        let source = error.source().map(ToString::to_string);
        assert!(source.is_none_or(|source| !text.contains(&source)), "{text}: its source is said twice");
    }
    let all = format!("{samples:?}");
    for file in [
        include_str!("usage.rs"),
        include_str!("model.rs"),
        include_str!("onnx.rs"),
        include_str!("data.rs"),
        include_str!("set.rs"),
        include_str!("images.rs"),
        include_str!("run.rs"),
        include_str!("device.rs"),
        include_str!("memory.rs"),
        include_str!("io.rs"),
        include_str!("archive.rs"),
        include_str!("array.rs"),
        include_str!("table.rs"),
    ] {
        let names = variants(file);
        assert!(!names.is_empty());
        for name in names {
            assert!(all.contains(name), "{name} is not among the samples");
        }
    }
}
