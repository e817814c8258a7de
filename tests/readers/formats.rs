//! What each reader accepts, and what it says of each defect.

use crate::*;

#[test]
fn every_reader_returns_what_was_written() {
    for sample in [
        idx_sample(false),
        idx_sample(true),
        cifar_10_sample(),
        cifar_100_sample(),
        image_sample(GREY, &["png", "pgm"]),
        image_sample(COLOUR, &["png", "bmp", "ppm"]),
        image_sample(GREY, &["tiff", "png", "tif"]),
        image_sample(COLOUR, &["webp", "tiff"]),
    ] {
        sample.assert_reads_back();
    }
}

#[test]
fn the_hash_ignores_compression_and_file_names() {
    let plain = idx_sample(false);
    let hash = plain.open().unwrap().sha256;
    assert_eq!(idx_sample(true).open().unwrap().sha256, hash);
    let dotted = idx_sample(false);
    fs::rename(dotted.path("train-images-idx3-ubyte"), dotted.path("train-images.idx3-ubyte")).unwrap();
    assert_eq!(dotted.open().unwrap().sha256, hash);

    let other = plain.open_with("train-labels-idx1-ubyte", &{
        let mut labels = plain.train.clone();
        labels.labels.swap(0, 1);
        idx_labels(&labels, 0)
    });
    assert_ne!(other.unwrap().sha256, hash);
}

