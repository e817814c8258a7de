//! Images and their classes.

use crate::shape::Shape;
use crate::values::ValuesRef;

/// Labelled images `[N][C][H][W]`.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// C × H × W
    pub shape: Shape,
    /// Bytes, or f32.
    pub images: ValuesRef<'a>,
    /// Classes.
    pub labels: &'a [u32],
}

impl<'a> Labelled<'a> {
    /// One of the images, `[C][H][W]`.
    pub(super) fn image(&self, example: usize) -> ValuesRef<'a> {
        let pixels = self.shape.len();
        self.images.slice(example * pixels..(example + 1) * pixels)
    }
}
