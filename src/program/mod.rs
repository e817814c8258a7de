//! A WGSL shader specialised to shapes ([`Shader`]), one recorded use of it ([`Dispatch`]), and a replayable list of
//! them ([`Program`]).

mod bindings;
mod dispatch;
mod prelude;
mod replay;
pub(crate) mod shader;
mod specialisation;
mod timed;

pub use dispatch::{Dispatch, MAX_GROUPS};
pub use prelude::{PRELUDES, Prelude, Text, imports};
pub use replay::{CopyPair, Program};
pub(crate) use shader::shader;
pub use shader::{KIND, Shader, TEXT_CONSTANTS};