#[test]
fn digits_are_built_in() {
    let set = Dataset::digits().unwrap();
    assert_eq!((set.name.as_str(), set.format.to_string().as_str()), ("digits", "IDX"));
    assert_eq!((set.shape, set.train.len(), set.test.len()), (Shape::new(1, 8, 8), 1437, 360));
    assert_eq!(set.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(set.train.images.bytes().unwrap().iter().max(), Some(&16));
    // Run folders record this; a change here would make them disagree with their data.
    assert_eq!(set.sha256, "aa1e3f77fca08906c613b4653af55eecddd925d86a6fa32010df5390882d5299");
}

#[test]
fn idx_variants() {
    let sample = idx_sample(true);
    // A plain file is taken before a gzipped one, and content counts for more than the name.
    sample.write("t10k-images-idx3-ubyte.gz", &idx_images(&sample.test, IDX_SHAPE));
    sample.write("train-labels-idx1-ubyte.gz", b"never read");
    sample.write("train-labels-idx1-ubyte", &gzip(&idx_labels(&sample.train, 0)));
    sample.assert_reads_back();

    // Images with channels.
    let mut sample = Sample::new(Format::Idx, Shape::new(3, 4, 5), (20, 10), 10);
    sample.shape = Shape::new(3, 4, 5);
    for (part, split) in [("train", &sample.train), ("test", &sample.test)] {
        let mut images = vec![0, 0, 8, 4];
        for dimension in [split.len() as u32, 3, 4, 5] {
            images.extend(dimension.to_be_bytes());
        }
        images.extend(split.images.bytes().unwrap());
        sample.write(&format!("{part}-images-idx4-ubyte"), &images);
        sample.write(&format!("{part}-labels-idx1-ubyte"), &idx_labels(split, 0));
    }
    sample.assert_reads_back();
}

#[test]
fn emnist_is_chosen_by_prefix_and_turned_upright() {
    let sample = Sample::new(Format::Idx, Shape::new(1, 2, 3), (6, 3), 3);
    for (set, first) in [("balanced", 0), ("letters", 1)] {
        for (part, split) in [("train", &sample.train), ("test", &sample.test)] {
            let images = gzip(&idx_images(split, sample.shape));
            sample.write(&format!("emnist-{set}-{part}-images-idx3-ubyte.gz"), &images);
            sample.write(&format!("emnist-{set}-{part}-labels-idx1-ubyte.gz"), &gzip(&idx_labels(split, first)));
        }
    }
    assert_says(sample.open(), &["several data sets", "/emnist-balanced, ", "/emnist-letters"]);
    assert_says(open(&sample.path("emnist-digits")), &["does not exist", "emnist-balanced", "emnist-letters"]);

    let set = open(&sample.path("emnist-letters")).unwrap();
    assert_eq!((set.name.as_str(), set.shape), ("emnist-letters", Shape::new(1, 3, 2)));
    assert_eq!(set.classes, ["1", "2", "3"], "classes keep their labels as names");
    assert_eq!(set.train.labels, sample.train.labels, "but are counted from 0");
    let [a, b, c, d, e, f] = sample.train.images.bytes().unwrap()[..6] else { unreachable!() };
    assert_eq!(set.train.images.bytes().unwrap()[..6], [a, d, b, e, c, f]);
    assert_eq!(open(&sample.path("emnist-balanced-")).unwrap().classes, ["0", "1", "2"]);
}

#[test]
fn qmnist_has_several_numbers_an_image_of_which_the_first_is_the_class() {
    let sample = Sample::new(Format::Idx, IDX_SHAPE, (20, 10), 10);
    let labels = |split: &Split, columns: u32| {
        let mut bytes = vec![0, 0, 12, 2];
        bytes.extend([split.len() as u32, columns].map(u32::to_be_bytes).concat());
        for label in &split.labels {
            bytes.extend(label.to_be_bytes());
            bytes.extend((1..columns).flat_map(|_| 0xffff_ff07_u32.to_be_bytes()));
        }
        bytes
    };
    for (part, split) in [("train", &sample.train), ("test", &sample.test)] {
        sample.write(&format!("qmnist-{part}-images-idx3-ubyte.gz"), &gzip(&idx_images(split, IDX_SHAPE)));
        sample.write(&format!("qmnist-{part}-labels-idx2-int.gz"), &gzip(&labels(split, 8)));
    }
    let set = sample.open().unwrap();
    assert_eq!((set.name.as_str(), &set.train, &set.test), ("qmnist", &sample.train, &sample.test));
    assert_eq!(set.sha256, idx_sample(false).open().unwrap().sha256);
    let name = "qmnist-test-labels-idx2-int";
    let whole = labels(&sample.test, 8);
    let cut = sample.open_with(name, &whole[..331]);
    assert_says(cut, &[name, "offset 12: expected 320 bytes of labels, found only 319"]);
    assert_says(sample.open_with(name, &labels(&sample.test, 0)), &[name, "a positive number of columns"]);
    let mut negative = whole.clone();
    negative[44..48].fill(255);
    assert_says(sample.open_with(name, &negative), &[name, "offset 44: expected a label from 0 to 65535, found -1"]);
    negative[44..48].copy_from_slice(&10_u32.to_be_bytes());
    assert_says(sample.open_with(name, &negative), &[name, "offset 44: expected a label from 0 to 9"]);
    fs::remove_file(sample.path("qmnist-train-labels-idx2-int.gz")).unwrap();
    assert_says(sample.open(), &["qmnist-train-labels-idx2-int: missing"]);
}

#[test]
fn idx_defects() {
    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "t10k-labels-idx1-ubyte";
    let sample = idx_sample(false);
    let images = idx_images(&sample.train, IDX_SHAPE);
    let labels = idx_labels(&sample.test, 0);
    let patched = |bytes: &[u8], offset: usize, patch: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        bytes
    };
    let check = |name: &str, bytes: &[u8], fragments: &[&str]| {
        assert_says(sample.open_with(name, bytes), &[&[name], fragments].concat());
    };

    check(IMAGES, &[], &["offset 0: expected 4 more bytes of the IDX header, found the end of the file"]);
    check(IMAGES, &images[..10], &["offset 10: expected 2 more bytes of image height"]);
    check(IMAGES, &images[..100], &["offset 16: expected 600 bytes of images, found only 84"]);
    check(IMAGES, &[&images[..], b"x"].concat(), &["offset 616: expected the end of the file, found more"]);
    check(IMAGES, &labels, &["offset 0: expected 00 00 08 03 (IDX images), found 00 00 08 01 (IDX labels)"]);
    check(IMAGES, &patched(&images, 2, &[13]), &["found 00 00 0d 03 (IDX of another element type)"]);
    check(IMAGES, b"\x89PNG\r\n\x1a\n", &["found 89 50 4e 47 (not IDX)"]);
    check(IMAGES, &patched(&images, 4, &[0; 4]), &["offset 4: expected a positive image count, found 0"]);
    check(IMAGES, &patched(&images, 12, &[0; 4]), &["offset 12: expected a positive image width, found 0"]);
    check(IMAGES, &patched(&images, 4, &[255; 12]), &["offset 4: expected dimensions", "4294967295×1×4294967295"]);
    let turned = [5_u32.to_be_bytes(), 6_u32.to_be_bytes()].concat();
    check(IMAGES, &patched(&images, 8, &turned), &["expected images of 1×5×6 as in", "t10k-images", "found 1×6×5"]);
    check(LABELS, &images, &["offset 0: expected 00 00 08 01 (IDX labels), found 00 00 08 03 (IDX images)"]);
    check(LABELS, &labels[..17], &["offset 8: expected 10 bytes of labels, found only 9"]);
    check(LABELS, &patched(&labels, 7, &[9]), &["offset 4: expected 10 labels", "t10k-images", "found 9"]);
    check(LABELS, &patched(&labels, 12, &[10]), &["offset 12: expected a label from 0 to 9", "found 10"]);

    fs::remove_file(sample.path(LABELS)).unwrap();
    assert_says(sample.open(), &[LABELS, "missing, and no .gz of it"]);
    fs::create_dir(sample.path(LABELS)).unwrap();
    assert_says(sample.open(), &[LABELS, "expected a regular file"]);
}

