//! Where the row blocks of a matrix are, and products of them.

use super::super::jobs::{ProductJob, word};
use super::super::tile::MOST_ROW;

/// Rows of a block.
pub const BLOCK: usize = 32;

/// vec4 of a column of a block.
pub(in crate::kernels) const LANES: usize = BLOCK / 4;

/// Columns summed in one step of a product.
pub const TAPS: usize = 4;

/// vec4 of the weights of a step.
pub(in crate::kernels) const ROW: usize = BLOCK * TAPS / 4;
const _: () = assert!(ROW <= MOST_ROW);

/// The place of one matrix S in all of them: row blocks of S, later of its inverse; of I, later of L⁻ᵀ; one for the
/// pivots; of the operand; of the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    pub(super) side: usize,
    /// Row blocks of S, a thirty-second of its columns with padding.
    pub(super) blocks: usize,
    pub(super) operand_blocks: usize,
    /// Its first vec4.
    pub(super) base: usize,
    /// Which of the buffers of matrices holds it, and its first word there.
    pub(super) matrix: [usize; 2],
}

/// out\[b\], columns 32 (column + c) …, ± = Σ over columns from + c·later … to of x\[b\] · w\[c\]ᵀ; all but `from` and
/// `to` in blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlockProduct {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) out: usize,
    pub(super) x: usize,
    pub(super) w: usize,
    pub(super) column: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) later: usize,
    pub(super) subtract: bool,
}

impl Placement {
    /// One at the beginning of everything, for so many rows and operands.
    pub(super) fn new([side, operands]: [usize; 2]) -> Self {
        let (blocks, operand_blocks) = (side.div_ceil(BLOCK), operands.div_ceil(BLOCK));
        Self { side, blocks, operand_blocks, base: 0, matrix: [0, 0] }
    }

    /// Columns of S with padding, and of everything else in its place.
    pub(super) fn columns(&self) -> usize {
        BLOCK * self.blocks
    }

    /// Row block of the pivots, and the first of the operand and of the result.
    pub(super) fn places(&self) -> [usize; 3] {
        let pivot = 2 * self.blocks;
        [pivot, pivot + 1, pivot + 1 + self.operand_blocks]
    }

    /// vec4 of it.
    pub(super) fn len(&self) -> usize {
        (2 * self.blocks + 1 + 2 * self.operand_blocks) * self.columns() * LANES
    }

    /// The first vec4 of a column of a row block.
    pub(super) fn quad(&self, row_block: usize, column: usize) -> usize {
        self.base + (row_block * self.columns() + column) * LANES
    }

    /// The jobs of a product, so many row blocks in each.
    pub(super) fn jobs(&self, p: BlockProduct, together: usize) -> impl Iterator<Item = ProductJob> {
        let job = move |c: usize, b: usize| {
            let from = p.from + c * p.later;
            ProductJob {
                x: word(self.quad(p.x + b, from)),
                w: word(self.quad(p.w + c, from)),
                out: word(self.quad(p.out + b, BLOCK * (p.column + c))),
                step: word(self.columns() * LANES),
                taps: word(p.to - from),
                rows: word(together.min(p.rows - b)),
                subtract: p.subtract.into(),
                padding: 0,
            }
        };
        (0..p.columns).flat_map(move |c| (0..p.rows).step_by(together).map(move |b| job(c, b)))
    }
}
