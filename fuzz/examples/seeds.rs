//! Writes inputs to start from: `seeds FOLDER` makes FOLDER/TARGET/… for each target, small valid files of every kind.

use flate2::{Compression, write::GzEncoder};
use gpu_subset::checkpoint::{self, Provenance};
use gpu_subset::data::Dataset;
use gpu_subset::export::Signature;
use gpu_subset::model::{Description, Model};
use gpu_subset::optimise::{GaussNewtonSettings, KfacSettings, LbfgsSettings, Method, NcgSettings};
use gpu_subset::run::{Run, Schedule, Weights};
use gpu_subset::subset::{Progress, ProgressScalars, ProgressVectors};
use image::{DynamicImage, ImageFormat};
use std::error::Error;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Fallible {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: seeds FOLDER")?);
    idx(&folder.join("idx"))?;
    cifar(&folder.join("cifar"))?;
    numpy(&folder.join("numpy"))?;
    pickles(&folder.join("pickle"))?;
    archives(&folder.join("archive"))?;
    let rows = b"path,label,split\na.pgm,0,train\nb.pgm,1,train\na.pgm,0,test\nb.pgm,1,val\n";
    write(&folder.join("table"), "split", rows)?;
    images(&folder.join("images"))?;
    models(&folder.join("model"))?;
    write(&folder.join("classes"), "each", b"0 = 1\n1 = 2.5\n\"a cat\" = 4e-3\n")?;
    configs(&folder.join("config"))?;
    experiments(&folder.join("experiment"))?;
    weights(&folder.join("weights"))?;
    onnx(&folder.join("onnx"))?;
    checkpoints(&folder.join("checkpoint"))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Fallible {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(folder.join(name), bytes)?)
}

fn joined(files: &[&[u8]]) -> Vec<u8> {
    files.join(&b"\n--file--\n"[..])
}

fn gzipped(bytes: &[u8]) -> Fallible<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Three images of 1×2×2, and of 3×2×2, plain and gzipped.
fn idx(folder: &Path) -> Fallible {
    let labels = [0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2];
    let grey = [&[0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 12]].concat();
    let colour = [&[0, 0, 8, 4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 36]].concat();
    for (name, images) in [("grey", grey), ("colour", colour)] {
        write(folder, name, &joined(&[&images, &labels, &images, &labels]))?;
        let (images, labels) = (gzipped(&images)?, gzipped(&labels)?);
        write(folder, &format!("{name}-gz"), &joined(&[&images, &labels, &images, &labels]))?;
    }
    Ok(())
}

/// One record a file.
fn cifar(folder: &Path) -> Fallible {
    let names: Vec<String> = (0..100).map(|class| format!("class{class}\n")).collect();
    write(folder, "cifar-100", &joined(&[&[1; 3074], &[2; 3074], names.concat().as_bytes()]))?;
    write(folder, "cifar-10", &joined(&[&[1; 3073], &[2; 3073], names[..10].concat().as_bytes()]))
}

/// An array as `np.save` writes it.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), elements].concat()
}

fn zipped(files: &[(&str, Vec<u8>)]) -> Fallible<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Three images of 2×2, grey and in colour, with labels of two types.
fn numpy(folder: &Path) -> Fallible {
    let labels = npy("|u1", "(3,)", &[0, 1, 2]);
    let wide = npy("<i8", "(3, 1)", &[[0; 8], [0; 8], [0; 8]].concat());
    let (grey, colour) = (npy("|u1", "(3, 2, 2)", &[7; 12]), npy("|u1", "(3, 2, 2, 3)", &[7; 36]));
    for (name, images, labels) in [("grey", grey, labels), ("colour", colour, wide)] {
        write(folder, name, &joined(&[&images, &labels, &images, &labels]))?;
        let [images, labels] = [images, labels];
        let files = [
            ("train_images.npy", images.clone()),
            ("train_labels.npy", labels.clone()),
            ("test_images.npy", images),
            ("test_labels.npy", labels),
        ];
        write(folder, &format!("{name}-npz"), &zipped(&files)?)?;
    }
    Ok(())
}

/// One image a file, as Python 2 wrote it.
fn pickles(folder: &Path) -> Fallible {
    let mut batch = b"\x80\x02}q\x01(U\x0bfine_labelsq\x04]q\x05(K\x07eU\x04dataq\x06".to_vec();
    batch.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\0\x85q\tU\x01bq\n\x87Rq\x0b");
    batch.extend(b"(K\x01K\x01M\0\x0c\x86cnumpy\ndtype\nq\x0cU\x02u1K\0K\x01\x87Rq\r(K\x03U\x01|NNN");
    batch.extend(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\0\x0c\0\0");
    batch.extend([5; 3072]);
    batch.extend(b"tbu.");
    let name = |class: u32| [b"U\x03c".to_vec(), format!("{class:02}").into()].concat();
    let names: Vec<u8> = (0..100).flat_map(name).collect();
    let meta = [&b"\x80\x02}q\x01U\x10fine_label_names]q\x02("[..], &names, b"es."].concat();
    write(folder, "cifar-100", &joined(&[&batch, &batch, &meta]))
}

/// An image folder in each kind of archive, with the byte before it that names the kind.
fn archives(folder: &Path) -> Fallible {
    let picture = || b"P5 2 1 255\n\x07\x09".to_vec();
    let files = [("train/a/1.pgm", picture()), ("train/b/2.pgm", picture()), ("test/a/3.pgm", picture())];
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in &files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..])?;
    }
    let tar = tar.into_inner()?;
    write(folder, "zip", &[&[0][..], &zipped(&files)?].concat())?;
    write(folder, "tar", &[&[1][..], &tar].concat())?;
    write(folder, "tgz", &[&[2][..], &gzipped(&tar)?].concat())
}