#[test]
fn gzip_defects() {
    const NAME: &str = "train-images-idx3-ubyte.gz";
    let sample = idx_sample(true);
    let plain = idx_images(&sample.train, IDX_SHAPE);
    let packed = gzip(&plain);
    let check = |bytes: &[u8], fragments: &[&str]| {
        let (result, peak) = with_peak(|| sample.open_with(NAME, bytes));
        assert_says(result, &[&[NAME], fragments].concat());
        assert!(peak < 1 << 20, "{peak} bytes");
    };

    check(&packed[..packed.len() / 2], &["(uncompressed)", "found gzip data that is cut short"]);
    check(&packed[..packed.len() - 4], &["offset 616 (uncompressed)", "damaged gzip data or bytes after it"]);
    check(&[&packed[..], b"garbage"].concat(), &["offset 616 (uncompressed)", "damaged gzip data"]);
    let mut checksum = packed.clone();
    checksum[packed.len() - 8] ^= 1;
    check(&checksum, &["offset 616 (uncompressed)", "damaged gzip data"]);
    check(&gzip(&packed), &["(gzip in gzip)"]);

    // More content than announced: nobody waits for its end.
    let bomb = [&plain[..], &vec![0; 50 << 20]].concat();
    let bomb = gzip(&bomb);
    check(&bomb, &["offset 616 (uncompressed): expected the end of the file, found more bytes"]);
    // More announced than deflate can pack into the file.
    let mut announced = plain.clone();
    announced[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    check(&gzip(&announced), &["expected 128849018850 bytes of images, found a gzip file too small for more"]);
}

#[test]
fn cifar_variants_and_defects() {
    let sample = cifar_10_sample();
    let bytes = fs::read(sample.path("data_batch_3.bin")).unwrap();
    let check = |name: &str, bytes: &[u8], fragments: &[&str]| {
        assert_says(sample.open_with(name, bytes), &[&[name], fragments].concat());
    };
    check("data_batch_3.bin", &[], &["offset 0: expected a whole record of 3073 bytes, found 0 bytes"]);
    check("data_batch_3.bin", &bytes[..4000], &["offset 3073: expected a whole record", "found 927 bytes"]);
    check("test_batch.bin", &[&bytes[..], b"x"].concat(), &["offset 6146: expected a whole record", "found 1 bytes"]);
    let mut mislabelled = bytes.clone();
    mislabelled[3073] = 10;
    check("data_batch_3.bin", &mislabelled, &["offset 3073: expected a label from 0 to 9, found 10"]);
    check("batches.meta.txt", b"one\ntwo\n", &["expected 10 lines of class names, found 2 lines"]);
    check("batches.meta.txt", b"one\ntwo\nthr\xff\xff\n", &["offset 11", "not UTF-8"]);
    check("batches.meta.txt", &[b'\n'; 70_000], &["found a file of 70000 bytes"]);

    assert_eq!(sample.open().unwrap().classes[9], "9", "without names, the labels");
    let names = b"plane\ncar\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    assert_eq!(sample.open_with("batches.meta.txt", names).unwrap().classes[9], "truck");

    let parent = tempfile::tempdir().unwrap();
    fs::rename(sample.dir.path(), parent.path().join("cifar-10-batches-bin")).unwrap();
    assert_eq!(open(parent.path()).unwrap().train, sample.train);
    fs::remove_file(parent.path().join("cifar-10-batches-bin/data_batch_4.bin")).unwrap();
    assert_says(open(parent.path()), &["data_batch_4.bin: missing; CIFAR-10 binary consists of data_batch_1.bin"]);

    let sample = cifar_100_sample();
    let mut bytes = fs::read(sample.path("train.bin")).unwrap();
    assert_eq!(sample.open().unwrap().classes.len(), 100);
    bytes[3075] = 100;
    let fragments = ["train.bin", "offset 3075: expected a fine label from 0 to 99, found 100"];
    assert_says(sample.open_with("train.bin", &bytes), &fragments);
    bytes[3074] = 20;
    let fragments = ["train.bin", "offset 3074: expected a coarse label from 0 to 19, found 20"];
    assert_says(sample.open_with("train.bin", &bytes), &fragments);
}

#[test]
fn image_folder_variants() {
    let sample = image_sample(GREY, &["png"]);
    fs::rename(sample.path("test"), sample.path("valid")).unwrap();
    sample.write("train/class 0/notes.txt", b"passed over");
    sample.write("train/.hidden/x.png", b"passed over");
    sample.assert_reads_back();

    // One colour image, in either part, turns all into RGB.
    let pixel = [1, 2, 3].map(|value| [value; 63]).concat();
    let set = sample.open_with("valid/class 2/zz.png", &encode(&pixel, COLOUR, ImageFormat::Png)).unwrap();
    assert_eq!(set.shape, COLOUR);
    let expected: Vec<u8> = sample.train.images.bytes().unwrap().chunks(63).flat_map(|plane| plane.repeat(3)).collect();
    assert_eq!(set.train.images, expected.into());
    assert!(set.test.images.bytes().unwrap().ends_with(&pixel));

    // Sizes may differ if all are resampled.
    let large = encode(&[200; 400], Shape::new(1, 20, 20), ImageFormat::Png);
    assert_says(sample.open_with("train/class 1/zz.png", &large), &["zz.png: 20x20", "00.png has 9x7"]);
    sample.write("train/class 1/zz.png", &large);
    let path = sample.dir.path().to_str().unwrap();
    let set = Dataset::open(path, &ReadOptions { resize: Some((3, 2)), ..ReadOptions::default() }).unwrap();
    assert_eq!((set.shape, set.train.len(), set.train.images.len()), (Shape::new(1, 3, 2), 13, 13 * 6));
    assert_eq!(set.train.images.bytes().unwrap()[8 * 6..9 * 6], [200; 6]);

    // Lossy formats: a flat image stays what it was.
    for extension in ["jpg", "jpeg", "gif", "JPG"] {
        let format = ImageFormat::from_extension(extension).unwrap();
        let sample = image_sample(COLOUR, &["png"]);
        let name = format!("test/class 2/zz.{extension}");
        let set = sample.open_with(&name, &encode(&[128; 189], COLOUR, format)).unwrap();
        let last = set.test.images.bytes().unwrap().last_chunk::<189>().unwrap();
        assert!(last.iter().all(|pixel| pixel.abs_diff(128) <= 2), "{extension}: {last:?}");
    }
}

#[test]
fn image_folder_defects() {
    let sample = image_sample(GREY, &["png"]);
    let whole = fs::read(sample.path("train/class 0/00.png")).unwrap();
    let check = |name: &str, bytes: &[u8], fragments: &[&str]| {
        assert_says(sample.open_with(name, bytes), &[&[name], fragments].concat());
    };
    check("train/class 0/00.png", &[], &["expected a whole image"]);
    check("train/class 0/00.png", &whole[..whole.len() - 20], &["expected a whole image"]);
    check("train/class 0/00.png", b"text", &["expected a whole image"]);
    check("train/class 0/00.heic", &whole, &["this format is not read"]);
    check("train/class 0/00.avif", &whole, &["this format is not read"]);
    let jpeg = encode(&[9; 189], COLOUR, ImageFormat::Jpeg);
    check("train/class 0/x.jpg", &jpeg[..jpeg.len() - 2], &["before its end marker"]);
    let liar = b"P5 60000 60000 255\n............";
    check("train/class 0/x.pgm", liar, &["announces 60000x60000 pixels", "a file of 31 bytes"]);
    fs::create_dir(sample.path("train/empty")).unwrap();
    assert_says(sample.open(), &["train/empty: holds no images"]);
    fs::remove_dir(sample.path("train/empty")).unwrap();
    fs::create_dir(sample.path("test/class 9")).unwrap();
    assert_says(sample.open(), &["train/class 9: missing, while there is", "test/class 9"]);
    fs::create_dir(sample.path("train/class 9")).unwrap();
    assert_says(sample.open(), &["train/class 9: holds no images"]);
    fs::remove_dir_all(sample.path("test")).unwrap();
    assert_says(sample.open(), &["has train/ but no test/, val/ or valid/"]);
    fs::create_dir(sample.path("test")).unwrap();
    fs::remove_dir_all(sample.path("train")).unwrap();
    fs::create_dir(sample.path("train")).unwrap();
    assert_says(sample.open(), &["train: holds no class folders"]);
}

/// The cause that a caller matches on, and what it came from.
#[test]
fn faults_are_typed() {
    use std::error::Error as _;
    let cause = |result: Result<Dataset>| match result.unwrap_err() {
        Error::Data(DataError::Set(cause)) => cause,
        other => panic!("{other:?}"),
    };
    let sample = idx_sample(true);
    let name = "train-images-idx3-ubyte.gz";
    let packed = gzip(&idx_images(&sample.train, IDX_SHAPE));
    let cut = cause(sample.open_with(name, &packed[..packed.len() - 4]));
    assert!(cut.source().is_some_and(|source| source.is::<std::io::Error>()), "{cut:?}");
    let SetError::Unexpected { at, .. } = cut else { panic!("{cut:?}") };
    assert_eq!((at.file, at.offset, at.is_compressed), (sample.path(name), 616, true));
    let cut = cause(sample.open_with(name, &gzip(&idx_images(&sample.train, IDX_SHAPE)[..100])));
    let SetError::Unexpected { at, expected, found, source: None } = cut else { panic!("{cut:?}") };
    assert_eq!((at.offset, expected.as_str()), (100, "516 more bytes of images"));
    assert_eq!(found, "the end of the file");

    let sample = image_sample(GREY, &["png"]);
    let broken = cause(sample.open_with("train/class 0/00.png", b"text"));
    assert!(broken.source().is_some_and(|source| source.is::<image::ImageError>()), "{broken:?}");
    let SetError::Images(ImagesError::Undecoded { path, .. }) = broken else { panic!("{broken:?}") };
    assert_eq!(path, sample.path("train/class 0/00.png"));
    let large = encode(&[200; 400], Shape::new(1, 20, 20), ImageFormat::Png);
    let other = cause(sample.open_with("train/class 1/zz.png", &large));
    let SetError::Images(ImagesError::Size { size, other_size, .. }) = other else { panic!("{other:?}") };
    assert_eq!((size, other_size), ((20, 20), (9, 7)));

    let nothing = cause(open(&sample.path("nowhere")));
    assert!(matches!(nothing, SetError::Unrecognised { found: Instead::Nothing, .. }), "{nothing:?}");
}

#[test]
fn what_is_not_a_data_set() {
    let layouts = ["IDX (", "CIFAR-10 and CIFAR-100, binary (", "NumPy", "image folder (", "digits"];
    let check = |path: &Path, fragment: &str| assert_says(open(path), &[&layouts[..], &[fragment]].concat());
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), "is empty: ");
    check(&dir.path().join("nowhere"), "nowhere: does not exist");
    check(&dir.path().join("no/where"), "where: does not exist");
    check(Path::new(""), "does not exist");
    let file = dir.path().join("notes.txt");
    fs::write(&file, "text").unwrap();
    check(&file, "notes.txt: is neither a folder nor a file that is read");
    check(&file.join("below"), "below: does not exist");
    check(dir.path(), "holds no data set");
    fs::create_dir(dir.path().join("cats")).unwrap();
    fs::write(dir.path().join("cats/a.jpeg"), "").unwrap();
    check(dir.path(), "holds folders of images but no train/ and test/: ");

    let sample = cifar_100_sample();
    sample.write("train-images-idx3-ubyte", b"");
    assert_says(sample.open(), &["several data sets: the IDX set without a prefix, "]);

    for resize in [(0, 8), (8, 0), (4097, 8), (8, u32::MAX)] {
        let result = Dataset::open("digits", &ReadOptions { resize: Some(resize), ..ReadOptions::default() });
        assert!(matches!(result, Err(Error::Usage(_))), "{resize:?}");
    }
}

