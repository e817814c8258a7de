//! Random damage and memory: no panic, one line, no allocation that follows a number in a file; then the published
//! sets.

use crate::*;

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Cuts the file short or flips up to four bits, half of them in its first 32 bytes.
fn damage(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    if rng.random_bool(0.3) {
        damaged.truncate(rng.random_range(0..bytes.len()));
    } else {
        for _ in 0..rng.random_range(1..=4) {
            let end = if rng.random_bool(0.5) { bytes.len().min(32) } else { bytes.len() };
            damaged[rng.random_range(0..end)] ^= 1 << rng.random_range(0..8);
        }
    }
    damaged
}

/// Damages one file after another and returns how many damaged sets were refused.
fn damage_many_times(sample: &Sample, seed: u64) -> usize {
    const TIMES: usize = 1000;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let files = files_below(sample.dir.path());
    let uncompressed = sample.train.images.len() + sample.test.images.len();
    let mut refused = 0;
    for time in 0..TIMES {
        let path = &files[rng.random_range(0..files.len())];
        let whole = fs::read(path).unwrap();
        fs::write(path, damage(&whole, &mut rng)).unwrap();
        let (result, peak) = with_peak(|| sample.open());
        assert!(peak <= most_allowed(uncompressed), "{peak} bytes at {time} with {}", path.display());
        match result {
            Ok(set) => {
                for split in [&set.train, &set.test] {
                    assert!(!split.is_empty());
                    assert_eq!(split.images.len(), split.len() * set.shape.len());
                    assert!(split.labels.iter().all(|&label| (label as usize) < set.classes.len()));
                }
            }
            Err(_) => {
                refused += 1;
                let name = path.file_name().unwrap().to_str().unwrap();
                assert_says(result, &[name]);
            }
        }
        fs::write(path, whole).unwrap();
    }
    sample.assert_reads_back();
    refused
}

#[test]
fn damaged_idx_files() {
    // What is not refused are flips in pixels, in labels that stay in range, and in gzip's time stamp.
    assert!(damage_many_times(&idx_sample(false), 1) > 600);
    assert!(damage_many_times(&idx_sample(true), 2) > 800);
}

#[test]
fn damaged_cifar_files() {
    assert!(damage_many_times(&cifar_10_sample(), 3) > 200);
    assert!(damage_many_times(&cifar_100_sample(), 4) > 200);
}

#[test]
fn damaged_files_of_arrays() {
    assert!(damage_many_times(&arrays::npz_sample(true), 11) > 600);
    assert!(damage_many_times(&arrays::npz_sample(false), 12) > 600);
    assert!(damage_many_times(&arrays::npy_sample(), 13) > 400);
    assert!(damage_many_times(&pickles::python_10_sample(), 14) > 300);
}

#[test]
fn damaged_image_files() {
    assert!(damage_many_times(&image_sample(GREY, &["png"]), 5) > 900);
    assert!(damage_many_times(&image_sample(COLOUR, &["bmp", "ppm", "png"]), 6) > 400);
}

#[test]
fn damaged_jpeg_and_gif_files() {
    let sample = image_sample(COLOUR, &["png"]);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for extension in ["jpg", "gif"] {
        let format = ImageFormat::from_extension(extension).unwrap();
        let whole = encode(&sample.train.images.bytes().unwrap()[..189], COLOUR, format);
        for _ in 0..1000 {
            let name = format!("train/class 0/zz.{extension}");
            let (result, peak) = with_peak(|| sample.open_with(&name, &damage(&whole, &mut rng)));
            assert!(peak <= most_allowed(sample.train.images.len()), "{peak} bytes");
            if result.is_err() {
                assert_says(result, &[&name]);
            }
        }
    }
}

