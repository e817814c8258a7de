//! What the program says is to be done about what it refuses.

#[path = "common/mod.rs"]
mod common;

use common::program::refused;
use std::fs;

#[test]
fn what_to_do_about_bad_data_is_said_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let says = |fragments: &[&str]| refused(&["train", "--data", path], 3, fragments);
    write("cats/a.pgm", b"P5 2 2 255\n....");
    says(&["no train/ and test/: ", "CIFAR-10 binary (", "; make these two folders"]);
    write("train/cats/a.pgm", b"P5 2 2 255\n....");
    says(&["no test/", "; put held-out images there"]);
    write("test/dogs/a.pgm", b"P5 2 2 255\n....");
    says(&["missing, while there is", "cats; add it"]);
    fs::rename(folder.path().join("test/dogs"), folder.path().join("test/cats")).unwrap();
    write("train/cats/b.pgm", b"P5 1 2 255\n..");
    says(&["b.pgm: 2x1 pixels (HxW), but", "a.pgm has 2x2; resize all with --resize HxW"]);
    write("train/cats/b.pgm", b"P5 2 2 255\n.");
    says(&["b.pgm: expected a whole image: ", "; replace the file"]);
    write("train/cats/b.tif", b"");
    fs::remove_file(folder.path().join("train/cats/b.pgm")).unwrap();
    says(&["b.tif: this format is not read; convert it to png"]);
    for prefix in ["emnist-digits", "emnist-letters"] {
        write(&format!("{prefix}-train-images-idx3-ubyte"), b"");
    }
    fs::remove_dir_all(folder.path().join("train")).unwrap();
    says(&["several data sets", "emnist-letters; name one of them"]);
    let letters = folder.path().join("emnist-letters");
    fs::write(folder.path().join("emnist-letters-train-images-idx3-ubyte"), b"damaged").unwrap();
    let missing = ["emnist-letters-train-labels-idx1-ubyte: missing, and no .gz of it either"];
    refused(&["train", "--data", letters.to_str().unwrap()], 3, &missing);
}
