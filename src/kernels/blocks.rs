//! Matrices in blocks of 32 rows, `[row block][column][32 rows]`: the inverse of a damped Kronecker factor by blocked Cholesky
//! factorisation, and products with it.
//!
//! Cholesky applied to the rows of \[S; I\] gives L and L⁻ᵀ at once, since (row of I) L⁻ᵀ is what the elimination leaves of it; then
//! S⁻¹ = L⁻ᵀ (L⁻ᵀ)ᵀ. All of it is one product of row blocks (`block_product.wgsl`) but for the 32 × 32 pivots.

use super::elementwise_grid;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernel::{Dispatch, Shader, shader};

pub(super) const DIRECTION: Shader = shader!("block_direction", Parameters);
pub(super) const GRADIENT: Shader = shader!("block_gradient");
pub(super) const LOAD: Shader = shader!("block_load");
pub(super) const PIVOT: Shader = shader!("block_pivot");
pub(super) const PRODUCT: Shader = shader!("block_product", Weights);
pub(super) const TRANSPOSE: Shader = shader!("block_transpose");

/// Rows of a block.
const BLOCK: usize = 32;

/// Columns summed in one step of a product.
const TAPS: usize = 4;

/// Room to invert a symmetric positive definite matrix S of `side` rows, and to multiply `operands` rows with the inverse.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Row blocks of S, later of its inverse; of I, later of L⁻ᵀ; one for the pivots; of the operand; of the result.
    m: Quads,
    side: usize,
    /// Row blocks of S, a thirty-second of its columns with padding.
    blocks: usize,
    operand_blocks: usize,
}

/// out\[b\], columns 32 (column + c) …, ± = Σ over columns from + c·later … to of x\[b\] · w\[c\]ᵀ; all but `from` and `to` in blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Product {
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

impl Blocks {
    /// Allocates.
    ///
    /// # Errors
    /// As [`Gpu::alloc_quads`].
    pub fn new(gpu: &Gpu, side: usize, operands: usize) -> Result<Self> {
        let (blocks, operand_blocks) = (side.div_ceil(BLOCK), operands.div_ceil(BLOCK));
        let rows = BLOCK * (2 * blocks + 1 + 2 * operand_blocks);
        Ok(Self { m: gpu.alloc_quads("blocks", rows * BLOCK * blocks, false)?, side, blocks, operand_blocks })
    }

    fn columns(&self) -> usize {
        BLOCK * self.blocks
    }

    /// Row block of the pivots, and the first of the operand and of the result.
    fn places(&self) -> [usize; 3] {
        let pivot = 2 * self.blocks;
        [pivot, pivot + 1, pivot + 1 + self.operand_blocks]
    }

    fn product(&self, gpu: &Gpu, p: Product) -> Result<Dispatch> {
        let step = [self.columns(), p.rows, p.out, p.x, p.w, p.column, p.from, p.to, p.later].map(|n| n as u32);
        let step = gpu.upload("blocks.step", &step)?;
        let row = BLOCK * TAPS / 4;
        let constants = [
            ("ROWS", gpu.profile.rows),
            ("ROW", row),
            ("ROW_LOADS", row / 8),
            ("OUTPUTS", BLOCK),
            ("LANES", 8),
            ("SUBTRACT", usize::from(p.subtract)),
        ];
        let grid = [p.rows.div_ceil(gpu.profile.rows), p.columns, 1];
        Dispatch::new(gpu, &PRODUCT, &constants, &[step.into(), (&self.m).into()], grid)
    }

