//! Grids of element-wise kernels.

use crate::device::{Gpu, Variant};
use crate::program::MAX_GROUPS;

/// Grid of an element-wise kernel: 64 invocations a group, striding beyond the largest grid. Lavapipe takes half a
/// microsecond to start a subgroup, as long as for some dozens of items, so there are no more groups than keep it busy.
pub(super) fn elementwise_grid(gpu: &Gpu, items: usize) -> [usize; 3] {
    let most = if gpu.profile.variant == Variant::Software { gpu.profile.workgroups } else { MAX_GROUPS };
    [items.div_ceil(64).min(most), 1, 1]
}