/// Whole headers of WebP ask for much, as a flat picture takes next to nothing: the bound is that of a picture.
#[test]
fn damaged_webp_and_tiff_files() {
    let sample = image_sample(COLOUR, &["png"]);
    let options = ReadOptions { most_of_picture: Some(2 << 20), ..ReadOptions::default() };
    let image = encode(&sample.train.images.bytes().unwrap()[..189], COLOUR, ImageFormat::WebP);
    let tiff = encode(&sample.train.images.bytes().unwrap()[..189], COLOUR, ImageFormat::Tiff);
    let lossy = [&include_bytes!("../common/lossy-alpha.webp")[..], include_bytes!("../common/animation.webp")];
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for whole in [&image[..], &tiff, lossy[0], lossy[1], include_bytes!("../common/fax.tif")] {
        let mut refused = 0;
        for _ in 0..1000 {
            let path = sample.write("x.webp", &damage(whole, &mut rng));
            let (result, peak) = with_peak(|| Picture::open_within(&path, 2 << 20));
            assert!(peak <= most_allowed(2 << 20), "{peak} bytes");
            if let Err(error) = result {
                refused += 1;
                assert!(matches!(error, Error::Data(_)) && error.to_string().lines().count() == 1, "{error:?}");
                assert!(error.to_string().contains("x.webp"), "{error}");
            }
        }
        assert!(refused > 300, "{refused}");
    }
    let name = "train/class 0/zz.tiff";
    sample.write(name, &tiff[..100]);
    let path = sample.dir.path().to_str().unwrap();
    assert_says(Dataset::open(path, &options), &[name, "expected a whole image"]);
    let left_out = Dataset::open(path, &ReadOptions { skip_damaged: true, ..options }).unwrap();
    assert_eq!(left_out.train, sample.train);
}

#[test]
fn the_memory_of_a_picture_is_three_times_its_pixels_at_most() {
    let shape = Shape::new(3, 1024, 1024);
    let planes = random_bytes(&mut ChaCha8Rng::seed_from_u64(10), shape.len());
    let folder = tempfile::tempdir().unwrap();
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let bytes = encode(&planes, shape, format);
        let path = folder.path().join("x");
        fs::write(&path, &bytes).unwrap();
        let (picture, peak) = with_peak(|| Picture::open(&path).unwrap());
        assert_eq!(picture.size(), (1024, 1024));
        assert!(peak <= bytes.len() + 3 * shape.len(), "{format:?}: {peak} bytes");
    }
}

/// With large files and sharper bounds, so that the 16 MiB do not hide what follows a file's size.
#[test]
fn memory_follows_the_size_of_the_files() {
    let shape = Shape::new(1, 512, 512);
    let sample = Sample::new(Format::Idx, shape, (10, 60), 10);
    let uncompressed = sample.train.images.len() + sample.test.images.len();
    for (part, split) in [("train", &sample.train), ("t10k", &sample.test)] {
        sample.write(&format!("{part}-images-idx3-ubyte"), &idx_images(split, shape));
        sample.write(&format!("{part}-labels-idx1-ubyte"), &idx_labels(split, 0));
    }
    let (set, peak) = with_peak(|| sample.open().unwrap());
    assert_eq!(set.test, sample.test);
    assert!(peak <= uncompressed + (1 << 20), "plain files are read in place: {peak} bytes");

    // The test images, gzipped and cut short at several places, so that the header promises more than
    // is there. They are stored, not compressed, so the length is also the uncompressed one.
    let name = "t10k-images-idx3-ubyte";
    fs::remove_file(sample.path(name)).unwrap();
    let packed = gzip_with(&idx_images(&sample.test, shape), Compression::none());
    for quarters in 1..=4 {
        let length = packed.len() * quarters / 4;
        let (result, peak) = with_peak(|| sample.open_with(&format!("{name}.gz"), &packed[..length]));
        assert!(peak <= sample.train.images.len() + 2 * length + (1 << 20), "{peak} bytes for {length}");
        assert_eq!(result.is_ok(), length == packed.len());
    }
}

/// The published sets, unpacked below the folder that the environment variable GPU_SUBSET_DATA names.
#[test]
fn published_sets() {
    for (name, format, shape, counts, classes) in [
        ("mnist", "IDX", Shape::new(1, 28, 28), (60_000, 10_000), 10),
        ("cifar-10", "CIFAR-10 binary", Shape::new(3, 32, 32), (50_000, 10_000), 10),
        ("cifar-100", "CIFAR-100 binary", Shape::new(3, 32, 32), (50_000, 10_000), 100),
    ] {
        let Some(path) = data(name) else { continue };
        let (set, peak) = with_peak(|| open(&path).unwrap());
        assert_eq!((set.name.as_str(), set.format.to_string().as_str(), set.shape), (name, format, shape));
        assert_eq!((set.train.len(), set.test.len(), set.classes.len()), (counts.0, counts.1, classes));
        let size = set.train.images.len() + set.test.images.len();
        assert!(peak <= size + (1 << 20), "{name}: {peak} bytes");
        for class in 0..classes as u32 {
            let examples = set.train.labels.iter().filter(|&&label| label == class).count();
            assert!(examples >= counts.0 / classes * 9 / 10, "{name}: {examples} of class {class}");
        }
        println!("{name}: {} {:?} {:?}", set.sha256, set.classes, set.channel_statistics());
    }
}
