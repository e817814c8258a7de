//! A folder of pictures, each of any format by its first byte: the first in training, the second in testing.
#![no_main]

use gpu_subset_fuzz::{files, folder, open_set, write};

const EXTENSIONS: [&str; 11] = ["png", "jpg", "bmp", "gif", "pgm", "webp", "tiff", "ppm", "jpeg", "pbm", "jfif"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = std::fs::remove_dir_all(folder().join("pictures"));
    let files = files(input);
    let Some(first) = files.first().filter(|file| !file.is_empty()) else { return };
    let second = files.get(1).filter(|file| !file.is_empty()).unwrap_or(first);
    for (part, file) in [("train", first), ("test", second)] {
        let extension = EXTENSIONS[file[0] as usize % EXTENSIONS.len()];
        write(&format!("pictures/{part}/class/picture.{extension}"), &file[1..]);
    }
    if let Some(set) = open_set("pictures") {
        assert_eq!((set.train.len(), set.test.len()), (1, 1));
        assert_eq!(set.train.images.len(), set.shape.len());
    }
});
