//! Small valid sets of every format, and what reading them should give.

use crate::*;

pub fn random_bytes(rng: &mut impl Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// `classes` labels in turn, so that each appears.
pub fn random_split(rng: &mut impl Rng, count: usize, shape: Shape, classes: u32) -> Split {
    Split {
        images: random_bytes(rng, count * shape.len()).into(),
        labels: (0..count as u32).map(|i| i % classes).collect(),
    }
}

/// A small valid set on disk with what must be read from it.
pub struct Sample {
    pub dir: TempDir,
    pub format: Format,
    pub shape: Shape,
    pub train: Split,
    pub test: Split,
}

impl Sample {
    pub fn new(format: Format, shape: Shape, counts: (usize, usize), classes: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let train = random_split(&mut rng, counts.0, shape, classes);
        let test = random_split(&mut rng, counts.1, shape, classes);
        Self { dir: tempfile::tempdir().unwrap(), format, shape, train, test }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn open(&self) -> Result<Dataset> {
        open(self.dir.path())
    }

    /// Opens the set with `bytes` in place of the file `name`, and puts that file back.
    pub fn open_with(&self, name: &str, bytes: &[u8]) -> Result<Dataset> {
        let original = fs::read(self.path(name)).ok();
        self.write(name, bytes);
        let result = self.open();
        match original {
            Some(original) => fs::write(self.path(name), original).unwrap(),
            None => fs::remove_file(self.path(name)).unwrap(),
        }
        result
    }

    #[track_caller]
    pub fn assert_reads_back(&self) {
        let set = self.open().unwrap();
        assert_eq!((set.format, set.shape), (self.format, self.shape));
        assert_eq!((&set.train, &set.test), (&self.train, &self.test));
        let folder = self.dir.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(set.name, if self.path("set.npz").exists() { "set" } else { folder });
        assert_eq!(set.sha256.len(), 64);
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_with(bytes, Compression::fast())
}

pub fn gzip_with(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), compression);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub const IDX_SHAPE: Shape = Shape::new(1, 6, 5);

pub fn idx_sample(gzipped: bool) -> Sample {
    let sample = Sample::new(Format::Idx, IDX_SHAPE, (20, 10), 10);
    for (part, split) in [("train", &sample.train), ("t10k", &sample.test)] {
        for (kind, bytes) in [("images-idx3", idx_images(split, IDX_SHAPE)), ("labels-idx1", idx_labels(split, 0))] {
            if gzipped {
                sample.write(&format!("{part}-{kind}-ubyte.gz"), &gzip(&bytes));
            } else {
                sample.write(&format!("{part}-{kind}-ubyte"), &bytes);
            }
        }
    }
    sample
}

pub fn cifar_records(split: &Split, fine: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (image, &label) in split.images.bytes().unwrap().chunks_exact(3072).zip(&split.labels) {
        if fine {
            bytes.push(label as u8 / 5);
        }
        bytes.push(label as u8);
        bytes.extend(image);
    }
    bytes
}

pub fn cifar_10_sample() -> Sample {
    let sample = Sample::new(Format::Cifar10, Shape::new(3, 32, 32), (10, 3), 10);
    let records = cifar_records(&sample.train, false);
    for (batch, bytes) in (1..).zip(records.chunks(2 * 3073)) {
        sample.write(&format!("data_batch_{batch}.bin"), bytes);
    }
    sample.write("test_batch.bin", &cifar_records(&sample.test, false));
    sample
}

pub fn cifar_100_sample() -> Sample {
    let sample = Sample::new(Format::Cifar100, Shape::new(3, 32, 32), (7, 3), 100);
    sample.write("train.bin", &cifar_records(&sample.train, true));
    sample.write("test.bin", &cifar_records(&sample.test, true));
    sample
}

pub fn encode(planes: &[u8], shape: Shape, format: ImageFormat) -> Vec<u8> {
    let (width, height) = (shape.width as u32, shape.height as u32);
    let interleaved =
        (0..shape.pixels()).flat_map(|i| planes.iter().skip(i).step_by(shape.pixels()).copied()).collect();
    let picture = match shape.channels {
        1 => DynamicImage::from(GrayImage::from_raw(width, height, interleaved).unwrap()),
        _ => DynamicImage::from(RgbImage::from_raw(width, height, interleaved).unwrap()),
    };
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// An image folder; extensions that take each other's place are used in turn.
pub fn image_sample(shape: Shape, extensions: &[&str]) -> Sample {
    let mut sample = Sample::new(Format::ImageFolder, shape, (12, 6), 3);
    for split in [&mut sample.train, &mut sample.test] {
        // Files are read class by class.
        split.labels.sort_unstable();
    }
    for (part, split) in [("train", &sample.train), ("test", &sample.test)] {
        for (i, (image, label)) in
            split.images.bytes().unwrap().chunks_exact(shape.len()).zip(&split.labels).enumerate()
        {
            let extension = extensions[i % extensions.len()];
            let format = ImageFormat::from_extension(extension).unwrap();
            sample.write(&format!("{part}/class {label}/{i:02}.{extension}"), &encode(image, shape, format));
        }
    }
    sample
}

pub const GREY: Shape = Shape::new(1, 9, 7);
pub const COLOUR: Shape = Shape::new(3, 9, 7);
