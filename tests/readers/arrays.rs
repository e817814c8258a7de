//! Arrays of NumPy: files that NumPy wrote (`written/`), sets of every layout, and what is said of each defect.

use crate::*;
use gpu_subset::data::Note;
use gpu_subset::error::ArrayError;
use zip::write::{SimpleFileOptions, ZipWriter};

/// An array as `np.save` writes it, of version 1.
pub fn npy(descr: &str, shape: &[usize], elements: &[u8]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

/// A zip file, deflated or stored.
pub fn zipped(files: &[(String, Vec<u8>)], is_deflated: bool) -> Vec<u8> {
    let method = if is_deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn interleaved(split: &Split, shape: Shape) -> Vec<u8> {
    let images = split.images.bytes().unwrap().chunks_exact(shape.len());
    let pixels = |image: &[u8]| -> Vec<u8> {
        (0..shape.pixels()).flat_map(|i| image.iter().skip(i).step_by(shape.pixels()).copied()).collect()
    };
    images.flat_map(pixels).collect()
}

/// The four arrays under these names, of labels of 64 bits `[N][1]`.
fn arrays(sample: &Sample, names: [&str; 4]) -> Vec<(String, Vec<u8>)> {
    let Shape { channels, height, width } = sample.shape;
    let mut files = Vec::new();
    for (split, names) in [(&sample.train, &names[..2]), (&sample.test, &names[2..])] {
        let labels: Vec<u8> = split.labels.iter().flat_map(|label| i64::from(*label).to_le_bytes()).collect();
        let shape: &[usize] =
            if channels == 1 { &[split.len(), height, width] } else { &[split.len(), height, width, channels] };
        files.push((format!("{}.npy", names[0]), npy("|u1", shape, &interleaved(split, sample.shape))));
        files.push((format!("{}.npy", names[1]), npy("<i8", &[split.len(), 1], &labels)));
    }
    files
}

const MEDMNIST: [&str; 4] = ["train_images", "train_labels", "test_images", "test_labels"];
const KERAS: [&str; 4] = ["x_train", "y_train", "x_test", "y_test"];

pub fn npz_sample(is_deflated: bool) -> Sample {
    let sample = Sample::new(Format::Numpy, Shape::new(3, 6, 5), (20, 10), 10);
    sample.write("set.npz", &zipped(&arrays(&sample, MEDMNIST), is_deflated));
    sample
}

pub fn npy_sample() -> Sample {
    let sample = Sample::new(Format::Numpy, Shape::new(1, 6, 5), (20, 10), 10);
    for (name, bytes) in arrays(&sample, KERAS) {
        sample.write(&name, &bytes);
    }
    sample
}

/// A file that NumPy or Python wrote.
pub fn written(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/written").join(name)
}

#[test]
fn arrays_are_read_from_one_file_and_from_a_folder() {
    npy_sample().assert_reads_back();
    for is_deflated in [false, true] {
        let sample = npz_sample(is_deflated);
        let set = sample.open().unwrap();
        assert_eq!((&set.train, &set.test, set.shape), (&sample.train, &sample.test, sample.shape));
        assert_eq!((set.name.as_str(), set.format), ("set", Format::Numpy));
        assert_eq!(open(&sample.path("set.npz")).unwrap().sha256, set.sha256);
    }
}

#[test]
fn what_numpy_writes_is_read() {
    let keras = open(&written("keras.npz")).unwrap();
    assert_eq!((keras.name.as_str(), keras.shape), ("keras", Shape::new(1, 5, 4)));
    let bytes = keras.train.images.bytes().unwrap();
    assert_eq!((&bytes[..4], &keras.train.labels[..]), (&[113, 0, 129, 135][..], &[0, 1, 2, 0, 1, 2][..]));
    assert_eq!(keras.classes, ["0", "1", "2"]);
    // the same arrays: the last index the slowest, labels of other types, and in four files
    for other in ["orders.npz", "kmnist-train-imgs.npz", "kmnist-test-labels.npz"] {
        assert_eq!(open(&written(other)).unwrap().sha256, keras.sha256, "{other}");
    }
    assert_eq!(open(&written("kmnist-test-imgs.npz")).unwrap().name, "kmnist");

    let medmnist = open(&written("medmnist.npz")).unwrap();
    assert_eq!((medmnist.shape, medmnist.train.len(), medmnist.test.len()), (Shape::new(3, 5, 4), 6, 3));
    let pixels = medmnist.train.images.bytes().unwrap();
    assert_eq!(pixels[..4], [95, 217, 15, 215], "planes of red, green and blue");
    assert_eq!(pixels[20], 130);
    let [note] = &medmnist.notes[..] else { panic!("{:?}", medmnist.notes) };
    assert!(matches!(note, Note::UnusedPart { path, .. } if path.ends_with("medmnist.npz/val_images.npy")), "{note}");
}

#[test]
fn the_same_content_has_the_same_hash_as_idx() {
    let idx = idx_sample(false);
    let sample = Sample { format: Format::Numpy, dir: tempfile::tempdir().unwrap(), ..idx_sample(false) };
    sample.write("x.npz", &zipped(&arrays(&sample, MEDMNIST), true));
    assert_eq!(sample.open().unwrap().sha256, idx.open().unwrap().sha256);
}

#[test]
fn channels_are_told_by_the_shape() {
    let sample = Sample::new(Format::Numpy, Shape::new(1, 6, 5), (20, 10), 10);
    for (shape, found) in [
        (&[20, 1, 6, 5][..], Some(Shape::new(1, 6, 5))),
        (&[20, 6, 5, 1], Some(Shape::new(1, 6, 5))),
        (&[20, 3, 5, 2], None),
        (&[20, 30], Some(Shape::vector(30))),
        (&[20, 2, 3, 5], None),
        (&[600], None),
    ] {
        let mut files = arrays(&sample, MEDMNIST);
        files[0].1 = npy("|u1", shape, sample.train.images.bytes().unwrap());
        sample.write("x.npz", &zipped(&files, true));
        match found {
            Some(Shape { height: 1, .. }) => assert_says(sample.open(), &["x.npz/test_images.npy: ", "as in"]),
            Some(shape) => assert_eq!(sample.open().unwrap().shape, shape),
            None => assert_says(sample.open(), &["x.npz/train_images.npy: images of shape", "[N, H, W, C]"]),
        }
    }
}

/// Numbers of a type, as bytes.
fn numbers(values: &[f64], descr: &str) -> Vec<u8> {
    let of = |value: f64| match descr {
        "<f4" => (value as f32).to_le_bytes().to_vec(),
        ">f4" => (value as f32).to_be_bytes().to_vec(),
        "<f8" => value.to_le_bytes().to_vec(),
        _ => value.to_be_bytes().to_vec(),
    };
    values.iter().flat_map(|&value| of(value)).collect()
}

#[test]
fn numbers_that_are_no_bytes_become_f32() {
    let floats = open(&written("floats.npz")).unwrap();
    assert_eq!((floats.shape, floats.value_kind(), floats.train.len()), (Shape::new(1, 5, 4), ValueKind::Floats, 6));
    let sample = Sample::new(Format::Numpy, Shape::new(3, 6, 5), (20, 10), 10);
    let values = |split: &Split| interleaved(split, sample.shape).iter().map(|&x| f64::from(x) / 8.0 - 9.0).collect();
    let parts: [Vec<f64>; 2] = [&sample.train, &sample.test].map(values);
    for descr in ["<f4", ">f4", "<f8", ">f8"] {
        let mut files = arrays(&sample, MEDMNIST);
        for (file, values) in [0, 2].into_iter().zip(&parts) {
            files[file].1 = npy(descr, &[values.len() / 90, 6, 5, 3], &numbers(values, descr));
        }
        let set = sample.open_with("set.npz", &zipped(&files, true)).unwrap();
        let of = |split: &Split| split.images.view().iter().map(|x| 8.0 * (x + 9.0)).collect::<Vec<f64>>();
        let want = |split: &Split| split.images.view().iter().collect::<Vec<f64>>();
        assert_eq!((set.shape, of(&set.train), of(&set.test)), (sample.shape, want(&sample.train), want(&sample.test)));

        // features, one of which is no number
        let features = |count: usize| npy(descr, &[count, 90], &numbers(&parts[0][..90 * count], descr));
        (files[0].1, files[2].1) = (features(20), features(10));
        let set = sample.open_with("set.npz", &zipped(&files, true)).unwrap();
        assert_eq!((set.shape, set.train.images.view().get(91)), (Shape::vector(90), parts[0][91]));
        let bad = if descr.ends_with('8') { 1e60 } else { f64::NAN };
        files[0].1 = npy(descr, &[20, 90], &numbers(&[&parts[0][..1799], &[bad]].concat(), descr));
        let at = 128 + 1799 * if descr.ends_with('8') { 8 } else { 4 };
        let place = format!("train_images.npy: offset {at} (uncompressed): expected a finite number");
        assert_says(sample.open_with("set.npz", &zipped(&files, true)), &[&place]);
        files[0].1 = npy("|u1", &[20, 90], &[1; 1800]);
        assert_says(sample.open_with("set.npz", &zipped(&files, true)), &["test_images.npy", "images of bytes as in"]);
    }
}

#[test]
fn array_defects() {
    let sample = npz_sample(true);
    let whole = arrays(&sample, MEDMNIST);
    let check = |array: usize, bytes: Vec<u8>, fragments: &[&str]| {
        let mut files = whole.clone();
        files[array].1 = bytes;
        let name = format!("set.npz/{}.npy", MEDMNIST[array]);
        assert_says(sample.open_with("set.npz", &zipped(&files, true)), &[&[name.as_str()], fragments].concat());
    };
    let images = sample.train.images.bytes().unwrap();
    check(0, npy("<f2", &[20, 6, 5, 3], &[0; 3600]), &["images of dtype float16; only uint8, float32 or float64"]);
    check(0, npy("|b1", &[20, 6, 5, 3], images), &["dtype bool"]);
    check(0, npy("|O", &[20, 6, 5, 3], images), &["dtype |O"]);
    check(0, npy("|u1", &[20, 6, 5, 3], &images[..7]), &["expected 1793 more bytes of images"]);
    check(0, npy("|u1", &[20, 6, 5, 3], &[images, b"x"].concat()), &["expected the end of the file"]);
    check(0, npy("|u1", &[20, 1 << 40, 1 << 40, 3], images), &["images of shape"]);
    check(0, npy("|u1", &[20, 1 << 20, 5, 3], images), &["bytes of images, found a zip file too small for more than"]);
    check(0, npy("|u1", &[20, 5, 6, 3], images), &[]);
    check(
        0,
        b"\x93NUMPY\x04\0v\0".to_vec(),
        &["offset 0 (uncompressed): expected an array of NumPy", "found version 4"],
    );
    check(0, b"\x93NUMPY\x02\0\xff\xff\xff\x7f".to_vec(), &["a header of at most 10000 bytes, found 2147483647"]);
    check(0, b"something else".to_vec(), &["expected an array of NumPy"]);
    check(0, b"\x93NUMPY\x01\0\x05\0{'a':".to_vec(), &["offset 15 (uncompressed): expected a header of descr"]);
    check(1, npy("<f8", &[20], &[0; 160]), &["labels of dtype float64; only an integer is read"]);
    check(1, npy("|u1", &[20, 14], &[0; 280]), &["labels of shape [20, 14]; they are one number an example"]);
    check(1, npy("|u1", &[19], &[0; 19]), &["expected 20 labels, one for each image of", "found 19"]);
    check(1, npy("|i1", &[20], &[255; 20]), &["expected a label from 0 to 65535, found -1"]);
    check(1, npy(">u4", &[20], &[1; 80]), &["expected a label from 0 to 65535, found 16843009"]);
    check(3, npy("|u1", &[10], &[10; 10]), &["expected labels from 0 to 9 as in", "found 10 at 0"]);

    let three = zipped(&whole[..3], true);
    assert_says(
        sample.open_with("set.npz", &three),
        &["set.npz/test_labels: missing; a set is train_images, train_labels, test_images, test_labels"],
    );
    let mut files = whole.clone();
    files[0].1 = npy("<f2", &[20, 6, 5, 3], &[0; 3600]);
    let halves = sample.open_with("set.npz", &zipped(&files, true)).unwrap_err();
    let Error::Data(DataError::Set(SetError::Arrays(ArrayError::Dtype { dtype, .. }))) = halves else {
        panic!("{halves:?}")
    };
    assert_eq!(dtype, "float16");
    let cut = zipped(&whole, true);
    assert_says(sample.open_with("set.npz", &cut[..cut.len() - 30]), &["set.npz: expected a whole zip file"]);
    sample.write("second.npz", &cut);
    assert_says(sample.open(), &["several data sets", "second.npz", "set.npz"]);
    let other = sample.write("other.npz", &zipped(&[("a.npy".to_owned(), npy("|u1", &[3], b"abc"))], true));
    assert_says(open(&other), &["other.npz/train_images: missing"]);
}

#[test]
fn a_test_part_alone_is_enough_where_it_is_asked_for() {
    let sample = npz_sample(true);
    let path = sample.write("set.npz", &zipped(&arrays(&sample, MEDMNIST)[2..], true));
    assert_says(open(&path), &["train_images: missing"]);
    let options = ReadOptions { is_test_enough: true, ..ReadOptions::default() };
    let set = Dataset::open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!((set.train.len(), &set.test), (0, &sample.test));
}
