//! Max, average and global-average pooling: forward, jvp and vjp.

use super::epilogue::Mask;
use super::grid::{looping_grid, turns};
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;

pub(super) const MAX_SELECT: Shader = shader!("max_pool_select");
pub(super) const MAX_VJP: Shader = shader!("max_pool_vjp");
pub(super) const AVG_FORWARD: Shader = shader!("avg_pool_forward");
pub(super) const AVG_VJP: Shader = shader!("avg_pool_vjp");

/// A window that slides over every channel on its own. Padding never wins a maximum and counts as zeros in an average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// C × H × W.
    pub input: Shape,
    /// Window height; max pooling takes square windows.
    pub height: usize,
    /// Window width.
    pub width: usize,
    /// Step of the window.
    pub stride: usize,
    /// Padding on each side, at most half the window.
    pub padding: usize,
}

impl Pool {
    /// C × OH × OW, or nothing when the window does not fit, or could lie in the padding altogether.
    pub fn output(&self) -> Option<Shape> {
        if 2 * self.padding > self.height.min(self.width) {
            return None;
        }
        let side =
            |image: usize, window: usize| Some((image + 2 * self.padding).checked_sub(window)? / self.stride + 1);
        let (height, width) = (side(self.input.height, self.height)?, side(self.input.width, self.width)?);
        Some(Shape::new(self.input.channels, height, width))
    }

    fn out(&self) -> Shape {
        self.output().expect("checked when the layer was made: the window fits")
    }

    /// Turns of the loops over a window.
    fn window_turns(&self) -> usize {
        turns(self.height, turns(self.width, 0))
    }

    /// Turns of the loops over the windows that hold a pixel, each with so many turns inside.
    fn windows_turns(&self, inside: usize) -> usize {
        let out = self.out();
        let [rows, columns] = [(self.height, out.height), (self.width, out.width)]
            .map(|(window, windows)| window.div_ceil(self.stride).min(windows));
        turns(rows, turns(columns, inside))
    }

    /// Turns of the loops over a value, at most; with `is_max`, of max pooling.
    pub fn turns(&self, is_max: bool) -> usize {
        let of_windows = self.windows_turns(if is_max { self.window_turns() } else { 0 });
        turns(1, of_windows.max(self.window_turns()))
    }

    fn constants(&self, gpu: &Gpu, window: &[(&'static str, usize)]) -> Vec<(&'static str, usize)> {
        let (x, y) = (self.input, self.out());
        let mut constants = vec![("H", x.height), ("W", x.width), ("OH", y.height), ("OW", y.width)];
        constants.extend(window);
        constants.extend([("STRIDE", self.stride), ("PADDING", self.padding), ("LANES", gpu.profile.lanes())]);
        constants
    }

    fn max_constants(&self, gpu: &Gpu) -> Vec<(&'static str, usize)> {
        assert_eq!(self.height, self.width, "max pooling takes square windows");
        self.constants(gpu, &[("SIZE", self.height)])
    }

    fn avg_constants(&self, gpu: &Gpu) -> Vec<(&'static str, usize)> {
        self.constants(gpu, &[("SIZE_H", self.height), ("SIZE_W", self.width)])
    }

    fn check(&self, x: &Quads, y: &Quads) {
        assert_eq!(x.len() / self.input.len(), y.len() / self.out().len(), "batches differ");
    }
}

/// out = v at the window's argmax of x: forward with v = x, jvp with v = tx.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn max_select(gpu: &Gpu, pool: &Pool, x: &Quads, v: &Quads, out: &Quads) -> Result<Dispatch> {
    pool.check(x, out);
    assert_eq!(x.len(), v.len());
    let count = out.len() / 4;
    let bindings = [x.into(), v.into(), gpu.uniform(count)?.into(), out.into()];
    let grid = looping_grid(gpu, &MAX_SELECT, count, pool.window_turns())?;
    Dispatch::new(gpu, &MAX_SELECT, &pool.max_constants(gpu), &bindings, grid)
}

/// dx = mask ⊙ the gradient of max pooling at its input x.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn max_vjp(gpu: &Gpu, pool: &Pool, x: &Quads, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Dispatch> {
    pool.check(x, dy);
    assert_eq!(x.len(), dx.len());
    let count = dx.len() / 4;
    let mut constants = pool.max_constants(gpu);
    constants.push(Mask::constant(mask));
    let bindings = [x.into(), dy.into(), Mask::binding(mask, x), gpu.uniform(count)?.into(), dx.into()];
    let grid = looping_grid(gpu, &MAX_VJP, count, pool.windows_turns(pool.window_turns()))?;
    Dispatch::new(gpu, &MAX_VJP, &constants, &bindings, grid)
}

