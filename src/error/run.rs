//! Run folders and their files that cannot be used.

use super::onnx::OnnxError;
use super::text::{BoxError, shown};
use crate::shape::Shape;
use crate::values::ValueKind;
use safetensors::SafeTensorError;
use std::path::{Path, PathBuf};

/// Which run, if it has a name.
fn of(run: Option<&Path>) -> String {
    run.map_or(String::new(), |run| format!(" of {}", shown(run)))
}

/// Names that are listed.
const LISTED: usize = 20;

/// Names in a row, the first of them where there are many.
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(LISTED).map(shown).collect();
    let more = names.len().saturating_sub(LISTED);
    first.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Dimensions of a tensor.
fn dims(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

/// In which shape weights have a tensor.
fn of_shape(found: Option<&[usize]>) -> String {
    found.map_or("no".to_owned(), |found| format!("a {}", dims(found)))
}

/// Why a run folder, or a file of one, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A folder without a configuration.
    #[error("{}: not a run folder: it has no config.toml", shown(path))]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run that has not come to its end, and so has no weights.
    #[error("{}: the run is not complete", shown(path))]
    Incomplete {
        /// The run folder.
        path: PathBuf,
    },
    /// A run that has not come to its first checkpoint.
    #[error("there are no weights yet: the run has not made a checkpoint")]
    NoWeights,
    /// A run that is over and left no record.
    #[error("{}: the run left no run.json", shown(path))]
    NoRecord {
        /// The run folder.
        path: PathBuf,
    },
    /// A complete run of which nothing is left to go on from.
    #[error("{}: the run is complete and kept no state.safetensors to go on from", shown(path))]
    NoState {
        /// The run folder.
        path: PathBuf,
    },
    /// Data whose content is not what a run was made on.
    #[error("{}: not the data that the run{} was made on", shown(data), of(run.as_deref()))]
    OtherData {
        /// Where the data is from.
        data: String,
        /// The run folder, or the file of its configuration, where it has one.
        run: Option<PathBuf>,
    },
    /// Data with a class that weights do not know.
    #[error("{} has the classes {}, but the run knows {}", shown(data), listed(classes), listed(trained))]
    OtherClasses {
        /// Name of the data set.
        data: String,
        /// Its classes.
        classes: Vec<String>,
        /// Those that the weights are for.
        trained: Vec<String>,
    },
    /// Weights that a run starts from and that cannot be read.
    #[error("{}: the weights that the run starts from cannot be read", shown(path))]
    InitialWeights {
        /// Their path.
        path: PathBuf,
        /// Why not: an [`Error`](crate::error::Error).
        source: BoxError,
    },
    /// Weights that are not those that a run started from.
    #[error("{}: not the weights that the run started from", shown(path))]
    OtherWeights {
        /// Their path.
        path: PathBuf,
    },
    /// Weights of which a run with other classes would take nothing.
    #[error("{}: nothing to start from: other classes need another head, and there is no layer before it", shown(path))]
    NothingKept {
        /// Their path.
        path: PathBuf,
    },
    /// A tensor of a network that weights have in another shape, or not at all.
    #[error(
        "{}: {} tensor {}, and the model has it as {}",
        shown(path),
        of_shape(found.as_deref()),
        shown(tensor),
        dims(expected)
    )]
    OtherTensor {
        /// The weights.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its dimensions there.
        found: Option<Vec<usize>>,
        /// Its dimensions in the model.
        expected: Vec<usize>,
    },
    /// A network that reads something else than pictures.
    #[error("the network reads {values} of {input}, and a picture is bytes of one channel or three")]
    NoPictures {
        /// What it reads.
        input: Shape,
        /// What that is made of.
        values: ValueKind,
    },
    /// Data of bytes for weights that are for f32, or the other way round.
    #[error("{} consists of {found}, and the network reads {trained}", shown(data))]
    OtherValues {
        /// Name of the data set.
        data: String,
        /// What its examples are made of.
        found: ValueKind,
        /// What those are made of that the weights are for.
        trained: ValueKind,
    },
    /// Data whose images are not those that weights are for.
    #[error(
        "{} has {images} images of {classes} classes, but the run was trained on {trained_images} of {trained_classes}",
        shown(data)
    )]
    OtherImages {
        /// Name of the data set.
        data: String,
        /// Shape of its images.
        images: Shape,
        /// Number of its classes.
        classes: usize,
        /// Shape of the images that the weights are for.
        trained_images: Shape,
        /// Number of the classes that they are for.
        trained_classes: usize,
    },
    /// A configuration that is no TOML, or lacks something.
    #[error("{}, line {line}: no configuration of a run", shown(path))]
    Config {
        /// The file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// A [`toml::de::Error`].
        source: BoxError,
    },
    /// A record that is no JSON, or lacks something.
    #[error("{}{}: no record of a run", shown(path), line.map_or(String::new(), |line| format!(": line {line}")))]
    Record {
        /// The file.
        path: PathBuf,
        /// Which line, from 1, where each holds a record.
        line: Option<usize>,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A configuration that is not the one that a checkpoint was made with.
    #[error("{}: not the configuration that {} was made with", shown(path), shown(checkpoint))]
    OtherConfiguration {
        /// The configuration.
        path: PathBuf,
        /// The checkpoint.
        checkpoint: PathBuf,
    },
    /// Records of steps that are not those that a checkpoint was made after.
    #[error("{}: its first {records} lines are not the records that {} goes on from", shown(path), shown(checkpoint))]
    OtherSteps {
        /// `steps.jsonl`
        path: PathBuf,
        /// Records that there should be.
        records: u64,
        /// The checkpoint.
        checkpoint: PathBuf,
    },
    /// A record that does not follow the one before it.
    #[error("{}: line {line}: iteration {found} does not follow the record before", shown(path))]
    Sequence {
        /// `steps.jsonl`
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Its iteration.
        found: u64,
    },
    /// Fewer or more records than a complete run has made.
    #[error("{}: {found} records, but the run made {expected}", shown(path))]
    Records {
        /// `steps.jsonl`
        path: PathBuf,
        /// Records in the file.
        found: u64,
        /// Steps that the run made.
        expected: u64,
    },
    /// A safetensors file that does not say what its content is.
    #[error("{}: no SHA-256 of its content: of an earlier version, or written by another program", shown(path))]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// A safetensors file whose content is not what it says.
    #[error("{}: damaged: its content does not have the SHA-256 that it had when it was written", shown(path))]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A tensor with a value that is not finite.
    #[error("{}: tensor {} has a value that is not finite", shown(path), shown(tensor))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// An ONNX model that is no network of this program.
    #[error("{}: cannot be read as a network", shown(path))]
    Onnx {
        /// The file.
        path: PathBuf,
        /// Which node or constant, and why not.
        source: OnnxError,
    },
    /// Weights, or a checkpoint, in no safetensors file.
    #[error("{}: no safetensors file", shown(path))]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: SafeTensorError,
    },
    /// A safetensors file of another program.
    #[error("{}: not a file of this program: no {key:?} in its metadata", shown(path))]
    NoMetadata {
        /// The file.
        path: PathBuf,
        /// What a file of ours has there.
        key: String,
    },
    /// A safetensors file whose tensors are not those of a run in the middle.
    #[error("{}: not the vectors of a run", shown(path))]
    Vectors {
        /// The file.
        path: PathBuf,
        /// What is missing, or too much.
        source: Box<RunError>,
    },
    /// A vector that no run has.
    #[error("a vector {}, which no run has", shown(vector))]
    UnknownVector {
        /// Its name.
        vector: String,
    },
    /// A tensor that is not there.
    #[error("{}: tensor {} is missing", shown(path), shown(tensor))]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor of another element type.
    #[error("{}: tensor {} is {found}, not F32", shown(path), shown(tensor))]
    ElementType {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its element type.
        found: safetensors::Dtype,
    },
    /// A tensor of another size than the model's.
    #[error("{}: tensor {} has {found} values, expected {expected}", shown(path), shown(tensor))]
    TensorSize {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Values in the file.
        found: usize,
        /// Values that the model asks for.
        expected: usize,
    },
    /// A normalisation that does not go with the images.
    #[error("{}: the normalisation has {found} entries for {channels} channels", shown(path))]
    Normalisation {
        /// The file.
        path: PathBuf,
        /// Entries in the file.
        found: usize,
        /// C, the number of channels.
        channels: usize,
    },
    /// A model in a weights file that cannot be built.
    #[error("{}: weights of a model that cannot be built", shown(path))]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not: an [`Error`](crate::error::Error).
        source: BoxError,
    },
    /// Tensors that the safetensors format does not take.
    #[error("tensors that safetensors does not take")]
    Tensors {
        /// Which, and why not.
        source: SafeTensorError,
    },
    /// The state of another method than the one that is to go on with it.
    #[error("a state without {}", shown(lacks))]
    State {
        /// The vector or factor that is not there, or the numbers.
        lacks: String,
        /// Why not, for numbers.
        source: Option<serde_json::Error>,
    },
}