/// A picture of each format and colour, with the byte before it that names the format.
fn images(folder: &Path) -> Fallible {
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Pnm,
        ImageFormat::WebP,
        ImageFormat::Tiff,
    ];
    for (i, format) in formats.into_iter().enumerate() {
        let grey = DynamicImage::new_luma8(3, 2);
        let pictures = [("grey", grey.clone()), ("rgb", grey.to_rgb8().into()), ("rgba", grey.to_rgba8().into())];
        for (name, picture) in pictures {
            let mut file = Cursor::new(vec![i as u8]);
            file.set_position(1);
            // not every format takes every colour
            if picture.write_to(&mut file, format).is_ok() {
                write(folder, &format!("{format:?}-{name}"), file.get_ref())?;
            }
        }
    }
    Ok(())
}

fn models(folder: &Path) -> Fallible {
    for name in Description::builtin_names() {
        write(folder, name, toml::to_string(&Description::open(name)?)?.as_bytes())?;
    }
    Ok(())
}

/// A run of each schedule and method.
fn configs(folder: &Path) -> Fallible {
    std::fs::create_dir_all(folder)?;
    let digits = Dataset::digits()?;
    let schedules = [
        Schedule::Paper(Method::Kfac(KfacSettings::default())),
        Schedule::Growing(Method::Lbfgs(LbfgsSettings::default())),
        Schedule::Full(Method::Ncg(NcgSettings::default())),
        Schedule::Full(Method::GaussNewton(GaussNewtonSettings::default())),
    ];
    Run::sweep(&digits).config()?.save(&folder.join("sweep"))?;
    for (i, schedule) in schedules.into_iter().enumerate() {
        Run::by(&digits, schedule).config()?.save(&folder.join(format!("stages-{i}")))?;
    }
    Ok(())
}

/// Those that come with the program.
fn experiments(folder: &Path) -> Fallible {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../experiments"))? {
        let path = file?.path();
        write(folder, &path.file_stem().ok_or("a file without a name")?.to_string_lossy(), &std::fs::read(&path)?)?;
    }
    Ok(())
}

/// A network at its start.
fn weights(folder: &Path) -> Fallible {
    std::fs::create_dir_all(folder)?;
    let digits = Dataset::digits()?;
    let description = Description::linear(4);
    let model = Arc::new(Model::new(&description, digits.shape, digits.classes.len())?);
    let (theta, signature) = (model.initialise(0), Signature::new(&description, &digits));
    let weights = Weights { theta, moments: Vec::new(), signature, model };
    Ok(weights.save(&folder.join("linear"))?)
}

/// A network of ours, and those of PyTorch.
fn onnx(folder: &Path) -> Fallible {
    std::fs::create_dir_all(folder)?;
    let digits = Dataset::digits()?;
    for (name, description) in [("linear", Description::linear(4)), ("chain", Description::open("digits-1k")?)] {
        let model = Arc::new(Model::new(&description, digits.shape, digits.classes.len())?);
        let (theta, signature) = (model.initialise(0), Signature::new(&description, &digits));
        Weights { theta, moments: Vec::new(), signature, model }.save_onnx(&folder.join(name))?;
    }
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/onnx_nets"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            write(folder, &path.file_stem().ok_or("a file without a name")?.to_string_lossy(), &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// A run that has not made a step, and one of K-FAC that has.
fn checkpoints(folder: &Path) -> Fallible {
    std::fs::create_dir_all(folder)?;
    let provenance = Provenance { configurations: vec!["0".repeat(64)], steps_sha256: "1".repeat(64) };
    let scalars = ProgressScalars::default();
    let vectors = ProgressVectors { parameters: vec![1.0, -1.0], optimiser: vec![], problem: vec![], best: None };
    let start = Progress { scalars, vectors };
    let mut later = start.clone();
    later.vectors.optimiser = vec![("direction".to_owned(), vec![0.5, 0.25]), ("gradient".to_owned(), vec![0.0; 2])];
    later.vectors.problem = vec![("dense1.inputs".to_owned(), vec![1.0; 4])];
    later.scalars.state.numbers = r#"{"damping":0.1}"#.to_owned();
    for (name, progress) in [("start", start), ("later", later)] {
        checkpoint::save(&folder.join(name), None, &progress, &provenance)?;
    }
    Ok(())
}
