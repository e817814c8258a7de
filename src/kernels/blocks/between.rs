//! Parts of a parameter vector between the inverses of their layer's two matrices.

use super::super::jobs::{DirectionJob, GradientJob, TransposeJob, word};
use super::placement::{BlockProduct, LANES, Placement};
use super::room::{Blocks, grid, strides};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use std::ops::Range;

pub(in crate::kernels) const DIRECTION: Shader = shader!("block_direction");
pub(in crate::kernels) const GRADIENT: Shader = shader!("block_gradient");
pub(in crate::kernels) const TRANSPOSE: Shader = shader!("block_transpose");

/// A layer's part of a parameter vector, or what of it belongs to some outputs, and with it the matrices 2l and 2l + 1
/// of layer l: of its patches and a bias, and of its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First word of the weights.
    pub start: usize,
    /// First word of the biases.
    pub biases: usize,
    /// Outputs.
    pub outputs: usize,
    /// Patches, bias left out.
    pub patches: usize,
}

impl Part {
    /// All of a layer with so many outputs and patches whose parameters begin at `start`.
    pub fn whole(start: usize, outputs: usize, patches: usize) -> Self {
        Self { start, biases: start + outputs * patches, outputs, patches }
    }

    /// Some of its outputs alone.
    #[must_use]
    pub fn of_outputs(self, outputs: Range<usize>) -> Self {
        let (start, biases) = (self.start + outputs.start * self.patches, self.biases + outputs.start);
        Self { start, biases, outputs: outputs.len(), ..self }
    }

    /// Multiply-adds of G⁻¹ V A⁻¹.
    pub fn multiply_adds(&self) -> u64 {
        let [outputs, columns] = [self.outputs, self.patches + 1].map(|side| side as u64);
        outputs.saturating_mul(columns).saturating_mul(outputs + columns)
    }

    /// Multiply-adds of G⁻¹ V A⁻¹ where A is a multiple of the identity about a mean: besides G⁻¹ an inner product, a
    /// shift and a scale.
    pub fn centred_multiply_adds(&self) -> u64 {
        let [outputs, columns] = [self.outputs, self.patches + 1].map(|side| side as u64);
        outputs.saturating_mul(columns).saturating_mul(outputs + 3)
    }
}

impl Blocks {
    /// The steps that make d = G⁻¹ V A⁻¹ of each layer's part V of the vector `g`: outputs × (patches and bias), A⁻¹
    /// and G⁻¹ being the inverses of the layer's two matrices.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn apply_inverse(&self, gpu: &Gpu, parts: &[Part], g: &Buf, d: &Buf) -> Result<Vec<Dispatch>> {
        let placements: Vec<_> = parts.iter().zip(self.placements.as_chunks::<2>().0).collect();
        let fits = |(part, [a, g]): &(&Part, &[Placement; 2])| a.side == part.patches + 1 && g.side == part.outputs;
        assert!(2 * parts.len() == self.placements.len() && placements.iter().all(fits));
        let grid = |of: fn(&[Placement; 2]) -> [usize; 2]| {
            let job = |[columns, items]: [usize; 2]| (columns, strides(gpu, items));
            grid(gpu, placements.iter().map(|(_, placements)| job(of(placements))))
        };
        let width = [("WIDTH", gpu.profile.width())];
        let operands: Vec<_> = placements.iter().map(|&(part, [a, _])| (part, a)).collect();
        let mut steps = vec![self.load_gradient(gpu, &operands, false, g)?];
        steps.extend(self.multiply(gpu, |i| i.is_multiple_of(2))?);
        let transpose = |(_, [a, g]): &(&Part, &[Placement; 2])| TransposeJob {
            source: word(a.quad(a.places()[2], 0)),
            target_quad: word(g.quad(g.places()[1], 0)),
            columns_m: word(a.columns()),
            columns_n: word(g.columns()),
        };
        let jobs: Vec<TransposeJob> = placements.iter().map(transpose).collect();
        let table = gpu.upload("blocks.transpose", &jobs)?;
        let bindings = [table.into(), (&self.m).into()];
        steps.push(Dispatch::new(gpu, &TRANSPOSE, &width, &bindings, grid(|[a, g]| [g.columns(), a.columns() / 4]))?);
        steps.extend(self.multiply(gpu, |i| !i.is_multiple_of(2))?);
        let store = |(part, [_, g]): &(&Part, &[Placement; 2])| DirectionJob {
            d: word(part.start),
            biases: word(part.biases),
            outputs: word(part.outputs),
            patches: word(part.patches),
            columns: word(g.columns()),
            source: word(g.quad(g.places()[2], 0)),
        };
        let jobs: Vec<DirectionJob> = placements.iter().map(store).collect();
        let table = gpu.upload("blocks.direction", &jobs)?;
        let bindings = [table.into(), (&self.m).into(), d.into()];
        steps.push(Dispatch::new(gpu, &DIRECTION, &width, &bindings, grid(|[a, g]| [g.side, a.side]))?);
        Ok(steps)
    }

    /// The step that makes each layer's part of the vector `g` the operand of a matrix: of that of its patches, or,
    /// where it is `transposed`, of its outputs.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub(super) fn load_gradient(
        &self,
        gpu: &Gpu,
        operands: &[(&Part, &Placement)],
        transposed: bool,
        g: &Buf,
    ) -> Result<Dispatch> {
        let load = |(part, placement): &(&Part, &Placement)| GradientJob {
            g: word(part.start),
            biases: word(part.biases),
            outputs: word(part.outputs),
            patches: word(part.patches),
            columns: word(placement.columns()),
            target_quad: word(placement.quad(placement.places()[1], 0)),
        };
        let jobs: Vec<GradientJob> = operands.iter().map(load).collect();
        let table = gpu.upload("blocks.gradient", &jobs)?;
        let constants = [("WIDTH", gpu.profile.width()), ("TRANSPOSED", usize::from(transposed))];
        let columns = |(_, placement): &(&Part, &Placement)| {
            (placement.columns(), strides(gpu, placement.operand_blocks * LANES))
        };
        let bindings = [table.into(), g.into(), (&self.m).into()];
        Dispatch::new(gpu, &GRADIENT, &constants, &bindings, grid(gpu, operands.iter().map(columns)))
    }

    /// result ← operand · S⁻¹ of the matrices that are `among` those.
    pub(super) fn multiply(&self, gpu: &Gpu, among: impl Fn(usize) -> bool) -> Result<Vec<Dispatch>> {
        let product = |i: usize, placement: &Placement| {
            let [_, operand, result] = placement.places();
            let (rows, columns) = (placement.operand_blocks, placement.blocks);
            let product = BlockProduct {
                rows,
                columns,
                out: result,
                x: operand,
                to: placement.columns(),
                ..BlockProduct::default()
            };
            among(i).then_some(product)
        };
        self.products(gpu, product)
    }
}
