//! Subset pretraining with second-order methods on hand-written WGSL shaders: the engine of the program `gpu-subset`.
//!
//! It implements *Efficient Neural Network Training via Subset Pretraining* (Spörer, Bermeitinger, Hrycej, Limacher,
//! Handschuh, arXiv 2410.16523): the minimum of the training-set loss is well approximated by the minima of its subsets
//! when the overdetermination ratio Q = K·M/P is well above one, and a subset is small enough to be optimised as a
//! whole.
//!
//! ```no_run
//! use gpu_subset::data::{Dataset, ReadOptions};
//! use gpu_subset::device::{AdapterChoice, Gpu};
//! use gpu_subset::run::Run;
//! # fn main() -> gpu_subset::error::Result<()> {
//! let data = Dataset::open("path/to/mnist", &ReadOptions::default())?;
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let trained = Run::sweep(&data).budget(0.5).on(&gpu)?.train(&mut ())?;
//! println!("{:.4}", trained.evaluate(&gpu, &data.test)?.accuracy);
//! # Ok(()) }
//! ```
//!
//! Rooms, each of which uses only those before it:
//!
//! ```text
//! device → program → kernels → model → objective ┐
//!                                     optimise ──┴→ training → subset → run → report → cli
//! ```
//!
//! - [`shape`], [`values`], [`batch`], [`cost`], [`update`], [`error`]: what several rooms stand on
//! - [`exchange`]: messages between processes that train together
//! - [`data`]: readers of IDX, CIFAR, NumPy arrays, pictures, tables and archives, and the embedded digits
//! - [`device`]: an open adapter and views of its memory
//! - [`program`]: a shader specialised to shapes, one recorded use of it, a replayable program
//! - [`kernels`]: one host function a shader, and its f64 reference
//! - [`model`]: layers with forward, jvp and vjp over one flat parameter vector
//! - [`objective`]: loss, gradient, tangent and Gauss-Newton product over all chunks of a list of examples
//! - [`mod@bench`]: kernels, passes and factors, checked and timed
//! - [`optimise`]: methods for a subset, and for mini-batches, on anything that is a space and a problem
//! - [`training`]: space and problem of a network on a device
//! - [`subset`]: sampling, overdetermination, the plan of a run and the trainer that follows it
//! - [`export`], [`checkpoint`]: weight files, runs in the middle
//! - [`run`]: a run as anyone calls it, from what is asked for to what it leaves behind
//! - `report` and `cli`, features of the same names: tables and pages about runs; the command line
//!
//! The parts are there without a run as well:
//!
//! ```no_run
//! use gpu_subset::{data::Dataset, device::*, model::*, objective::*};
//! use std::sync::Arc;
//! # fn main() -> gpu_subset::error::Result<()> {
//! let data = Dataset::digits()?;
//! let gpu = Gpu::open(&AdapterChoice::default())?;
//! let model = Arc::new(Model::new(&Description::open("digits-1k")?, data.shape, data.classes.len())?);
//! let workspace = Arc::new(Workspace::new(&gpu, model.clone(), DEFAULT_MEMORY)?);
//! let statistics = data.channel_statistics();
//! let examples = Arc::new(Examples::upload(&gpu, data.shape, &data.train.images, &data.train.labels, &statistics)?);
//! let mut objective = Objective::new(&gpu, &workspace, &examples, &[0, 1, 2], 1e-3)?;
//! let theta = gpu.upload("theta", &model.initialise(0))?;
//! let gradient = gpu.alloc("gradient", theta.len())?;
//! println!("{:?}", objective.loss_and_gradient(&theta, &gradient)?);
//! # Ok(()) }
//! ```

#![warn(unreachable_pub)]

pub mod batch;
pub mod bench;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cost;
pub mod data;
pub mod device;
pub mod error;
pub mod exchange;
pub mod export;
pub(crate) mod files;
pub mod kernels;
pub mod model;
pub mod objective;
pub mod optimise;
pub mod program;
#[cfg(feature = "report")]
pub mod report;
pub mod run;
pub mod shape;
pub mod subset;
pub mod training;
pub mod update;
pub mod values;

/// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
