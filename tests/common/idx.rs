//! IDX files, plain.

use gpu_subset::data::Split;
use gpu_subset::shape::Shape;

pub fn idx_images(split: &Split, shape: Shape) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for dimension in [split.len(), shape.height, shape.width] {
        bytes.extend((dimension as u32).to_be_bytes());
    }
    bytes.extend(split.images.bytes().unwrap());
    bytes
}

pub fn idx_labels(split: &Split, first: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend((split.len() as u32).to_be_bytes());
    bytes.extend(split.labels.iter().map(|&label| label as u8 + first));
    bytes
}