/// For an evaluation.
#[test]
fn a_test_part_alone_is_read_where_it_is_enough() {
    let enough = ReadOptions { is_test_enough: true, ..ReadOptions::default() };
    let alone = |sample: &Sample, train: &[&str]| {
        train.iter().for_each(|name| fs::remove_file(sample.path(name)).unwrap());
        assert_says(sample.open(), &["missing"]);
        let set = Dataset::open(sample.dir.path().to_str().unwrap(), &enough).unwrap();
        assert!(set.train.is_empty());
        assert_eq!(set.test, sample.test);
        set.classes.len()
    };
    assert_eq!(alone(&idx_sample(false), &["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]), 10);
    let batches = [1, 2, 3, 4, 5].map(|batch| format!("data_batch_{batch}.bin"));
    assert_eq!(alone(&cifar_10_sample(), &batches.each_ref().map(String::as_str)), 10);
    assert_eq!(alone(&cifar_100_sample(), &["train.bin"]), 100);

    let sample = image_sample(GREY, &["png"]);
    fs::remove_dir_all(sample.path("train")).unwrap();
    assert_says(sample.open(), &["holds no data set"]);
    let set = Dataset::open(sample.dir.path().to_str().unwrap(), &enough).unwrap();
    assert_eq!((set.train.len(), set.test), (0, sample.test));
}
