//! Muon on a device: velocities of matrices and Adam's update of all other parameters; a step of every matrix along its
//! orthogonalised velocity; its first norm restored.

use super::grid::iterations;
use super::jobs::{HeldJob, MatrixJob, SegmentJob, word};
use super::newton_schulz::{Group, NewtonSchulz, Squares};
use super::weights::NONE;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::update::muon::others;
use crate::update::{Matrix, MuonUpdate};

pub(super) const HOLD: Shader = shader!("muon_hold");
pub(super) const MOMENTS: Shader = shader!("muon_moments");
pub(super) const UPDATE: Shader = shader!("muon_update");

/// Words of a matrix that an invocation goes through, at least, and the most parts that its sums are in.
const EACH: usize = 32;
const MOST_PARTS: usize = 64;

/// Jobs into which the other parameters are split, about, at most.
const MOST_JOBS: usize = 1 << 14;

impl MuonUpdate {
    /// As the kernels read it.
    pub fn words(&self) -> [f32; 8] {
        let [beta1, rest1, beta2, rest2, step, epsilon, ..] = self.others.words();
        [beta1, rest1, beta2, rest2, step, epsilon, self.momentum as f32, self.rate as f32]
    }
}

/// Room for updates of vectors with these matrices in them.
#[derive(Clone, Debug)]
pub struct MuonRoom {
    matrices: Vec<Matrix>,
    iteration: NewtonSchulz,
    /// g + μ v
    u: Buf,
    /// Of u, then of the matrices after their step.
    squares: Squares,
}

/// Parts of the sums over the words of matrices of so many at most. The parts fix the order of a sum, so that they
/// follow from the matrices alone, unless an invocation had to make too many turns.
fn parts_of(gpu: &Gpu, largest: usize) -> usize {
    let width = gpu.profile.width();
    // half of the turns are for adding up the sums
    let least = largest.div_ceil(width * iterations(gpu, 1));
    largest.div_ceil(width * EACH).clamp(1, MOST_PARTS).max(least)
}

impl MuonRoom {
    /// For vectors of so many words with these matrices, in order and apart.
    ///
    /// # Errors
    /// As [`Gpu::alloc`], [`Gpu::alloc_quads`].
    pub fn new(gpu: &Gpu, matrices: &[Matrix], len: usize) -> Result<Self> {
        let largest = matrices.iter().map(|matrix| matrix.range().len()).max().unwrap_or(1);
        let parts = parts_of(gpu, largest);
        let sums = gpu.alloc("muon.squares", (parts * matrices.len()).max(1))?;
        let u = gpu.alloc("muon.ahead", if matrices.is_empty() { 1 } else { len })?;
        let iteration = NewtonSchulz::new(gpu, matrices)?;
        Ok(Self { matrices: matrices.to_vec(), iteration, u, squares: Squares { sums, parts } })
    }

    /// The steps of [`MuonUpdate::apply`]: of `memory` the velocities, with Adam's means between them; Adam's mean
    /// squares; the norms that the matrices began with. `coefficients` are [`MuonUpdate::words`], which may be
    /// rewritten between runs.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn update(
        &self,
        gpu: &Gpu,
        coefficients: &Buf,
        g: &Buf,
        memory: [&Buf; 3],
        x: &Buf,
        hold: bool,
    ) -> Result<Vec<Dispatch>> {
        let [v, s, norms] = memory;
        assert!([g, v, s].iter().all(|vector| vector.len() == x.len()) && coefficients.len() == 8);
        assert!(norms.len() >= self.matrices.len());
        let mut steps = vec![self.moments(gpu, coefficients, g, [v, s], x)?];
        if self.matrices.is_empty() {
            return Ok(steps);
        }
        steps.extend(self.iteration.orthogonalise(gpu, &self.u, &self.squares)?);
        for group in &self.iteration.groups {
            steps.push(self.step(gpu, group, coefficients, norms, x)?);
        }
        if hold {
            steps.push(self.hold(gpu, norms, x)?);
        }
        Ok(steps)
    }

    fn constants(&self, gpu: &Gpu) -> [(&'static str, usize); 2] {
        [("WIDTH", gpu.profile.width()), ("PARTS", self.squares.parts)]
    }

    /// v, u and Σ u² of the matrices; all of the other parameters' update.
    fn moments(&self, gpu: &Gpu, by: &Buf, g: &Buf, [v, s]: [&Buf; 2], x: &Buf) -> Result<Dispatch> {
        let of_matrix = |(i, matrix): (usize, &Matrix)| (matrix.range(), word(i));
        let matrices = self.matrices.iter().enumerate().map(of_matrix);
        let others = others(&self.matrices, x.len()).into_iter().map(|words| (words, NONE));
        let most = (gpu.profile.width() * self.squares.parts * EACH).max(x.len() / MOST_JOBS);
        let pieces = others.flat_map(|(words, matrix)| {
            let end = words.end;
            words.step_by(most).map(move |start| (start..end.min(start + most), matrix))
        });
        let job = |(words, matrix): (std::ops::Range<usize>, u32)| SegmentJob {
            start: word(words.start),
            len: word(words.len()),
            matrix,
        };
        let jobs: Vec<SegmentJob> = matrices.chain(pieces).map(job).collect();
        let table = gpu.upload("muon.segments", &jobs)?;
        let bindings = [
            table.into(),
            by.into(),
            g.into(),
            v.into(),
            s.into(),
            x.into(),
            (&self.u).into(),
            (&self.squares.sums).into(),
        ];
        Dispatch::new(gpu, &MOMENTS, &self.constants(gpu), &bindings, [self.squares.parts, jobs.len(), 1])
    }

    /// A step of the matrices of a group.
    fn step(&self, gpu: &Gpu, group: &Group, by: &Buf, norms: &Buf, x: &Buf) -> Result<Dispatch> {
        let jobs: Vec<MatrixJob> = group
            .matrices
            .iter()
            .map(|placed| MatrixJob {
                start: word(placed.of.start),
                rows: word(placed.of.rows),
                columns: word(placed.of.columns),
                width: word(placed.result().width),
                source: word(placed.result().first),
                matrix: word(placed.number),
            })
            .collect();
        let table = gpu.upload("muon.matrices", &jobs)?;
        let bindings =
            [table.into(), by.into(), norms.into(), (&group.m).into(), x.into(), (&self.squares.sums).into()];
        Dispatch::new(gpu, &UPDATE, &self.constants(gpu), &bindings, [self.squares.parts, jobs.len(), 1])
    }

    /// The matrices scaled to the norms that they began with.
    fn hold(&self, gpu: &Gpu, norms: &Buf, x: &Buf) -> Result<Dispatch> {
        let job = |(i, matrix): (usize, &Matrix)| HeldJob {
            start: word(matrix.start),
            len: word(matrix.range().len()),
            matrix: word(i),
        };
        let jobs: Vec<HeldJob> = self.matrices.iter().enumerate().map(job).collect();
        let table = gpu.upload("muon.held", &jobs)?;
        let bindings = [table.into(), norms.into(), (&self.squares.sums).into(), x.into()];
        Dispatch::new(gpu, &HOLD, &self.constants(gpu), &bindings, [self.squares.parts, jobs.len(), 1])
    }
}

/// The same in f64.
pub mod reference {
    use crate::update::{Matrix, MuonUpdate};

    /// [`MuonUpdate::apply`]
    pub fn update(by: &MuonUpdate, matrices: &[Matrix], g: &[f64], memory: [&mut [f64]; 3], x: &mut [f64]) {
        by.apply(matrices, g, memory, x);
    }
}
