//! `gpu-subset report` as its users run it.

#[path = "common/mod.rs"]
mod common;

use common::program::{gpu_subset, json, refused, run};
use std::fs;
use std::path::Path;

fn train(out: &Path, options: &[&str]) {
    let output = run(&[&["train", "--out", out.to_str().unwrap()], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The page that a report makes, and what it says on stderr.
#[track_caller]
fn report(arguments: &[&str], out: &Path) -> (String, String) {
    let output = run(&[&["report"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("report.html") && stdout.contains("plots"), "{stdout}");
    assert!(!html.contains("<script") && !html.contains("http"), "self-contained");
    (html, stderr)
}

#[test]
fn a_page_has_what_the_run_left() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a <b>run & more");
    train(&out, &["--budget", "3"]);
    let out_text = out.to_str().unwrap();
    let (html, _) = report(&[out_text], &out);
    let record = json(&out.join("run.json"));
    let accuracy = 100.0 * record["test_accuracy"].as_f64().unwrap();
    assert!(html.contains(&format!("<td class=\"text\">{accuracy:.2}%</td>")), "the headline");
    assert!(
        html.contains(&format!("{accuracy:.2}% of 360 test examples, cross entropy")),
        "the same weights, evaluated"
    );
    for key in ["adapter", "driver", "version", "data_sha256", "subset_sha256", "weights_sha256"] {
        assert!(html.contains(record[key].as_str().unwrap()), "{key}");
    }
    assert!(html.contains("a &lt;b&gt;run &amp; more") && !html.contains("<b>"), "escaped");
    assert!(html.contains("<table class=\"matrix\">") && html.contains("data:image/png;base64,"));
    assert!(html.contains("name = &quot;sweep&quot;") && html.contains("checkpoint_every = "), "the configuration");
    for name in ["loss-cost", "loss-time", "accuracy-cost", "accuracy-time", "damping", "radius", "kept", "step"] {
        let plot = |kind| out.join("plots").join(name).with_extension(kind);
        assert!(fs::read_to_string(plot("svg")).unwrap().contains("</svg>"), "{name}");
        assert!(fs::read(plot("png")).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    assert_eq!(html.matches("<svg").count(), 9, "eight charts and the network");
    let sentence = "digits-1k, a network of 1,370 parameters, was trained on digits and classifies ";
    assert!(html.contains(&format!("{sentence}{accuracy:.2}% of its 360 test images right; that took ")));
    let class = &record["classes"][3];
    let [recall, f1] = ["recall", "f1"].map(|key| format!("<td>{:.3}</td>", class[key].as_f64().unwrap()));
    assert!(html.contains("<table class=\"classes\">") && html.contains(&recall) && html.contains(&f1));
    assert_eq!(html.matches("title=\"№ ").count(), 60, "six examples of each class");
    assert!(html.contains(">conv1, silu<") && html.contains(">8×8×8<") && html.contains(">1,290<"), "the network");
    assert!(!out.join("plots").join("minima.svg").exists(), "a sweep has no subset's minimum");

    // without the data the rest is still there
    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    fs::write(out.join("config.toml"), config.replace("data = \"digits\"", "data = \"/nonexistent\"")).unwrap();
    let (html, stderr) = report(&[out_text], &out);
    assert!(stderr.contains("note: ") && stderr.contains("/nonexistent"), "{stderr}");
    assert!(html.contains("No evaluation: ") && html.contains("<svg") && !html.contains("<table class=\"matrix\">"));
    let (html, stderr) = report(&[out_text, "--data", "digits"], &out);
    assert!(html.contains("<table class=\"matrix\">") && !html.contains("Other data"), "{stderr}");
    let (html, stderr) = report(&[out_text, "--no-evaluation"], &out);
    assert!(html.contains("No evaluation: --no-evaluation") && stderr.is_empty(), "{stderr}");
    refused(&["report", out_text, "--data", "/nonexistent"], 3, &["/nonexistent"]);
    refused(&["report", out_text, "--adapter", "voodoo"], 4, &["voodoo"]);

    fs::write(out.join("report.html"), "<p>mine</p>").unwrap();
    refused(&["report", out_text], 2, &["report.html", "--out"]);
    fs::write(out.join("steps.jsonl"), "{\n").unwrap();
    let elsewhere = folder.path().join("elsewhere");
    refused(&["report", out_text, "--out", elsewhere.to_str().unwrap()], 3, &["steps.jsonl: line 1"]);
    assert!(!elsewhere.exists(), "nothing is left behind");
}

#[test]
fn several_runs_share_one_page_and_subsets_are_compared_by_q() {
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sizes = ["1/8", "1/2"];
    let outs = sizes.map(|size| folder.path().join(size.replace('/', "-of-")));
    for (size, out) in sizes.into_iter().zip(&outs) {
        let schedule = ["--schedule", "paper", "--subset", size, "--subset-passes", "8", "--full-passes", "0"];
        train(out, &schedule);
        let stage = json(&out.join("run.json"))["stages"][0].clone();
        for key in ["cross_entropy", "train_loss", "test_loss"] {
            assert!(stage[key].as_f64().is_some_and(|loss| loss > 0.0), "{key}: {stage}");
        }
    }
    let outs = outs.each_ref().map(|out| out.to_str().unwrap());
    let output = gpu_subset().current_dir(folder.path()).arg("report").args(outs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let html = fs::read_to_string(folder.path().join("report/report.html")).unwrap();
    assert!(
        html.contains("1-of-8") && html.contains("1-of-2") && html.contains("Subset minimum and full-set loss by Q")
    );
    assert_eq!(html.matches("<table class=\"matrix\">").count(), 2);
    assert!(folder.path().join("report/plots/minima.png").exists());
}

#[cfg(unix)]
#[test]
fn a_run_in_the_middle_has_a_page_too() {
    use common::program::stopped;
    let Some(_gpu) = common::gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out_text = out.to_str().unwrap();
    assert_eq!(stopped(&["train", "--checkpoint-every", "0", "--budget", "40"], &out, "-TERM"), Some(130));
    let (html, _) = report(&[out_text], &out);
    assert!(html.contains("in progress, ") && html.contains(" iterations, cost so far "));
    assert!(
        html.contains("% now") && html.contains("<table class=\"matrix\">") && html.contains("weights: iteration ")
    );

    // a line cut short, and no checkpoint yet
    let steps = fs::read(out.join("steps.jsonl")).unwrap();
    fs::write(out.join("steps.jsonl"), &steps[..steps.len() - 9]).unwrap();
    for checkpoint in ["checkpoint.safetensors", "checkpoint.previous.safetensors"] {
        fs::remove_file(out.join(checkpoint)).unwrap();
    }
    let (html, stderr) = report(&[out_text], &out);
    assert!(html.contains("<svg") && html.contains("No evaluation: there are no weights yet"), "{stderr}");
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    refused(&["report", path], 3, &["not a run folder"]);
    refused(&["report", "/nonexistent"], 3, &["/nonexistent", "not a run folder"]);
    refused(&["report"], 2, &["RUN"]);
    refused(&["report", path, "--no-evaluation", "--data", "digits"], 2, &["--no-evaluation"]);
}
