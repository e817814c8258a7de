//! What the program says is to be done about what it refuses.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, refused, run};
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
    says(&["no train/ and test/: ", "CIFAR-10 and CIFAR-100, binary (", "; make these two folders"]);
    write("train/cats/a.pgm", b"P5 2 2 255\n....");
    says(&["no test/", "; put held-out images there"]);
    write("test/dogs/a.pgm", b"P5 2 2 255\n....");
    says(&["missing, while there is", "cats; add it"]);
    fs::rename(folder.path().join("test/dogs"), folder.path().join("test/cats")).unwrap();
    write("train/cats/b.pgm", b"P5 1 2 255\n..");
    says(&["b.pgm: 2x1 pixels (HxW), but", "a.pgm has 2x2; resize all with --resize HxW"]);
    write("train/cats/b.pgm", b"P5 2 2 255\n.");
    says(&["b.pgm: expected a whole image: ", "; replace the file"]);
    write("train/cats/b.heic", b"");
    fs::remove_file(folder.path().join("train/cats/b.pgm")).unwrap();
    says(&["b.heic: this format is not read; convert it to png"]);
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

#[test]
fn a_bad_number_is_named_with_its_option() {
    for (option, value) in [
        ("--seed", "-1"),
        ("--batch", "-1"),
        ("--held-out", "-1/8"),
        ("--subset", "-3"),
        ("--check-every", "-1"),
        ("--patience", "-2"),
        ("--memory", "-1GiB"),
        ("--resize", "-8x8"),
        ("--budget", "-inf"),
        ("--checkpoint-every", "-1e300"),
        ("--seed", "18446744073709551615"),
        ("--pairs", ""),
        ("--look", "0"),
        ("--first-look", "-3"),
        ("--look-every", "0"),
        ("--positions", "65536"),
        ("--divergence", "-1e-3"),
        ("--momentum", "nan"),
        ("--screen-one-in", "0"),
        ("--least-chance", "0"),
        ("--least-chance", "1.5"),
        ("--weight-power", "-1"),
    ] {
        refused(&["train", option, value], 2, &["invalid value", &format!("'{value}' for '{option} ")]);
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_read() {
    if cfg!(unix) {
        for path in ["/dev/zero", "/dev"] {
            refused(&["train", "--model", path], 2, &[path, "--model"]);
            refused(&["train", "--config", path], 3, &[path]);
            refused(&["experiment", path], 3, &[path]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long.toml");
    fs::write(&long, " ".repeat(2 << 20)).unwrap();
    refused(&["train", "--model", long.to_str().unwrap()], 2, &["long.toml", "longer than"]);
}

#[test]
fn names_do_nothing_on_a_terminal_but_show() {
    let quiet = |arguments: &[&str]| {
        let output = run(arguments);
        for bytes in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{arguments:?}: {text:?}");
        }
        output
    };
    let red = "\u{1b}[31mred";
    for arguments in [
        &["train", "--schedule", red][..],
        &["train", red],
        &["train", "--data", red],
        &["train", "--model", red],
        &["eval", red],
        &["experiment", red],
    ] {
        assert!(!quiet(arguments).status.success());
    }
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join(format!("{red}.toml"));
    fs::write(&model, "[[layer]]\nkind = \"dense\"\n").unwrap();
    let out = folder.path().join(red);
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    assert!(quiet(&["train", "--model", model, "--budget", "2", "--out", out]).status.success());
    assert!(quiet(&["report", out]).status.success());
}

#[test]
fn what_helps_against_divergence_is_what_caused_it() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let train = ["train", "--no-autotune", "--out", out.to_str().unwrap()];
    let rate = ["--method", "adam", "--learning-rate", "1e30", "--budget", "2"];
    refused(&[&train[..], &rate].concat(), 6, &["not finite", "; lower --learning-rate"]);
    let decay = ["--overwrite", "--schedule", "full", "--weight-decay", "1e300"];
    refused(&[&train[..], &decay].concat(), 6, &["not finite", "; lower --weight-decay"]);
}

#[test]
fn an_experiment_goes_on_past_a_run_that_diverges() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("grid.toml"), folder.path().join("out"));
    let grid = "[[grid]]\nmethod = \"adam\"\nbudget = 2\nlearning_rate = [1e30, 1e-2]\n";
    fs::write(&file, grid).unwrap();
    let arguments = ["experiment", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = run(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("error: 1 of 2 runs came to nothing") && stderr.contains("not finite"), "{stderr}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("learning_rate 0.01"), "{table}");
    assert!(table.contains("| came to nothing |") && table.contains("| 6 |"), "{table}");

    let many: String = (0..30).map(|i| format!("a{i} = [1, 2]\n")).collect();
    fs::write(&file, format!("[[grid]]\n{many}")).unwrap();
    refused(&arguments, 2, &["grid.toml", "1073741824 runs"]);
    let dry = gpu_subset().args(arguments).arg("--dry-run").output().unwrap();
    assert_eq!(dry.status.code(), Some(2));
}
