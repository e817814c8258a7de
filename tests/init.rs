//! Runs that start from the weights of others.

mod common;

use common::program::{json, refused, run};
use gpu_subset::data::{Dataset, Split};
use gpu_subset::run::{Run, Weights};
use std::fs;
use std::path::Path;

/// The digits of some classes, which are named after them.
fn some_digits(classes: &[u32]) -> Dataset {
    let mut data = Dataset::digits().unwrap();
    let of = |split: &Split| {
        let examples = split.images.bytes().unwrap().chunks(64).zip(&split.labels);
        let some =
            examples.filter_map(|(image, label)| Some((image, classes.iter().position(|class| class == label)?)));
        let (images, labels): (Vec<_>, Vec<_>) = some.map(|(image, label)| (image, label as u32)).unzip();
        Split { images: images.concat().into(), labels }
    };
    (data.train, data.test) = (of(&data.train), of(&data.test));
    data.classes = classes.iter().map(|class| format!("digit {class}")).collect();
    data
}

#[test]
fn what_was_learned_of_some_classes_helps_with_others() {
    let Some(gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.safetensors");
    let path = path.to_str().unwrap();
    let [known, new] = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]].map(|classes| some_digits(&classes));
    let trained = Run::sweep(&known).model("digits-resnet-5k").budget(4.0).on(&gpu).unwrap().train(&mut ()).unwrap();
    trained.save(path).unwrap();
    let loss = |run: gpu_subset::run::RunBuilder<'_>| {
        let mut run = run.budget(1.25).on(&gpu).unwrap();
        let trained = run.train(&mut ()).unwrap();
        assert_eq!(trained.weights.signature.classes, new.classes);
        trained.record.test_loss
    };
    let random = loss(Run::sweep(&new).model("digits-resnet-5k"));
    let started = loss(Run::sweep(&new).init(path));
    println!("test loss from random weights {random:.4}, from those of other classes {started:.4}");
    assert!(started < random);
}

#[test]
fn such_a_run_is_repeated_and_goes_on_and_says_what_it_lacks() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let [one, two, three] = [&first, &second, &third].map(|path| path.to_str().unwrap());
    let train = |arguments: &[&str]| {
        let output = run(&[&["train", "--no-autotune"], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    let digest = |folder: &Path| json(&folder.join("run.json"))["weights_sha256"].as_str().unwrap().to_owned();
    train(&["--budget", "2", "--out", one]);
    let weights = first.join("weights.safetensors");
    let said = train(&["--init", weights.to_str().unwrap(), "--budget", "1", "--out", two]);
    assert!(said.contains("note: starts from ") && said.contains("1370 of 1370 parameters; pixels"), "{said}");
    let config = fs::read_to_string(second.join("config.toml")).unwrap();
    assert!(config.contains(&format!("weights_sha256 = \"{}\"", digest(&first))), "{config}");
    let by_config = second.join("config.toml");
    train(&["--config", by_config.to_str().unwrap(), "--out", three]);
    assert_eq!(digest(&second), digest(&third));
    assert_ne!(digest(&first), digest(&second));
    refused(&["train", "--init", one, "--out", one, "--overwrite"], 2, &["has the weights of --init"]);
    refused(&["train", "--init", one, "--whiten", "on"], 2, &["whitened start would overwrite"]);

    // without them: from where it ended, but not from its start
    fs::remove_dir_all(&first).unwrap();
    train(&["--resume", two, "--budget", "1.5"]);
    for name in ["run.json", "weights.safetensors", "state.safetensors"] {
        fs::remove_file(third.join(name)).unwrap();
    }
    let lacks = ["the weights that the run starts from cannot be read", "put them back"];
    refused(&["train", "--resume", three], 3, &lacks);
    fs::create_dir(&first).unwrap();
    fs::copy(second.join("weights.safetensors"), &weights).unwrap();
    refused(&["train", "--resume", three], 3, &["not the weights that the run started from"]);
    refused(&["train", "--init", one], 3, &["not a run folder"]);
}

/// Options of every method and schedule, and what moves parameters besides: averages, shrunk starts, held norms.
const METHODS: [&str; 9] = [
    "--budget 3",
    "--method adam --average --budget 2",
    "--method sgd --select --screen on --batch 32 --budget 4",
    "--method muon --budget 2",
    "--method kfac --subset 1/2 --subset-passes 4 --full-passes 2",
    "--method lbfgs --subset 1/2 --subset-passes 6 --full-passes 3",
    "--method ncg --subset 1/4 --subset-passes 6 --full-passes 3",
    "--method gauss-newton --schedule full --full-passes 6 --preconditioner kronecker",
    "--schedule growing --subset 200 --subset-passes 4 --full-passes 2",
];

#[test]
fn layers_that_are_kept_stay_as_they_are_to_the_bit_under_every_method() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let of = |out: &str| Weights::load(&Path::new(out).join("weights.safetensors")).unwrap();
    let train = |options: &str, out: &str| {
        let options: Vec<&str> = options.split(' ').collect();
        let output = run(&[&["train", "--no-autotune", "--out", out], &options[..]].concat());
        assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let first = at("first");
    train("--model digits-resnet-5k --budget 1.5", &first);
    let start = of(&first);
    for (i, method) in METHODS.into_iter().enumerate() {
        let out = at(&i.to_string());
        train(&format!("--init {first} --freeze 6 {method}"), &out);
        let (end, mut kept) = (of(&out), 0);
        for tensor in start.model.tensors() {
            let [before, after] = [&start, &end].map(|weights| &weights.theta[tensor.range.clone()]);
            let number: usize =
                tensor.name.split('.').next().unwrap().replace(|c: char| !c.is_ascii_digit(), "").parse().unwrap();
            kept += usize::from(number <= 6);
            let has_moved = before.iter().zip(after).any(|(a, b)| a.to_bits() != b.to_bits());
            assert_eq!(has_moved, number > 6, "{method}: {}", tensor.name);
        }
        assert!(kept > 4 && kept < start.model.tensors().len() - 2);
    }
    for (freeze, why) in [("99", "some have to be kept and some left"), ("1", "layers that keep random weights")] {
        let init: &[&str] = if freeze == "99" { &["--init", &first] } else { &[] };
        refused(&[&["train", "--freeze", freeze], init].concat(), 2, &[why]);
    }
}
