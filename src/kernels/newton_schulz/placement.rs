//! Where matrices and what their iteration takes are.

use super::super::blocks::{BLOCK, LANES};
use super::super::jobs::{NewtonSchulzJob, word};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::update::Matrix;

/// Sums over the words of matrices, in so many parts of each: `[matrices][parts]`.
#[derive(Clone, Debug)]
pub struct Squares {
    /// The parts.
    pub sums: Buf,
    /// How many there are of a matrix.
    pub parts: usize,
}

/// Matrices that lie in one array.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Group {
    pub(in crate::kernels) matrices: Vec<Placed>,
    pub(in crate::kernels) m: Quads,
}

/// A matrix with the place of all that is made of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Placed {
    pub(in crate::kernels) of: Matrix,
    /// Which of all it is.
    pub(in crate::kernels) number: usize,
    /// First vec4.
    first: usize,
}

/// A matrix in blocks of rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Place {
    /// First vec4.
    pub(in crate::kernels) first: usize,
    /// Row blocks.
    pub(in crate::kernels) blocks: usize,
    /// Columns with padding.
    pub(in crate::kernels) width: usize,
}

/// What an iteration works on: matrices as large as the square of the shorter side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Squared {
    /// S
    pub(super) s: Place,
    /// R = b S + c S²
    pub(super) r: Place,
    /// a S + S R
    pub(super) t: Place,
    /// P, and where the next one goes.
    pub(super) p: [Place; 2],
}

impl Group {
    /// As many matrices in an array as have so many words, and one at least.
    pub(super) fn of(gpu: &Gpu, matrices: &[Matrix], most: usize) -> Result<Vec<Self>> {
        let (mut parts, mut end): (Vec<Vec<Placed>>, _) = (Vec::new(), 0);
        for (number, &of) in matrices.iter().enumerate() {
            let len = Placed { of, number, first: 0 }.len();
            if parts.is_empty() || 4 * (end + len) > most {
                parts.push(Vec::new());
                end = 0;
            }
            parts.last_mut().expect("just made").push(Placed { of, number, first: end });
            end += len;
        }
        let group = |matrices: Vec<Placed>| {
            let quads = matrices.iter().map(Placed::len).sum::<usize>();
            Ok(Self { m: gpu.alloc_quads("newton_schulz", 4 * quads, false)?, matrices })
        };
        parts.into_iter().map(group).collect()
    }
}

impl Placed {
    /// Row blocks of the shorter side and of the longer.
    fn blocks(&self) -> [usize; 2] {
        self.of.sides().map(|side| side.div_ceil(BLOCK))
    }

    /// vec4 of all.
    fn len(&self) -> usize {
        let [short, long] = self.blocks();
        BLOCK * LANES * short * (2 * long + 5 * short)
    }

    /// X₀, rows of the shorter side.
    pub(super) fn wide(&self) -> Place {
        let [short, long] = self.blocks();
        Place { first: self.first, blocks: short, width: BLOCK * long }
    }

    /// X₀ᵀ
    pub(super) fn tall(&self) -> Place {
        Place { first: self.first + self.wide().len(), ..self.result() }
    }

    /// (P X₀)ᵀ, where X₀ was: that is no longer needed.
    pub(in crate::kernels) fn result(&self) -> Place {
        let [short, long] = self.blocks();
        Place { first: self.first, blocks: long, width: BLOCK * short }
    }

    pub(super) fn squared(&self) -> Squared {
        let [short, _] = self.blocks();
        let after = self.first + 2 * self.wide().len();
        let place =
            |i: usize| Place { first: after + i * BLOCK * LANES * short * short, blocks: short, width: BLOCK * short };
        Squared { s: place(0), r: place(1), t: place(2), p: [place(3), place(4)] }
    }
}

impl Place {
    fn len(&self) -> usize {
        self.blocks * self.width * LANES
    }

    /// The first vec4 of a column of a row block.
    fn quad(&self, block: usize, column: usize) -> usize {
        self.first + (block * self.width + column) * LANES
    }

    /// The word of an entry.
    pub(in crate::kernels) fn word(&self, row: usize, column: usize) -> usize {
        4 * self.quad(row / BLOCK, column) + row % BLOCK
    }
}

/// out = α base + γ x wᵀ over so many columns of x and w, so many row blocks in each job.
pub(super) fn jobs(
    [x, w]: [Place; 2],
    columns: usize,
    [base, out]: [Place; 2],
    together: usize,
) -> impl Iterator<Item = NewtonSchulzJob> {
    let job = move |c: usize, b: usize| NewtonSchulzJob {
        x: word(x.quad(b, 0)),
        w: word(w.quad(c, 0)),
        out: word(out.quad(b, BLOCK * c)),
        base: word(base.quad(b, BLOCK * c)),
        x_step: word(x.width * LANES),
        out_step: word(out.width * LANES),
        taps: word(columns.next_multiple_of(4)),
        rows: word(together.min(out.blocks - b)),
    };
    (0..out.width / BLOCK).flat_map(move |c| (0..out.blocks).step_by(together).map(move |b| job(c, b)))
}
