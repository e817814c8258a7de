//! Matrices in blocks of 32 rows, `[row block][column][32 rows]`: the inverses of damped Kronecker factors by blocked
//! Cholesky factorisation, and products with them, of all layers at once: a layer's matrices are too small to keep a
//! device busy, or to be worth a dispatch each.
//!
//! Cholesky applied to the rows of \[S; I\] gives L and L⁻ᵀ at once, since (row of I) L⁻ᵀ is what the elimination
//! leaves of it; then S⁻¹ = L⁻ᵀ (L⁻ᵀ)ᵀ. All of it is one product of row blocks (`block_product.wgsl`) but for the
//! 32 × 32 pivots.

mod between;

pub use between::Part;

use super::jobs::{LoadJob, PivotJob, ProductJob, word};
use super::tile::{MOST_ROW, SUBGROUP};
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, MAX_GROUPS, Shader, shader};

pub(super) const DIRECTION: Shader = shader!("block_direction");
pub(super) const GRADIENT: Shader = shader!("block_gradient");
pub(super) const LOAD: Shader = shader!("block_load");
pub(super) const PIVOT: Shader = shader!("block_pivot");
pub(super) const PRODUCT: Shader = shader!("block_product");
pub(super) const TRANSPOSE: Shader = shader!("block_transpose");

/// Rows of a block.
pub const BLOCK: usize = 32;

/// vec4 of a column of a block.
const LANES: usize = BLOCK / 4;

/// Columns summed in one step of a product.
pub const TAPS: usize = 4;

/// vec4 of the weights of a step.
const ROW: usize = BLOCK * TAPS / 4;
const _: () = assert!(ROW <= MOST_ROW);

/// Room to invert symmetric positive definite matrices, and to multiply rows with the inverses.
#[derive(Clone, Debug)]
pub struct Blocks {
    placements: Vec<Placement>,
    m: Quads,
    /// The matrices, `[side][side]` each: as many in one as a binding holds.
    matrices: Vec<Buf>,
    /// δ of each matrix, a word.
    pub deltas: Buf,
}

/// The place of one matrix S in all of them: row blocks of S, later of its inverse; of I, later of L⁻ᵀ; one for the
/// pivots; of the operand; of the result.
#[derive(Clone, Copy, Debug)]
struct Placement {
    side: usize,
    /// Row blocks of S, a thirty-second of its columns with padding.
    blocks: usize,
    operand_blocks: usize,
    /// Its first vec4.
    base: usize,
    /// Which of the buffers of matrices holds it, and its first word there.
    matrix: [usize; 2],
}

/// out\[b\], columns 32 (column + c) …, ± = Σ over columns from + c·later … to of x\[b\] · w\[c\]ᵀ; all but `from` and
/// `to` in blocks.
#[derive(Clone, Copy, Debug, Default)]
struct BlockProduct {
    rows: usize,
    columns: usize,
    out: usize,
    x: usize,
    w: usize,
    column: usize,
    from: usize,
    to: usize,
    later: usize,
    subtract: bool,
}

impl Placement {
    /// One at the beginning of everything, for so many rows and operands.
    fn new([side, operands]: [usize; 2]) -> Self {
        let (blocks, operand_blocks) = (side.div_ceil(BLOCK), operands.div_ceil(BLOCK));
        Self { side, blocks, operand_blocks, base: 0, matrix: [0, 0] }
    }

    fn columns(&self) -> usize {
        BLOCK * self.blocks
    }

    /// Row block of the pivots, and the first of the operand and of the result.
    fn places(&self) -> [usize; 3] {
        let pivot = 2 * self.blocks;
        [pivot, pivot + 1, pivot + 1 + self.operand_blocks]
    }

    /// vec4 of it.
    fn len(&self) -> usize {
        (2 * self.blocks + 1 + 2 * self.operand_blocks) * self.columns() * LANES
    }

    /// The first vec4 of a column of a row block.
    fn quad(&self, row_block: usize, column: usize) -> usize {
        self.base + (row_block * self.columns() + column) * LANES
    }

