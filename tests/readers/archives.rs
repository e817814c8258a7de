//! Archives of every layout, and what is not unpacked.

use crate::arrays::{npy_sample, zipped};
use crate::pickles::python_10_sample;
use crate::*;
use gpu_subset::data::Note;
use tar::{Builder, EntryType, Header};

/// The files of a sample below a folder, with their names.
fn files(sample: &Sample, folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = sample.dir.path();
    let of = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        (format!("{folder}{name}"), fs::read(path).unwrap())
    };
    damage::files_below(root).into_iter().map(of).collect()
}

fn tarred(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar file with one entry whose name nothing has checked.
fn entry(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, content).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn a_set_of_any_layout_is_read_from_an_archive() {
    for sample in [
        idx_sample(true),
        cifar_10_sample(),
        python_10_sample(),
        npy_sample(),
        image_sample(GREY, &["png"]),
        image_sample(COLOUR, &["bmp", "png"]),
    ] {
        let expected = sample.open().unwrap();
        for folder in ["", "a set/", "outer/inner/"] {
            let files = files(&sample, folder);
            let tar = tarred(&files);
            for (name, bytes) in [
                ("photos.zip", zipped(&files, true)),
                ("photos.tgz", gzip(&tar)),
                ("photos.TAR.GZ", gzip(&tar)),
                ("photos.tar", tar),
            ] {
                let outside = tempfile::tempdir().unwrap();
                let path = outside.path().join(name);
                fs::write(&path, bytes).unwrap();
                let set = open(&path).unwrap();
                assert_eq!((&set.sha256, set.format), (&expected.sha256, expected.format), "{name} {folder}");
                assert_eq!((set.name.as_str(), set.source.as_str()), ("photos", path.to_str().unwrap()));
            }
        }
    }
}

#[test]
fn what_is_in_an_archive_is_called_by_the_archive() {
    let sample = image_sample(GREY, &["png"]);
    let mut files = files(&sample, "set/");
    files.push(("set/train/class 0/page.pdf".to_owned(), b"%PDF".to_vec()));
    let path = sample.write("photos.zip", &zipped(&files, true));
    let set = open(&path).unwrap();
    let [Note::PassedOver { first, .. }] = &set.notes[..] else { panic!("{:?}", set.notes) };
    assert_eq!(first, &path.join("set/train/class 0/page.pdf"));
    files[0].1.truncate(20);
    let path = sample.write("photos.zip", &zipped(&files, true));
    assert_says(open(&path), &["photos.zip/set/", ".png: expected a whole image"]);
    let message = message(open(&path));
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    assert_eq!(message.matches(".tmp").count(), 1, "the folder that it was unpacked into is not named: {message}");

    let options = ReadOptions { skip_damaged: true, ..ReadOptions::default() };
    let set = Dataset::open(path.to_str().unwrap(), &options).unwrap();
    assert!(set.notes.iter().any(|note| note.to_string().contains("photos.zip/set/")), "{:?}", set.notes);
}

#[test]
fn one_of_several_sets_in_an_archive_is_named_by_its_prefix() {
    let sample = Sample::new(Format::Idx, Shape::new(1, 2, 3), (6, 3), 3);
    for set in ["balanced", "letters"] {
        for (part, split) in [("train", &sample.train), ("test", &sample.test)] {
            let name = |kind| format!("emnist-{set}-{part}-{kind}-ubyte.gz");
            sample.write(&name("images-idx3"), &gzip(&idx_images(split, sample.shape)));
            sample.write(&name("labels-idx1"), &gzip(&idx_labels(split, 0)));
        }
    }
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("emnist.zip");
    fs::write(&path, zipped(&files(&sample, "gzip/"), false)).unwrap();
    assert_says(open(&path), &["several data sets", "emnist.zip/gzip/emnist-balanced", "gzip/emnist-letters"]);
    let set = open(&path.join("gzip/emnist-letters")).unwrap();
    assert_eq!((set.name.as_str(), set.train.len()), ("emnist-letters", 6));
    assert_says(open(&path.join("gzip/emnist-digits")), &["emnist.zip/gzip/emnist-digits: does not exist"]);
}

#[test]
fn a_table_in_an_archive_names_its_pictures() {
    let sample = image_sample(GREY, &["png"]);
    let mut files = files(&sample, "");
    files.retain(|(name, _)| name.starts_with("train"));
    let names: Vec<String> = (0..files.len()).map(|i| format!("pictures/{i}.png")).collect();
    files.iter_mut().zip(&names).for_each(|((name, _), other)| name.clone_from(other));
    let rows = names.iter().enumerate().map(|(i, name)| {
        let part = if i % 3 == 0 { "test" } else { "train" };
        format!("{name},{},{part}\n", ["a", "b"][i % 2])
    });
    files.push(("rows.csv".to_owned(), format!("path,label,split\n{}", rows.collect::<String>()).into_bytes()));
    let path = sample.write("photos.zip", &zipped(&files, true));
    let set = open(&path).unwrap();
    assert_eq!((set.format, set.train.len(), set.test.len()), (Format::Table, 8, 4));
    assert_eq!(set.classes, ["a", "b"]);
    let enough = ReadOptions { is_test_enough: true, ..ReadOptions::default() };
    let same = Dataset::open(path.to_str().unwrap(), &enough).unwrap();
    assert_eq!(same.sha256, set.sha256, "the folder of the pictures is no class");
}

#[test]
fn what_leads_out_of_an_archive_is_not_unpacked() {
    let sample = idx_sample(false);
    let above = sample.dir.path().parent().unwrap().join("escaped");
    let check = |name: &str, bytes: &[u8], fragments: &[&str]| {
        let path = sample.write(name, bytes);
        assert_says(open(&path), &[&[name], fragments].concat());
        fs::remove_file(path).unwrap();
        assert!(!above.exists() && !Path::new("/escaped").exists());
    };
    for name in ["../escaped", "/escaped", "a/../../escaped", "a/.."] {
        check("x.zip", &zipped(&[(name.to_owned(), b"x".to_vec())], false), &[name, "is no path inside"]);
        check("x.tar", &entry(name, EntryType::Regular, b"x"), &[name, "is no path inside of the archive"]);
    }
    check("x.tar", &entry("a", EntryType::Symlink, b""), &["a is a link, which is not unpacked"]);
    check("x.tar", &entry("a", EntryType::Link, b""), &["a is a link"]);
    check("x.tar", &entry("a", EntryType::Fifo, b""), &["a is neither a file nor a folder"]);
    let mut linked = zip::write::ZipWriter::new(Cursor::new(Vec::new()));
    linked.add_symlink("a", "/etc", zip::write::SimpleFileOptions::default()).unwrap();
    check("x.zip", &linked.finish().unwrap().into_inner(), &["a is a link"]);
}

#[test]
fn damaged_archives() {
    let sample = idx_sample(false);
    let files = files(&sample, "");
    let check = |name: &str, bytes: &[u8], fragments: &[&str]| {
        let path = sample.write(name, bytes);
        let (result, peak) = with_peak(|| open(&path));
        assert_says(result, &[&[name], fragments].concat());
        assert!(peak < 16 << 20, "{peak} bytes");
        fs::remove_file(path).unwrap();
    };
    let (zip, tar) = (zipped(&files, true), tarred(&files));
    check("x.zip", &zip[..zip.len() / 2], &["expected a whole zip file"]);
    check("x.zip", b"", &["expected a whole zip file"]);
    check("x.zip", &tar, &["expected a whole zip file"]);
    check("x.tar", &tar[..700], &["expected a whole tar file"]);
    check("x.tar", b"", &["x.tar: is empty"]);
    check("x.tar", &zip, &["expected a whole tar file"]);
    let packed = gzip(&tar);
    check("x.tgz", &packed[..packed.len() - 9], &["expected a whole tar file"]);
    let mut other_sum = packed.clone();
    let at = packed.len() - 6;
    other_sum[at] ^= 1;
    check("x.tgz", &other_sum, &["expected a whole tar file"]);
    // of an archive in an archive only the outer one is unpacked
    check("x.zip", &zipped(&[("y.zip".to_owned(), zip.clone())], false), &["x.zip/y.zip: is neither a folder nor"]);

    // a long name that goes on and on, and a file that says that it is larger than any disk
    let mut endless = entry("././@LongLink", EntryType::GNULongName, &vec![b'a'; 8 << 20]);
    check("x.tgz", &gzip(&endless), &["expected a whole tar file"]);
    let mut header = Header::new_gnu();
    header.as_old_mut().name[0] = b'a';
    header.set_size(1 << 50);
    header.set_cksum();
    endless = header.as_bytes().to_vec();
    check("x.tar", &endless, &["holds more than"]);
}
