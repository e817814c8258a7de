//! An open adapter ([`Gpu`]) and views into its memory ([`Buf`]). Only this room and `program` touch wgpu.

mod adapter;
mod again;
mod buf;
mod faults;
mod gpu;
mod interrupt;
mod live;
mod lock;
mod memory;
mod pipeline;
mod pipelines;
mod profile;
mod quads;
mod quads_memory;
mod reader;
mod submissions;
mod submit;
mod summary;
mod tile_choices;
mod tuning;
mod workers;

pub use adapter::AdapterChoice;
pub use buf::{ALIGNMENT, Buf};
pub use gpu::Gpu;
pub use interrupt::Interrupt;
pub use live::{BlockCount, Grid, GridRequest};
pub(crate) use lock::lock;
pub(crate) use pipeline::{Compiled, Pipeline, Source};
pub use pipelines::PipelineKey;
pub use profile::{MAX_BINDINGS, MAX_STORAGE, Profile, Storage, Variant};
pub(crate) use quads::Blank;
pub use quads::{Binding, QUADS_WIDTH, Quads};
pub use reader::Reader;
pub use submissions::SubmissionTimes;
pub use summary::AdapterSummary;
