//! The built-in set: handwritten digits of 8×8 pixels, for first steps, examples and tests without a
//! download. See `datasets/README.md` for where it comes from.

use super::idx;
use super::input::Input;
use super::parts::Parts;
use crate::error::Result;

/// 1,437 training and 360 test images of 1×8×8, values 0 to 16, classes "0" to "9".
pub(super) fn read() -> Result<Parts> {
    macro_rules! file {
        ($name:literal) => {
            Input::embedded(concat!("digits/", $name), include_bytes!(concat!("../../datasets/digits/", $name)))
                .gunzip()?
        };
    }
    idx::read_inputs([
        file!("train-images-idx3-ubyte.gz"),
        file!("train-labels-idx1-ubyte.gz"),
        file!("t10k-images-idx3-ubyte.gz"),
        file!("t10k-labels-idx1-ubyte.gz"),
    ])
}