/// y = window means of x; also the jvp.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn avg_forward(gpu: &Gpu, pool: &Pool, x: &Quads, y: &Quads) -> Result<Dispatch> {
    pool.check(x, y);
    let count = y.len() / 4;
    let bindings = [x.into(), gpu.uniform(count)?.into(), y.into()];
    let grid = looping_grid(gpu, &AVG_FORWARD, count, pool.window_turns())?;
    Dispatch::new(gpu, &AVG_FORWARD, &pool.avg_constants(gpu), &bindings, grid)
}

/// dx = mask ⊙ the gradient of average pooling.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn avg_vjp(gpu: &Gpu, pool: &Pool, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Dispatch> {
    pool.check(dx, dy);
    let count = dx.len() / 4;
    let mut constants = pool.avg_constants(gpu);
    constants.push(Mask::constant(mask));
    let bindings = [dy.into(), Mask::binding(mask, dy), gpu.uniform(count)?.into(), dx.into()];
    let grid = looping_grid(gpu, &AVG_VJP, count, pool.windows_turns(0))?;
    Dispatch::new(gpu, &AVG_VJP, &constants, &bindings, grid)
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use crate::kernels::pool::Pool;

    /// Offsets into x of the window of each output pixel, in row order.
    fn windows(pool: &Pool, outputs: usize) -> impl Iterator<Item = Vec<usize>> + '_ {
        let (x, y) = (pool.input, pool.out());
        (0..outputs).map(move |i| {
            let (plane, oh, ow) = (i / y.pixels(), i / y.width % y.height, i % y.width);
            let taps = (0..pool.height).flat_map(|kh| (0..pool.width).map(move |kw| (kh, kw)));
            taps.filter_map(|(kh, kw)| {
                let ih = (oh * pool.stride + kh).checked_sub(pool.padding).filter(|&ih| ih < x.height)?;
                let iw = (ow * pool.stride + kw).checked_sub(pool.padding).filter(|&iw| iw < x.width)?;
                Some((plane * x.height + ih) * x.width + iw)
            })
            .collect()
        })
    }

    fn argmax(x: &[f64], window: &[usize]) -> usize {
        window.iter().copied().reduce(|best, at| if x[at] > x[best] { at } else { best }).expect("no empty window")
    }

    /// v at the window's argmax of x.
    pub fn max_select(pool: &Pool, x: &[f64], v: &[f64]) -> Vec<f64> {
        let outputs = x.len() / pool.input.len() * pool.out().len();
        windows(pool, outputs).map(|window| v[argmax(x, &window)]).collect()
    }

    /// dx of max pooling.
    pub fn max_vjp(pool: &Pool, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; x.len()];
        for (window, dy) in windows(pool, dy.len()).zip(dy) {
            dx[argmax(x, &window)] += dy;
        }
        dx
    }

    /// Window means.
    pub fn avg_forward(pool: &Pool, x: &[f64]) -> Vec<f64> {
        let area = (pool.height * pool.width) as f64;
        let outputs = x.len() / pool.input.len() * pool.out().len();
        windows(pool, outputs).map(|window| window.iter().map(|&at| x[at]).sum::<f64>() / area).collect()
    }

    /// dx of average pooling.
    pub fn avg_vjp(pool: &Pool, dy: &[f64]) -> Vec<f64> {
        let area = (pool.height * pool.width) as f64;
        let mut dx = vec![0.0; dy.len() / pool.out().len() * pool.input.len()];
        for (window, dy) in windows(pool, dy.len()).zip(dy) {
            window.iter().for_each(|&at| dx[at] += dy / area);
        }
        dx
    }
}
