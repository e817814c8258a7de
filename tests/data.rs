//! `gpu-subset data` as its users run it.

#[path = "common/mod.rs"]
mod common;

use common::pictures::Folder;
use common::program::{refused, run};
use gpu_subset::data::{Dataset, ReadOptions};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;

#[test]
fn info_says_what_a_set_holds() {
    let folder = Folder::new();
    let sheet = folder.path("sheet.png");
    let output = run(&["data", "info", "digits", "--json", "--sheet", sheet.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let digits = Dataset::digits().unwrap();
    assert_eq!((&record["format"], &record["shape"]), (&Value::from("IDX"), &Value::from(vec![1, 8, 8])));
    assert_eq!((record["train"].as_u64(), record["test"].as_u64()), (Some(1437), Some(360)));
    assert_eq!(record["sha256"], digits.sha256);
    assert_eq!(record["memory_bytes"].as_u64(), Some(1797 * 68));
    let classes = record["classes"].as_array().unwrap();
    let of_three = digits.test.labels.iter().filter(|&&label| label == 3).count();
    assert_eq!((&classes[3]["name"], classes[3]["test"].as_u64()), (&Value::from("3"), Some(of_three as u64)));
    let [(mean, deviation)] = digits.channel_statistics()[..] else { panic!("one channel") };
    assert!((record["mean"][0].as_f64().unwrap() - mean / 255.0).abs() < 1e-12);
    assert!((record["deviation"][0].as_f64().unwrap() - deviation / 255.0).abs() < 1e-12);
    assert_eq!(image::open(&sheet).unwrap().width(), 342);

    let text = String::from_utf8(run(&["data", "info", "digits"]).stdout).unwrap();
    for part in ["digits (IDX)", "1×8×8, 1437 for training and 360 for testing", "0.1 MiB", &digits.sha256] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn info_takes_pictures_as_they_are() {
    let folder = Folder::new();
    for (class, value) in [("cat", 51), ("dog", 204)] {
        (0..4).for_each(|i| folder.grey(&format!("{class}/{i}.png"), value));
    }
    let record = |arguments: &[&str]| -> Value {
        let output = run(&[&["data", "info", folder.text(), "--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let alone = record(&[]);
    assert_eq!(
        (&alone["train"], &alone["test"], &alone["mean"][0]),
        (&Value::from(0), &Value::from(8), &Value::from(0.5))
    );
    let divided = record(&["--test", "1/4", "--resize", "2x3"]);
    assert_eq!((&divided["train"], &divided["test"]), (&Value::from(6), &Value::from(2)));
    assert_eq!(divided["shape"], Value::from(vec![1, 2, 3]));
    folder.write("dog/4.png", b"no picture");
    refused(&["data", "info", folder.text()], 3, &["4.png", "--skip-damaged"]);
    let left_out = record(&["--skip-damaged"]);
    assert!(left_out["notes"][0].as_str().unwrap().contains("4.png"), "{left_out}");
    refused(&["data", "info", "no such folder"], 3, &["does not exist: understood are", "--data"]);
}

#[test]
fn fetch_says_what_to_bring_where_there_is_no_network() {
    let folder = Folder::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = format!("http://{closed}");
    let target = folder.path("mnist");
    let arguments = ["data", "fetch", "mnist", target.to_str().unwrap(), "--mirror", &mirror];
    let file = "mnist/train-images-idx3-ubyte.gz";
    refused(&arguments, 1, &[file, &mirror, "without a network", "mnist/t10k-labels-idx1-ubyte.gz"]);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    // what is in its place and wrong is not taken
    folder.write(file, b"something else");
    refused(&arguments, 1, &[file]);
    refused(&["data", "fetch", "svhn", "x"], 2, &["invalid value 'svhn'"]);
}

#[test]
fn a_run_from_an_archive_is_that_of_its_folder() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = Folder::new();
    let digits = Dataset::digits().unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
        let name = format!("{name}-ubyte.gz");
        let path = format!("{}/datasets/digits/{name}", env!("CARGO_MANIFEST_DIR"));
        zip.start_file(format!("small/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &fs::read(path).unwrap()).unwrap();
    }
    let archive = folder.write("small.zip", &zip.finish().unwrap().into_inner());
    let set = Dataset::open(archive.to_str().unwrap(), &ReadOptions::default()).unwrap();
    assert_eq!((set.sha256.as_str(), set.name.as_str()), (digits.sha256.as_str(), "small"));
    let weights = |data: &str, out: &str| {
        let out = folder.path(out);
        let trained = run(&["train", "--data", data, "--budget", "0.2", "--out", out.to_str().unwrap()]);
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
        common::program::json(&out.join("run.json"))["weights_sha256"].clone()
    };
    assert_eq!(weights(archive.to_str().unwrap(), "a"), weights("digits", "b"));
    // evaluated on its own data, which the run knows by the archive
    assert!(run(&["eval", folder.path("a").to_str().unwrap()]).status.success());
}
