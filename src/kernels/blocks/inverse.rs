//! The inverses of all matrices.

use super::super::jobs::{LoadJob, PivotJob, word};
use super::placement::{BLOCK, BlockProduct, Placement};
use super::room::{Blocks, grid, strides};
use crate::device::Gpu;
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(in crate::kernels) const LOAD: Shader = shader!("block_load");
pub(in crate::kernels) const PIVOT: Shader = shader!("block_pivot");

/// Multiply-adds of the inverse of a matrix of n rows, as if these were whole blocks. The panels of the factorisation,
/// the rows of \[S; I\] that are not zero, take n³/2 − 512 n from one another and 32 n² + 1024 n from the inverses of
/// the pivots, which take 341 n; the square of L⁻ᵀ is n³/2 + 16 n².
pub fn inverse_multiply_adds(side: usize) -> u64 {
    let n = side as u64;
    let of_row = n.saturating_mul(n).saturating_add(48 * n + 853);
    n.saturating_mul(of_row)
}

impl Blocks {
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
            let turns_of =
                |(_, placement): (_, &Placement)| (placement.columns(), strides(gpu, placement.columns() / 4));
            let table = gpu.upload("blocks.load", &jobs)?;
            let bindings = [table.into(), matrices.into(), (&self.deltas).into(), (&self.m).into()];
            let constants = [("WIDTH", gpu.profile.width())];
            steps.push(Dispatch::new(gpu, &LOAD, &constants, &bindings, grid(gpu, here().map(turns_of)))?);
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
}