    /// The steps that make (S + δI)⁻¹ of S = `matrix`, `[side][side]` and symmetric, δ being a word on the device.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn invert(&self, gpu: &Gpu, matrix: &Buf, delta: &Buf) -> Result<Vec<Dispatch>> {
        assert_eq!(matrix.len(), self.side * self.side);
        let (blocks, columns) = (self.blocks, self.columns());
        let [pivot, ..] = self.places();
        let constants = [("SIDE", self.side), ("COLUMNS", columns)];
        let bindings = [matrix.into(), delta.into(), (&self.m).into()];
        let mut steps =
            vec![Dispatch::new(gpu, &LOAD, &constants, &bindings, elementwise_grid(columns / 2 * columns))?];
        for k in 0..blocks {
            // rows k … of S and those of I that are no longer zero left of column block k + 1
            let panel = Product { rows: blocks + 1, columns: 1, out: k, x: k, column: k, ..Product::default() };
            if k > 0 {
                let before = Product { w: k, from: 0, to: BLOCK * k, subtract: true, ..panel };
                steps.push(self.product(gpu, before)?);
            }
            let step = gpu.upload("blocks.pivot", &[columns as u32, k as u32, pivot as u32])?;
            let bindings = [step.into(), delta.into(), (&self.m).into()];
            steps.push(Dispatch::new(gpu, &PIVOT, &[], &bindings, [1, 1, 1])?);
            let scale = Product { w: pivot, from: BLOCK * k, to: BLOCK * (k + 1), ..panel };
            steps.push(self.product(gpu, scale)?);
        }
        // L⁻ᵀ is upper triangular: its row block c begins at column 32 c
        let square = Product { rows: blocks, columns: blocks, x: blocks, w: blocks, to: columns, ..Product::default() };
        steps.push(self.product(gpu, Product { later: BLOCK, ..square })?);
        Ok(steps)
    }

    /// operand ← the gradient of a layer with so many outputs, `g` as in the parameter vector: outputs × `side`.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn load_gradient(&self, gpu: &Gpu, g: &Buf, outputs: usize) -> Result<Dispatch> {
        let [_, operand, _] = self.places();
        assert!(g.len() == outputs * self.side && outputs.div_ceil(BLOCK) == self.operand_blocks);
        let constants =
            [("OUTPUTS", outputs), ("PATCHES", self.side - 1), ("COLUMNS", self.columns()), ("AT", operand)];
        let grid = elementwise_grid(8 * self.operand_blocks * self.columns());
        Dispatch::new(gpu, &GRADIENT, &constants, &[g.into(), (&self.m).into()], grid)
    }

    /// result ← operand · S⁻¹.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn multiply(&self, gpu: &Gpu) -> Result<Dispatch> {
        let [_, operand, result] = self.places();
        let (rows, columns) = (self.operand_blocks, self.blocks);
        let product = Product { rows, columns, out: result, x: operand, to: self.columns(), ..Product::default() };
        self.product(gpu, product)
    }

    /// The other's operand ← this one's result, transposed.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn transpose_into(&self, gpu: &Gpu, other: &Self) -> Result<Dispatch> {
        assert!(self.operand_blocks == other.blocks && other.operand_blocks == self.blocks);
        let ([_, _, result], [_, operand, _]) = (self.places(), other.places());
        let constants =
            [("COLUMNS_M", self.columns()), ("COLUMNS_N", other.columns()), ("AT_M", result), ("AT_N", operand)];
        let grid = elementwise_grid(self.columns() / 4 * other.columns());
        Dispatch::new(gpu, &TRANSPOSE, &constants, &[(&self.m).into(), (&other.m).into()], grid)
    }

    /// d ← the result, transposed, as in the parameter vector: a layer of `side` outputs with so many patches.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn store_direction(&self, gpu: &Gpu, patches: usize, d: &Buf) -> Result<Dispatch> {
        let [.., result] = self.places();
        assert!(d.len() == self.side * (patches + 1) && (patches + 1).div_ceil(BLOCK) == self.operand_blocks);
        let constants = [("OUTPUTS", self.side), ("PATCHES", patches), ("COLUMNS", self.columns()), ("AT", result)];
        Dispatch::new(gpu, &DIRECTION, &constants, &[(&self.m).into(), d.into()], elementwise_grid(d.len()))
    }

    /// The inverse, `[side][side]`, for tests.
    ///
    /// # Errors
    /// As [`Gpu::read_quads`].
    pub fn read_inverse(&self, gpu: &Gpu) -> Result<Vec<f32>> {
        let m: Vec<f32> = gpu.read_quads(&self.m)?;
        let at = |row: usize, col: usize| m[(row / BLOCK * self.columns() + col) * BLOCK + row % BLOCK];
        Ok((0..self.side).flat_map(|row| (0..self.side).map(move |col| at(row, col))).collect())
    }
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
