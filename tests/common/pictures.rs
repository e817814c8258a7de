//! Folders of pictures, and files of them.

use gpu_subset::data::{Dataset, Picture, ReadOptions};
use gpu_subset::error::Result;
use gpu_subset::shape::Shape;
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma};
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// An Exif block that says the orientation.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    exif
}

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A flat grey picture of 4×4.
    pub fn grey(&self, name: &str, value: u8) {
        self.write(name, &encoded(&DynamicImage::from(ImageBuffer::from_pixel(4, 4, Luma([value]))), ImageFormat::Png));
    }

    pub fn open(&self, options: ReadOptions) -> Result<Dataset> {
        Dataset::open(self.text(), &options)
    }
}

/// The planes of a picture at its own size.
pub fn planes(bytes: &[u8]) -> (Shape, Vec<u8>) {
    let folder = Folder::new();
    let picture = Picture::open(&folder.write("a picture", bytes)).unwrap();
    let (height, width) = picture.size();
    let shape = Shape::new(if picture.is_colour() { 3 } else { 1 }, height, width);
    let mut planes = Vec::new();
    picture.append_to(shape, &mut planes);
    (shape, planes)
}
