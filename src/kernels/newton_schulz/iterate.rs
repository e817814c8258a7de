//! The steps of the iteration.

use super::super::blocks::{BLOCK, LANES, ROW, TAPS, bounded, grid, strides};
use super::super::jobs::{NewtonSchulzJob, OperandJob, word};
use super::super::tile::SUBGROUP;
use super::super::weights::NONE;
use super::placement::{Group, Place, Placed, Squared, Squares, jobs};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::update::muon::{ITERATIONS, NEWTON_SCHULZ};

pub(in crate::kernels) const LOAD: Shader = shader!("newton_schulz_load");
pub(in crate::kernels) const PRODUCT: Shader = shader!("newton_schulz_product");

impl Group {
    /// The steps that leave the orthogonalised matrices of `u`, transposed to rows of the longer side, where
    /// [`Placed::result`] says.
    pub(super) fn orthogonalise(&self, gpu: &Gpu, u: &Buf, squares: &Squares) -> Result<Vec<Dispatch>> {
        let [a, b, c] = NEWTON_SCHULZ;
        let [plain, polynomial, next] =
            [[0.0, 1.0], [b, c], [a, 1.0]].map(|by| gpu.upload("newton_schulz.coefficients", &by.map(|by| by as f32)));
        let (plain, polynomial, next) = (plain?, polynomial?, next?);
        let together = gpu.profile.rows;
        let products = |by: &Buf, of: &dyn Fn(&Placed, Squared) -> Vec<NewtonSchulzJob>| {
            let jobs: Vec<_> = self.matrices.iter().flat_map(|matrix| of(matrix, matrix.squared())).collect();
            self.products(gpu, by, &jobs)
        };
        // on the shorter side alone
        let square = |matrix: &Placed, [x, w]: [Place; 2], [base, out]: [Place; 2]| {
            jobs([x, w], matrix.of.sides()[0], [base, out], together)
        };
        let mut steps = vec![self.load(gpu, u, squares)?];
        steps.extend(products(&plain, &|matrix, Squared { s, .. }| {
            let (x, [_, long]) = (matrix.wide(), matrix.of.sides());
            jobs([x, x], long, [s, s], together).collect()
        })?);
        for i in 0..ITERATIONS {
            let [before, after] = [i % 2, (i + 1) % 2];
            let is_last = i + 1 == ITERATIONS;
            steps.extend(products(&polynomial, &|matrix, Squared { s, r, .. }| {
                square(matrix, [s, s], [s, r]).collect()
            })?);
            steps.extend(products(&next, &|matrix, Squared { s, r, t, p }| {
                let of_p = square(matrix, [p[before], r], [p[before], p[after]]);
                let of_s = square(matrix, [s, r], [s, t]).filter(|_| !is_last);
                of_p.chain(of_s).collect()
            })?);
            if !is_last {
                steps.extend(products(&next, &|matrix, Squared { s, r, t, .. }| {
                    square(matrix, [t, r], [t, s]).collect()
                })?);
            }
        }
        steps.extend(products(&plain, &|matrix, Squared { p, .. }| {
            let result = matrix.result();
            square(matrix, [matrix.tall(), p[ITERATIONS % 2]], [result, result]).collect()
        })?);
        Ok(steps)
    }

    /// X₀, its transpose and P = I of every matrix.
    fn load(&self, gpu: &Gpu, u: &Buf, squares: &Squares) -> Result<Dispatch> {
        let operands = |placed: &Placed| {
            let (of, [short, long]) = (placed.of, placed.of.sides());
            let [along_short, along_long] = if of.rows <= of.columns { [of.columns, 1] } else { [1, of.columns] };
            let job = |place: Place, [rows, columns]: [usize; 2], strides: [usize; 2], matrix: u32| OperandJob {
                start: word(of.start),
                rows: word(rows),
                columns: word(columns),
                row_stride: word(strides[0]),
                column_stride: word(strides[1]),
                width: word(place.width),
                target_quad: word(place.first),
                matrix,
            };
            let number = word(placed.number);
            [
                job(placed.wide(), [short, long], [along_short, along_long], number),
                job(placed.tall(), [long, short], [along_long, along_short], number),
                job(placed.squared().p[0], [short, short], [0, 0], NONE),
            ]
        };
        let jobs: Vec<OperandJob> = self.matrices.iter().flat_map(operands).collect();
        let columns = |job: &OperandJob| {
            (job.width as usize, strides(gpu, (job.rows as usize).div_ceil(BLOCK) * LANES) + squares.parts)
        };
        let constants = [("WIDTH", gpu.profile.width()), ("PARTS", squares.parts)];
        let table = gpu.upload("newton_schulz.operands", &jobs)?;
        let bindings = [table.into(), (&squares.sums).into(), u.into(), (&self.m).into()];
        Dispatch::new(gpu, &LOAD, &constants, &bindings, grid(gpu, jobs.iter().map(columns)))
    }

    fn products(&self, gpu: &Gpu, by: &Buf, jobs: &[NewtonSchulzJob]) -> Result<Vec<Dispatch>> {
        let constants = [
            ("ROWS", gpu.profile.rows),
            ("ROW", ROW),
            ("ROW_LOADS", ROW / SUBGROUP),
            ("OUTPUTS", BLOCK),
            ("LANES", LANES),
            ("STAGED", ROW),
        ];
        let work = |job: &NewtonSchulzJob| job.rows as usize * job.taps as usize * BLOCK * BLOCK;
        let dispatch = |jobs: &[NewtonSchulzJob]| {
            let table = gpu.upload("newton_schulz.jobs", jobs)?;
            let bindings = [table.into(), by.into(), (&self.m).into()];
            Dispatch::new(gpu, &PRODUCT, &constants, &bindings, [jobs.len(), 1, 1])
        };
        bounded(jobs, work).into_iter().map(dispatch).collect()
    }
}

const _: () = assert!(TAPS == 4, "columns are summed in steps of four");