    /// The jobs of a product, so many row blocks in each.
    fn jobs(&self, p: BlockProduct, together: usize) -> impl Iterator<Item = ProductJob> {
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

impl Blocks {
    /// For matrices of so many rows, each with the most rows that its inverse is multiplied with; all NaN-free and zero
    /// at first.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn new(gpu: &Gpu, sizes: &[[usize; 2]]) -> Result<Self> {
        Self::within(gpu, sizes, gpu.max_binding_words())
    }

    /// The same with at most so many words in a buffer of matrices, unless a single one has more.
    ///
    /// # Errors
    /// As [`Blocks::new`].
    pub fn within(gpu: &Gpu, sizes: &[[usize; 2]], most: usize) -> Result<Self> {
        let (mut placements, mut base, mut lengths) = (Vec::new(), 0, vec![0]);
        for &size in sizes {
            let placement = Placement::new(size);
            let words = (placement.side * placement.side).next_multiple_of(ALIGNMENT);
            if lengths[lengths.len() - 1] + words > most {
                lengths.push(0); // a single matrix that is too large says so when it is allocated
            }
            let buffer = lengths.len() - 1;
            placements.push(Placement { base, matrix: [buffer, lengths[buffer]], ..placement });
            lengths[buffer] += words;
            base += placement.len();
        }
        Ok(Self {
            m: gpu.alloc_quads("blocks", 4 * base, false)?,
            matrices: lengths
                .into_iter()
                .filter(|&len| len > 0)
                .map(|len| gpu.alloc("factors", len))
                .collect::<Result<_>>()?,
            deltas: gpu.alloc("deltas", sizes.len().next_multiple_of(2))?,
            placements,
        })
    }

    /// How many matrices there are.
    pub fn count(&self) -> usize {
        self.placements.len()
    }

    /// Words that the largest array takes for these sizes.
    pub fn words(sizes: &[[usize; 2]]) -> usize {
        4 * sizes.iter().map(|&size| Placement::new(size).len()).sum::<usize>()
    }

    /// Matrix `i`, `[side][side]`.
    pub fn matrix(&self, i: usize) -> Buf {
        let (matrices, [start, side]) = self.place(i);
        matrices.view(start..start + side * side)
    }

    /// The buffer that holds matrix `i`, its first word there, and its rows.
    pub(super) fn place(&self, i: usize) -> (&Buf, [usize; 2]) {
        let Placement { matrix: [buffer, start], side, .. } = self.placements[i];
        (&self.matrices[buffer], [start, side])
    }

    /// A product for each placement that `of` has one for.
    fn products(&self, gpu: &Gpu, of: impl Fn(usize, &Placement) -> Option<BlockProduct>) -> Result<Vec<Dispatch>> {
        let together = gpu.profile.rows;
        let products = self
            .placements
            .iter()
            .enumerate()
            .filter_map(|(i, placement)| Some(placement.jobs(of(i, placement)?, together)));
        let jobs: Vec<ProductJob> = products.flatten().collect();
        let constants =
            [("ROWS", together), ("ROW", ROW), ("ROW_LOADS", ROW / SUBGROUP), ("OUTPUTS", BLOCK), ("LANES", LANES)];
        let dispatch = |jobs: &[ProductJob]| {
            let table = gpu.upload("blocks.jobs", jobs)?;
            Dispatch::new(gpu, &PRODUCT, &constants, &[table.into(), (&self.m).into()], [jobs.len(), 1, 1])
        };
        jobs.chunks(MAX_GROUPS).map(dispatch).collect()
    }

    /// The steps that make (S + δI)⁻¹ of every matrix S with its word δ of `deltas`.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn invert(&self, gpu: &Gpu) -> Result<Vec<Dispatch>> {
        let mut steps = Vec::new();
        for (buffer, matrices) in self.matrices.iter().enumerate() {
            let here = || self.placements.iter().enumerate().filter(|(_, placement)| placement.matrix[0] == buffer);
            let job = |(i, placement): (usize, &Placement)| LoadJob {
                a: word(placement.matrix[1]),
                side: word(placement.side),
                columns: word(placement.columns()),
                target_quad: word(placement.base),
                matrix: word(i),
            };
            let jobs: Vec<LoadJob> = here().map(job).collect();
            let columns = here().map(|(_, placement)| placement.columns()).max().unwrap_or(1);
            let table = gpu.upload("blocks.load", &jobs)?;
            let bindings = [table.into(), matrices.into(), (&self.deltas).into(), (&self.m).into()];
            let constants = [("WIDTH", gpu.profile.width())];
            steps.push(Dispatch::new(gpu, &LOAD, &constants, &bindings, grid(gpu, columns, jobs.len()))?);
        }
        for k in 0..self.placements.iter().map(|placement| placement.blocks).max().unwrap_or(0) {
            // rows k … of S and those of I that are no longer zero left of column block k + 1
            let panel = |placement: &Placement| {
                let panel = BlockProduct {
                    rows: placement.blocks + 1,
                    columns: 1,
                    out: k,
                    x: k,
                    column: k,
                    ..BlockProduct::default()
                };
                (k < placement.blocks).then_some(panel)
            };
            if k > 0 {
                let before = |panel| BlockProduct { w: k, from: 0, to: BLOCK * k, subtract: true, ..panel };
                steps.extend(self.products(gpu, |_, placement| panel(placement).map(before))?);
            }
            let pivot = |(i, placement): (usize, &Placement)| PivotJob {
                source: word(placement.quad(k, BLOCK * k)),
                target_quad: word(placement.quad(placement.places()[0], BLOCK * k)),
                matrix: word(i),
                padding: 0,
            };
            let left = self.placements.iter().enumerate().filter(|(_, placement)| k < placement.blocks);
            let jobs: Vec<PivotJob> = left.map(pivot).collect();
            let table = gpu.upload("blocks.pivots", &jobs)?;
            let bindings = [table.into(), (&self.deltas).into(), (&self.m).into()];
            steps.push(Dispatch::new(gpu, &PIVOT, &[], &bindings, [jobs.len(), 1, 1])?);
            let scale = |_, placement: &Placement| {
                let [pivot, ..] = placement.places();
                Some(BlockProduct { w: pivot, from: BLOCK * k, to: BLOCK * (k + 1), ..panel(placement)? })
            };
            steps.extend(self.products(gpu, scale)?);
        }
        // L⁻ᵀ is upper triangular: its row block c begins at column 32 c
        let square = |_, placement: &Placement| {
            let (rows, to) = (placement.blocks, placement.columns());
            Some(BlockProduct { rows, columns: rows, x: rows, w: rows, to, later: BLOCK, ..BlockProduct::default() })
        };
        steps.extend(self.products(gpu, square)?);
        Ok(steps)
    }

