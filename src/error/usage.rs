//! Requests that make no sense.

use super::model::ModelError;
use super::text::shown;
use std::path::PathBuf;

/// Why a request makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A model that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Images are to be brought to a size that is none.
    #[error("resize to {height}x{width}: height and width are 1 to {most} pixels")]
    Resize {
        /// Height asked for, in pixels.
        height: u32,
        /// Width asked for, in pixels.
        width: u32,
        /// Longest side, in pixels.
        most: u32,
    },
    /// Arrays that are no data set.
    #[error("data: {}", shown(why))]
    Arrays {
        /// Which part, and why.
        why: String,
    },
    /// A graphics interface that does not exist.
    #[error("{}: not one of the interfaces {}", shown(name), known.join(", "))]
    Backend {
        /// What was asked for.
        name: String,
        /// Those that exist.
        known: &'static [&'static str],
    },
    /// A name of something that does not exist.
    #[error("{of} {}: not one of {}", shown(name), known.join(", "))]
    UnknownName {
        /// Of what: `method`, `schedule`.
        of: &'static str,
        /// What was asked for.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// A method that is no match for a schedule.
    #[error("method {method} with schedule {schedule}: {}", why.concat())]
    Mismatch {
        /// The method by name.
        method: String,
        /// The schedule by name.
        schedule: String,
        /// Who goes with whom, in two parts: the second begins with the name of a schedule.
        why: [&'static str; 2],
    },
    /// A number of an augmentation that is beyond its range for the images.
    #[error("augmentation {name}={value}: not a number from 0 to {most}")]
    Augmentation {
        /// Which of its numbers.
        name: &'static str,
        /// What was asked for.
        value: f64,
        /// Largest that images of this shape allow.
        most: f64,
    },
    /// More copies of the examples than an index can tell apart.
    #[error("{copies} copies of each of {examples} examples, of which 1 to {most} can be told apart")]
    Copies {
        /// Copies asked for.
        copies: usize,
        /// N, the number of examples.
        examples: usize,
        /// Copies that can be told apart.
        most: usize,
    },
    /// A choice among the examples of a mini-batch needs the activations of all of them at once.
    #[error("choosing among {examples} examples keeps the activations of all, and there is room for {room}")]
    Choice {
        /// Examples of the mini-batch.
        examples: usize,
        /// Examples whose activations fit.
        room: usize,
        /// Examples whose activations the device takes at most, whatever the memory.
        most: usize,
    },
    /// Groups of examples that are normalised together, which chunks cannot be made of.
    #[error("groups of {group} examples are normalised together, but chunks of {chunk} are no whole groups")]
    Group {
        /// Examples of a group.
        group: usize,
        /// Examples that the device takes at once.
        chunk: usize,
        /// Examples that lie together in its memory, of which both are multiples.
        block: usize,
    },
    /// A subset of no examples, or of more than there are.
    #[error(
        "a subset of {size}: {count} examples, but the training set of {examples} has {available} that are not held out"
    )]
    Subset {
        /// What was asked for: a fraction, a number.
        size: String,
        /// K, what that comes to.
        count: usize,
        /// N, the number of training examples.
        examples: usize,
        /// Examples that may be drawn.
        available: usize,
    },
    /// Held-out examples that leave none of a class to train on.
    #[error("holding out {size} of {examples} training examples leaves none of a class to train on")]
    HeldOut {
        /// What was asked for: a fraction, a number.
        size: String,
        /// N, the number of training examples.
        examples: usize,
    },
    /// Weights of classes that are not one for each.
    #[error("class weights {}: {}", shown(file), shown(why))]
    ClassWeights {
        /// The file, as it was named.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Pixels that weights cannot read.
    #[error("pixels: {}", shown(why))]
    Pixels {
        /// What is wrong with them.
        why: String,
    },
    /// A configuration that contradicts itself, or does not fit the data.
    #[error("configuration: {why}")]
    Configuration {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A run that ends before its first step, of which nothing can be foretold.
    #[error("no step can be taken, so there is nothing to plan")]
    NoStep,
    /// A budget that not even one step fits into.
    #[error(
        "a budget of {} epochs of {examples} examples is less than the first step costs", (1e3 * epochs).round() / 1e3
    )]
    Budget {
        /// Epochs that the training may cost.
        epochs: f64,
        /// Examples of an epoch.
        examples: usize,
    },
    /// A run folder that is taken.
    #[error("{}: holds a run already", shown(path))]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that another process works in.
    #[error("{}: in use by {}", shown(path), shown(holder))]
    RunInUse {
        /// The folder.
        path: PathBuf,
        /// The process, as the lock names it.
        holder: String,
    },
    /// A file where one of a run would be, in a folder that is no run's.
    #[error("{}: not of a run of this program, which would write there", shown(path))]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// What the command line refuses by itself.
    #[error("{}", shown(why))]
    Refused {
        /// What is wrong with which option.
        why: String,
    },
}
