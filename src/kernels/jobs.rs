//! Tables of jobs that kernels read: a row is a struct with the name and the fields of the shader's.

use std::mem::offset_of;

/// How a row lies in memory, which `tests/shaders/` compares with the shader's struct.
#[derive(Clone, Copy, Debug)]
pub struct JobLayout {
    /// The shader's name.
    pub shader: &'static str,
    /// The struct's name, in both languages.
    pub name: &'static str,
    /// Its fields in order, and their offsets in bytes.
    pub fields: &'static [(&'static str, usize)],
    /// Bytes from a row to the next.
    pub size: usize,
}

/// Rows of words, each with the shader that reads a table of them; all their layouts.
macro_rules! jobs {
    ($($(#[$about:meta])* $shader:literal $name:ident { $($(#[$note:meta])* $field:ident,)* })*) => {
        $(
            $(#[$about])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
            pub(super) struct $name {
                $($(#[$note])* pub(super) $field: u32,)*
            }
        )*

        /// Every row that a kernel reads.
        pub const JOBS: &[JobLayout] = &[$(JobLayout {
            shader: $shader,
            name: stringify!($name),
            fields: &[$((stringify!($field), offset_of!($name, $field))),*],
            size: size_of::<$name>(),
        }),*];
    };
}

jobs! {
    /// The scales and shifts of a normalisation, and their blocks.
    "batch_norm_divide" NormJob {
        /// First word of the scales, and of the blocks.
        g,
        f,
        channels,
    }
    /// A layer's part of a parameter vector, from its transposed matrix.
    "block_direction" DirectionJob {
        /// First word of the weights, and of the biases.
        d,
        biases,
        outputs,
        patches,
        columns,
        /// First vec4 of the matrix.
        source,
    }
    /// A layer's part of a gradient, as a matrix.
    "block_gradient" GradientJob {
        /// First word of the weights, and of the biases.
        g,
        biases,
        outputs,
        patches,
        columns,
        /// First vec4 of the matrix.
        target_quad,
    }
    /// A matrix put where it is inverted.
    "block_load" LoadJob {
        /// Its first word.
        a,
        side,
        columns,
        /// First vec4 of the place.
        target_quad,
        /// Which δ is added.
        matrix,
    }
    /// The inverse of a block's Cholesky factor.
    "block_pivot" PivotJob {
        /// First vec4 of the block.
        source,
        /// First vec4 of the inverse.
        target_quad,
        /// Which δ is the least pivot.
        matrix,
        padding,
    }
    /// Row blocks of x times the transposed rows of a block w.
    "block_product" ProductJob {
        /// First vec4 of x, of w and of what comes out.
        x,
        w,
        out,
        /// vec4 from a row block to the next.
        step,
        /// Columns summed over.
        taps,
        /// Row blocks.
        rows,
        /// 1 where the product is taken from what was there.
        subtract,
        padding,
    }
    /// A matrix and its transpose.
    "block_transpose" TransposeJob {
        /// First vec4 of the matrix, and of its transpose.
        source,
        target_quad,
        columns_m,
        columns_n,
    }
    /// A layer whose inputs have a mean and a variance, and its factor of the outputs.
    "centred_damping" CentredJob {
        layer,
        /// First word of the moments.
        moments,
        features,
        /// Of an image.
        places,
        /// First word of G, and its rows.
        g,
        side_g,
    }
    /// A layer's part of a parameter vector, from its transposed matrix and the mean of its inputs.
    "centred_direction" CentredDirectionJob {
        layer,
        /// First word of the weights, and of the biases.
        d,
        biases,
        outputs,
        patches,
        columns,
        /// First vec4 of the matrix.
        source,
        /// First word of the moments.
        moments,
    }
    /// A layer's two factors, of which the traces share out the damping.
    "kronecker_damping" DampingJob {
        layer,
        /// First word of A, and its rows.
        a,
        side_a,
        /// First word of G, and its rows.
        g,
        side_g,
    }
    /// A matrix that is scaled.
    "muon_hold" HeldJob {
        /// First word, and words.
        start,
        len,
        matrix,
    }
    /// Words that move in the same way.
    "muon_moments" SegmentJob {
        /// First of them, and how many.
        start,
        len,
        /// Which matrix they are, if they are one.
        matrix,
    }
    /// A matrix that takes a step, and where its direction is.
    "muon_update" MatrixJob {
        /// First word.
        start,
        rows,
        columns,
        /// Columns of the direction with padding, and its first vec4.
        width,
        source,
        matrix,
    }
    /// A matrix, its transpose or the identity, put where it is multiplied.
    "newton_schulz_load" OperandJob {
        /// First word.
        start,
        rows,
        columns,
        /// Words from a row to the next, and from a column.
        row_stride,
        column_stride,
        /// Columns with padding, and first vec4 of the place.
        width,
        target_quad,
        /// Which matrix it is, if it is one.
        matrix,
    }
    /// Row blocks of x times the transposed rows of a block w.
    "newton_schulz_product" NewtonSchulzJob {
        /// First vec4 of x, of w, of what comes out and of what is added.
        x,
        w,
        out,
        base,
        /// vec4 from a row block to the next, of x and of the others.
        x_step,
        out_step,
        /// Columns summed over.
        taps,
        /// Row blocks.
        rows,
    }
    /// A layer's partial sums.
    "reduce_partials" ReduceJob {
        /// First word of the layer's part of a vector, and of its sums.
        g,
        partial,
        outputs,
        patches,
        splits,
    }
    /// Activations of which chosen examples are brought together.
    "rows_select" RowsJob {
        /// First vec4 of them, and of the chosen.
        source,
        target_quad,
        features,
        /// Which of the two arrays they are in.
        side,
    }
    /// The grid of an indirect dispatch with every block in use.
    "live_grids" GridJob {
        x,
        y,
        z,
        /// The side that follows the blocks.
        side,
        /// Blocks of a workgroup along it.
        per,
    }
}

/// A number as a word of a row.
pub(super) fn word(n: usize) -> u32 {
    u32::try_from(n).expect("numbers on a device are 32 bits wide")
}