    /// The inverse of matrix `i`, `[side][side]`, for tests.
    ///
    /// # Errors
    /// As [`Gpu::read_quads`].
    pub fn read_inverse(&self, gpu: &Gpu, i: usize) -> Result<Vec<f32>> {
        let (m, placement): (Vec<f32>, _) = (gpu.read_quads(&self.m)?, self.placements[i]);
        let at = |row: usize, col: usize| m[4 * placement.quad(row / BLOCK, col) + row % BLOCK];
        Ok((0..placement.side).flat_map(|row| (0..placement.side).map(move |col| at(row, col))).collect())
    }
}

/// Grid over so many columns of `jobs`, striding beyond what keeps the device busy.
fn grid(gpu: &Gpu, columns: usize, jobs: usize) -> [usize; 3] {
    [columns.min(gpu.profile.workgroups), jobs, 1]
}

/// The same in f64.
pub mod reference {
    /// S⁻¹ of a symmetric positive definite matrix `[side][side]`, by Cholesky factorisation.
    pub fn inverse(s: &[f64]) -> Vec<f64> {
        let side = s.len().isqrt();
        let mut l = s.to_vec();
        for j in 0..side {
            l[j * side + j] = l[j * side + j].sqrt();
            for i in j + 1..side {
                l[i * side + j] /= l[j * side + j];
            }
            for i in j + 1..side {
                for c in j + 1..=i {
                    l[i * side + c] -= l[i * side + j] * l[c * side + j];
                }
            }
        }
        let mut inverse = vec![0.0; side * side];
        for col in 0..side {
            let mut x = vec![0.0; side];
            for row in col..side {
                let sum: f64 = (col..row).map(|c| l[row * side + c] * x[c]).sum();
                x[row] = (f64::from(u8::from(row == col)) - sum) / l[row * side + row];
            }
            for row in (0..side).rev() {
                let sum: f64 = (row + 1..side).map(|c| l[c * side + row] * inverse[col * side + c]).sum();
                inverse[col * side + row] = (x[row] - sum) / l[row * side + row];
            }
        }
        inverse
    }

    /// a⁻¹ on the right and g⁻¹ on the left of v `[outputs][patches]`.
    pub fn between(g_inverse: &[f64], v: &[f64], a_inverse: &[f64]) -> Vec<f64> {
        let (outputs, patches) = (g_inverse.len().isqrt(), a_inverse.len().isqrt());
        let product = |a: &[f64], b: &[f64], inner: usize, columns: usize| -> Vec<f64> {
            let entry = |i: usize, j: usize| (0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum();
            (0..a.len() / inner).flat_map(|i| (0..columns).map(move |j| entry(i, j))).collect()
        };
        product(g_inverse, &product(v, a_inverse, patches, patches), outputs, patches)
    }
}
