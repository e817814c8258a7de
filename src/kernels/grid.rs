//! Grids of kernels whose invocations stride, and how often their loops turn.

use crate::device::{Gpu, Variant};
use crate::error::{MemoryError, Result};
use crate::program::{MAX_GROUPS, Shader};

/// Invocations of a workgroup of an element-wise kernel.
const GROUP: usize = 64;

/// Turns of a loop of so many iterations, each with so many turns of the loops inside it: one more finds its end.
pub(super) const fn turns(iterations: usize, inside: usize) -> usize {
    iterations.saturating_mul(inside.saturating_add(1)).saturating_add(1)
}

/// Iterations that an outermost loop may make, with so many turns of the loops inside it.
pub(super) fn iterations(gpu: &Gpu, inside: usize) -> usize {
    (gpu.max_turns() - 1) / inside.saturating_add(1)
}

/// Whether the driver makes so many turns of all loops of an invocation of `what`, a layer or a shader.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) naming it.
pub fn check_turns(gpu: &Gpu, what: &str, turns: usize) -> Result<()> {
    let limit = gpu.max_turns();
    if turns <= limit {
        return Ok(());
    }
    Err(MemoryError::Turns { what: what.to_owned(), turns, limit, adapter: gpu.info.name.clone() }.into())
}

/// Grid of an element-wise kernel: 64 invocations a group, striding beyond the largest grid. Lavapipe takes half a
/// microsecond to start a subgroup, as long as for some dozens of items, so there are no more groups than keep it busy,
/// or than it takes to go through the items in as many turns as the driver makes.
pub(super) fn elementwise_grid(gpu: &Gpu, items: usize) -> [usize; 3] {
    striding_grid(gpu, items, 0)
}

/// The same with so many turns of loops an item. An item alone has to be within what the driver makes.
fn striding_grid(gpu: &Gpu, items: usize, inside: usize) -> [usize; 3] {
    let most = if gpu.profile.variant == Variant::Software { gpu.profile.workgroups } else { MAX_GROUPS };
    let least = items.div_ceil(GROUP * iterations(gpu, inside).max(1));
    [items.div_ceil(GROUP).min(most).max(least), 1, 1]
}

/// The same, checked.
pub(super) fn looping_grid(gpu: &Gpu, shader: &Shader, items: usize, inside: usize) -> Result<[usize; 3]> {
    check_turns(gpu, shader.name, turns(1, inside))?;
    Ok(striding_grid(gpu, items, inside))
}
