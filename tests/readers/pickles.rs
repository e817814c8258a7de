//! CIFAR's Python version: pickles as Python 2 wrote the published files, and as Python 3 writes them; nothing in them
//! is executed.

use crate::arrays::written;
use crate::*;

/// A text, or bytes of Python 2.
fn short(text: &str) -> Vec<u8> {
    [&[b'U', text.len() as u8], text.as_bytes()].concat()
}

/// A pickle of protocol 2 as the published files are: a batch of images.
pub fn batch(split: &Split, labels: &str) -> Vec<u8> {
    let mut bytes = b"\x80\x02}q\x01(".to_vec();
    bytes.extend([short("batch_label"), b"q\x02".to_vec(), short("batch 1 of 5"), b"q\x03".to_vec()].concat());
    bytes.extend([short(labels), b"q\x04]q\x05(".to_vec()].concat());
    bytes.extend(split.labels.iter().flat_map(|label| [b'K', *label as u8]));
    bytes.extend([&b"e"[..], &short("data"), b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07"].concat());
    bytes.extend(b"cnumpy\nndarray\nq\x08K\0\x85q\tU\x01bq\n\x87Rq\x0b(K\x01M");
    bytes.extend((split.len() as u16).to_le_bytes());
    bytes.extend(b"M\0\x0c\x86cnumpy\ndtype\nq\x0cU\x02u1K\0K\x01\x87Rq\r(K\x03U\x01|NNN");
    bytes.extend(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
    bytes.extend((split.images.len() as u32).to_le_bytes());
    bytes.extend(split.images.bytes().unwrap());
    bytes.extend([&b"tb"[..], &short("filenames"), b"q\x0e]q\x0f("].concat());
    bytes.extend((0..split.len()).flat_map(|i| [short(&format!("{i}.png")), b"r\0\x01\0\0".to_vec()].concat()));
    bytes.extend(b"eu.");
    bytes
}

fn names(key: &str, count: usize) -> Vec<u8> {
    let names: Vec<u8> = (0..count).flat_map(|i| short(&format!("class {i}"))).collect();
    [&b"\x80\x02}q\x01("[..], &short(key), b"]q\x02(", &names, b"eu."].concat()
}

pub fn python_10_sample() -> Sample {
    let sample = Sample::new(Format::Cifar10Python, Shape::new(3, 32, 32), (10, 3), 10);
    let images = sample.train.images.bytes().unwrap().chunks(2 * 3072);
    for (i, (images, labels)) in images.zip(sample.train.labels.chunks(2)).enumerate() {
        let split = Split { images: images.to_vec().into(), labels: labels.to_vec() };
        sample.write(&format!("data_batch_{}", i + 1), &batch(&split, "labels"));
    }
    sample.write("test_batch", &batch(&sample.test, "labels"));
    sample.write("batches.meta", &names("label_names", 10));
    sample
}

fn python_100_sample() -> Sample {
    let sample = Sample::new(Format::Cifar100Python, Shape::new(3, 32, 32), (7, 3), 100);
    sample.write("cifar-100-python/train", &batch(&sample.train, "fine_labels"));
    sample.write("cifar-100-python/test", &batch(&sample.test, "fine_labels"));
    sample
}

#[test]
fn both_sets_are_read_with_the_hash_of_the_binary_version() {
    for (python, binary) in [(python_10_sample(), cifar_10_sample()), (python_100_sample(), cifar_100_sample())] {
        python.assert_reads_back();
        assert_eq!(python.open().unwrap().sha256, binary.open().unwrap().sha256);
    }
    let classes = python_10_sample().open().unwrap().classes;
    assert_eq!((classes[0].as_str(), classes.len()), ("class 0", 10));
    assert_eq!(python_100_sample().open().unwrap().classes[99], "99");
}

#[test]
fn what_python_3_writes_is_read() {
    let sample = python_10_sample();
    let image: Vec<u8> = (0..3072).map(|i| i as u8).collect();
    for protocol in [2, 4] {
        let bytes = fs::read(written(&format!("cifar-protocol-{protocol}"))).unwrap();
        let set = sample.open_with("test_batch", &bytes).unwrap();
        assert_eq!(
            (set.test.images.bytes().unwrap(), &set.test.labels[..]),
            (&image[..], &[7][..]),
            "protocol {protocol}"
        );
    }
}

#[test]
fn pickle_defects() {
    let sample = python_10_sample();
    let whole = batch(&sample.test, "labels");
    let check = |bytes: &[u8], fragments: &[&str]| {
        assert_says(sample.open_with("test_batch", bytes), &[&["test_batch: offset "], fragments].concat());
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|window| window == from).unwrap();
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    check(b"", &["expected a pickle of protocol 2 or later"]);
    check(&whole[..100], &[]);
    check(&whole[..5000], &["as many bytes as an operation has, found only"]);
    check(&[&whole[..], b"x"].concat(), &["expected the end of the file"]);
    check(b"\x80\x02cos\nsystem\nU\x02ls\x85R.", &["found os.system, which is not called"]);
    check(b"\x80\x02cnumpy\nndarray\nK\0\x85R.", &["a call that makes an array"]);
    check(b"\x80\x02K\x01.", &["expected a pickle of a dict"]);
    check(b"\x80\x02i", &["an operation that files of CIFAR have, found byte 69"]);
    check(b"\x80\x02t", &["a mark for an operation"]);
    check(b"\x80\x02}(h\x07", &["a value that was remembered"]);
    check(b"\x80\x02T\xff\xff\xff\x7f", &["found only 0"]);
    check(b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff", &["found only 0"]);
    check(&[&b"\x80\x02"[..], &[b']'; 300_000]].concat(), &["no more values than files of CIFAR have"]);
    check(&replaced(b"U\x06labels", b"U\x06LABELS"), &["expected a list labels"]);
    check(&replaced(b"U\x04data", b"U\x04DATA"), &["expected an array data of bytes, [N, 3072]"]);
    check(&replaced(b"M\0\x0c", b"M\0\x0b"), &["expected an array data of bytes"]);
    check(&replaced(b"U\x02u1", b"U\x02f1"), &["expected an array data of bytes"]);
    check(&replaced(b"K\x02eU\x04data", b"K\x63eU\x04data"), &["expected labels from 0 to 9"]);
    check(&replaced(b"K\x02eU\x04data", b"eU\x04data"), &["expected 3 labels, one for each image, found 2"]);
    let nine = sample.open_with("batches.meta", &names("label_names", 9));
    assert_says(nine, &["batches.meta", "expected 10 lines of class names, found 9 label_names"]);
    fs::remove_file(sample.path("data_batch_3")).unwrap();
    assert_says(sample.open(), &["data_batch_3: missing; CIFAR-10 for Python consists of data_batch_1"]);
}

/// What goes on and on takes no more than the file and what all values may take.
#[test]
fn memory_of_pickles_is_bounded() {
    let sample = python_10_sample();
    let megabytes = 4 << 20;
    for byte in *b"]})(N" {
        let endless = [&b"\x80\x02"[..], &vec![byte; megabytes]].concat();
        let (result, peak) = with_peak(|| sample.open_with("test_batch", &endless));
        assert!(result.is_err() && peak < 2 * endless.len() + (32 << 20), "{peak} bytes of {}", byte as char);
    }
    // each decodes the text before it
    let text = "é".repeat(1 << 20);
    let mut endless = b"\x80\x02cnumpy\nndarray\n0c_codecs\nencode\nq\0X".to_vec();
    endless.truncate(2);
    endless.extend(b"c_codecs\nencode\nq\0X");
    endless.extend((text.len() as u32).to_le_bytes());
    endless.extend(text.as_bytes());
    endless.extend(b"q\x01U\x06latin1q\x02\x86Rq\x03");
    for _ in 0..100 {
        endless.extend(b"h\0h\x01h\x02\x86R");
    }
    let (result, peak) = with_peak(|| sample.open_with("test_batch", &endless));
    assert_says(result, &["test_batch", "expected a text of Latin-1"]);
    assert!(peak < 3 * endless.len() + (32 << 20), "{peak} bytes");
}
