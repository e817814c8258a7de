//! The row blocks of all matrices on a device.

use super::super::grid::{iterations, turns};
use super::super::jobs::ProductJob;
use super::super::tile::SUBGROUP;
use super::placement::{BLOCK, BlockProduct, LANES, Placement, ROW};
use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, MAX_GROUPS, Shader, shader};

pub(in crate::kernels) const PRODUCT: Shader = shader!("block_product");

/// Room to invert symmetric positive definite matrices, and to multiply rows with the inverses.
#[derive(Clone, Debug)]
pub struct Blocks {
    pub(super) placements: Vec<Placement>,
    pub(super) m: Quads,
    /// The matrices, `[side][side]` each: as many in one as a binding holds.
    pub(super) matrices: Vec<Buf>,
    /// δ of each matrix, a word.
    pub deltas: Buf,
}

impl Blocks {
    /// For matrices of so many rows, each with the most rows that its inverse is multiplied with; all NaN-free and zero
    /// at first.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    ///
    /// # Panics
    /// Where there is no matrix.
    pub fn new(gpu: &Gpu, sizes: &[[usize; 2]]) -> Result<Self> {
        Self::within(gpu, sizes, gpu.max_binding_words())
    }

    /// The same with at most so many words in a buffer of matrices, unless a single one has more.
    ///
    /// # Errors
    /// As [`Blocks::new`].
    pub fn within(gpu: &Gpu, sizes: &[[usize; 2]], most: usize) -> Result<Self> {
        assert!(!sizes.is_empty(), "no matrices");
        let (mut placements, mut base, mut lengths) = (Vec::new(), 0, vec![0]);
        for &size in sizes {
            let placement = Placement::new(size);
            let words = (placement.side * placement.side).next_multiple_of(ALIGNMENT);
            let last = lengths[lengths.len() - 1];
            if last > 0 && last + words > most {
                lengths.push(0); // a single matrix that is too large says so when it is bound
            }
            let buffer = lengths.len() - 1;
            placements.push(Placement { base, matrix: [buffer, lengths[buffer]], ..placement });
            lengths[buffer] += words;
            base += placement.len();
        }
        Ok(Self {
            m: gpu.alloc_quads("blocks", 4 * base, false)?,
            matrices: lengths.into_iter().map(|len| gpu.alloc("factors", len)).collect::<Result<_>>()?,
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
    pub(in crate::kernels) fn place(&self, i: usize) -> (&Buf, [usize; 2]) {
        let Placement { matrix: [buffer, start], side, .. } = self.placements[i];
        (&self.matrices[buffer], [start, side])
    }

    /// A product for each placement that `of` has one for.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub(super) fn products(
        &self,
        gpu: &Gpu,
        of: impl Fn(usize, &Placement) -> Option<BlockProduct>,
    ) -> Result<Vec<Dispatch>> {
        let together = gpu.profile.rows;
        let products = self
            .placements
            .iter()
            .enumerate()
            .filter_map(|(i, placement)| Some(placement.jobs(of(i, placement)?, together)));
        let jobs: Vec<ProductJob> = products.flatten().collect();
        let constants = [
            ("ROWS", together),
            ("ROW", ROW),
            ("ROW_LOADS", ROW / SUBGROUP),
            ("OUTPUTS", BLOCK),
            ("LANES", LANES),
            ("STAGED", ROW),
        ];
        let work = |job: &ProductJob| job.rows as usize * job.taps as usize * BLOCK * BLOCK;
        let dispatch = |jobs: &[ProductJob]| {
            let table = gpu.upload("blocks.jobs", jobs)?;
            Dispatch::new(gpu, &PRODUCT, &constants, &[table.into(), (&self.m).into()], [jobs.len(), 1, 1])
        };
        bounded(&jobs, work).into_iter().map(dispatch).collect()
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

/// Multiply-adds of one dispatch, about: a tenth of a second on a CPU.
const DISPATCH: usize = 4_000_000_000;

/// Jobs in dispatches of bounded grid and work, as few as that takes; `work` is the multiply-adds of a job.
pub(in crate::kernels) fn bounded<J>(mut jobs: &[J], work: impl Fn(&J) -> usize) -> Vec<&[J]> {
    let mut parts = Vec::new();
    while !jobs.is_empty() {
        let mut sum = 0;
        let within = |job: &&J| {
            sum += work(job);
            sum <= DISPATCH
        };
        let count = jobs.iter().take_while(within).count().clamp(1, MAX_GROUPS);
        let (part, rest) = jobs.split_at(count);
        parts.push(part);
        jobs = rest;
    }
    parts
}

/// Turns of a loop over so many items that the invocations of a workgroup share.
pub(in crate::kernels) fn strides(gpu: &Gpu, items: usize) -> usize {
    turns(items.div_ceil(gpu.profile.width()), 0)
}

/// Grid over the columns of jobs, (columns, turns of the loops in each): striding beyond what keeps the device busy, as
/// far as the driver makes the turns.
pub(in crate::kernels) fn grid(gpu: &Gpu, jobs: impl IntoIterator<Item = (usize, usize)>) -> [usize; 3] {
    let (mut most, mut least, mut count) = (1, 1, 0);
    for (columns, inside) in jobs {
        most = columns.max(most);
        least = columns.div_ceil(iterations(gpu, inside).max(1)).max(least);
        count += 1;
    }
    [most.min(gpu.profile.workgroups).max(least), count, 1]
}
