//! The rooms of `src/`, and what each may use.

use super::source::{code_and_strings, paths};

/// Every room and the rooms it uses, neither more nor less. `lib.rs` names them all and `main.rs` may use any.
pub const ROOMS: &[(&str, &[&str])] = &[
    ("batch", &[]),
    ("cost", &[]),
    ("shape", &[]),
    ("update", &[]),
    ("values", &[]),
    ("error", &["shape", "values"]),
    ("device", &["error"]),
    ("exchange", &["error"]),
    ("files", &["error"]),
    ("data", &["shape", "values", "error", "files"]),
    ("optimise", &["batch", "cost", "update", "error", "files"]),
    ("program", &["error", "device"]),
    ("kernels", &["shape", "values", "update", "error", "device", "program"]),
    ("model", &["shape", "error", "device", "files", "program", "kernels"]),
    ("export", &["shape", "values", "error", "files", "data", "kernels", "model"]),
    ("objective", &["batch", "cost", "shape", "values", "error", "device", "files", "program", "kernels", "model"]),
    ("bench", &["batch", "shape", "update", "error", "device", "program", "kernels", "model", "objective"]),
    (
        "training",
        &[
            "batch",
            "cost",
            "update",
            "error",
            "exchange",
            "device",
            "optimise",
            "program",
            "kernels",
            "model",
            "objective",
        ],
    ),
    ("subset", &["batch", "cost", "error", "device", "files", "optimise", "model", "objective", "training"]),
    ("checkpoint", &["cost", "error", "files", "optimise", "export", "subset"]),
    (
        "run",
        &[
            "cost",
            "shape",
            "values",
            "error",
            "device",
            "files",
            "data",
            "optimise",
            "kernels",
            "model",
            "export",
            "objective",
            "bench",
            "training",
            "subset",
            "checkpoint",
        ],
    ),
    ("report", &["shape", "values", "error", "model", "subset", "run"]),
    (
        "cli",
        &[
            "batch",
            "cost",
            "shape",
            "values",
            "error",
            "exchange",
            "device",
            "files",
            "data",
            "optimise",
            "kernels",
            "model",
            "bench",
            "training",
            "subset",
            "checkpoint",
            "run",
            "report",
        ],
    ),
];

/// The rooms that know wgpu.
const WGPU_ROOMS: [&str; 2] = ["device", "program"];

/// Who knows that there is a command line.
const COMMAND_LINE: [&str; 2] = ["cli", "main"];

/// What rooms use and may not, or may use and do not.
pub fn faults(sources: &[(String, String)]) -> Vec<String> {
    let mut faults: Vec<_> = sources.iter().flat_map(|(path, text)| room_faults(path, text)).collect();
    for (room, allowed) in ROOMS {
        let of_room: Vec<_> = sources.iter().filter(|(path, _)| room_of(path) == *room).collect();
        let uses = |used: &&&str| of_room.iter().any(|(_, text)| used_by(text).iter().any(|name| name == **used));
        let unused = allowed.iter().filter(|used| !uses(used));
        faults.extend(unused.map(|used| format!("{room} may use {used} and does not: take it out of the table")));
    }
    faults
}

fn room_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(path).trim_end_matches(".rs")
}

/// The rooms named by `crate::room`.
fn used_by(text: &str) -> Vec<String> {
    let paths = paths(&code_and_strings(text).0, "crate::");
    paths.iter().map(|path| path.split("::").next().unwrap_or(path).to_owned()).collect()
}

/// What a file of `src/` uses and may not.
fn room_faults(path: &str, text: &str) -> Vec<String> {
    let inside: Vec<&str> = path.split('/').skip(1).collect();
    let room = room_of(path);
    let (code, _) = code_and_strings(text);
    let mut faults = Vec::new();
    if !WGPU_ROOMS.contains(&room) && (code.contains("wgpu::") || code.contains("use wgpu")) {
        faults.push(format!("{path}: only {WGPU_ROOMS:?} may use wgpu"));
    }
    if !COMMAND_LINE.contains(&room) {
        faults.extend(command_line_faults(path, text));
    }
    if inside.len() == 1 && matches!(room, "main" | "lib") {
        return faults;
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        faults.push(format!("{path}: {room} is not in the table of rooms in tests/layering/rooms.rs"));
        return faults;
    };
    for used in used_by(text) {
        if used == room || allowed.contains(&used.as_str()) {
            continue;
        }
        let is_room = ROOMS.iter().any(|(name, _)| *name == used);
        let known = if is_room { "the table does not say" } else { "is no room" };
        faults.push(format!("{path}: {room} uses {used}, which {known}"));
    }
    // `super` as often as there are folders above is a way round the paths above
    let depth = inside.len() - usize::from(inside.len() > 1 && inside[inside.len() - 1] == "mod.rs");
    let climbs = paths(&code, "super::").into_iter().filter(|path| {
        let ups = 1 + path.split("::").take_while(|name| *name == "super").count();
        let name = path.split("::").nth(ups - 1);
        ups == depth && ROOMS.iter().any(|(room, _)| Some(*room) == name)
    });
    faults.extend(climbs.map(|name| format!("{path}: super::{name} should begin with crate")));
    faults
}

/// Where a file knows of options or of their parser.
fn command_line_faults(path: &str, text: &str) -> Vec<String> {
    let (code, strings) = code_and_strings(text);
    let mut faults = Vec::new();
    if code.contains("clap::") || code.contains("use clap") {
        faults.push(format!("{path}: only {COMMAND_LINE:?} may use clap"));
    }
    let named = strings.iter().filter_map(|text| option_in(text));
    faults.extend(named.map(|option| format!("{path}: {option} is an option, which only {COMMAND_LINE:?} may name")));
    faults
}

/// The first `--option` in a text.
fn option_in(text: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.match_indices("--").map(|(at, _)| &text[at..]).find_map(|rest| {
        let option = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        option[2..].starts_with(|c: char| c.is_ascii_lowercase()).then_some(option)
    })
}

/// The checker, on files that break each rule and on some that break none.
#[test]
fn the_checker_of_rooms_sees_what_it_should() {
    let fine = [
        (
            "src/model/pool.rs",
            "//! [`crate::cli`]\nuse crate::{device::{Buf, Gpu}, error};\nuse super::affine; // crate::subset\n\
             let a = \"http://crate\";\n",
        ),
        ("src/main.rs", "use crate::cli;"),
        ("src/device/mod.rs", "use crate::device::x; use wgpu::Device; use super::*;"),
        ("src/subset/mod.rs", "use crate::{cost, optimise};"),
        (
            "src/subset/mod.rs",
            "/// within --budget, \" unpaired\nlet i = n--1; /* \"--out\" */ let c = '\\''; let times = '×';\n\
             f(\"a -- b, --1, x--\"); // \"--seed\"\n",
        ),
        ("src/cli/run.rs", "use clap::Args; f(\"--out\")"),
        ("src/run/folder.rs", "use super::data; mod tests { use super::*; }"),
    ];
    for (path, text) in fine {
        assert_eq!(room_faults(path, text), [""; 0], "{path} {text}");
    }

    let broken = [
        ("src/model/pool.rs", "use crate::objective::Objective;", "model uses objective, which the table does not say"),
        ("src/program.rs", "fn f() { crate::kernels::matmul::f() }", "program uses kernels"),
        ("src/kernels/mod.rs", "use crate::{\n    device::{Buf, Gpu},\n    model::Layer,\n};", "kernels uses model"),
        ("src/objective/mod.rs", "use crate::data::Dataset;", "objective uses data"),
        ("src/report/mod.rs", "use crate::checkpoint::Checkpoint;", "report uses checkpoint"),
        ("src/error/mod.rs", "use crate::data::Dataset;", "error uses data"),
        ("src/shape.rs", "use crate::error::Error;", "shape uses error"),
        ("src/data/mod.rs", "let a = \"https://x\"; crate::device::lock();", "data uses device"),
        ("src/optimise/mod.rs", "use crate::device::Gpu;", "optimise uses device"),
        ("src/optimise/mod.rs", "use crate::nowhere::X;", "optimise uses nowhere, which is no room"),
        ("src/model/mod.rs", "use super::subset::Subset;", "super::subset::Subset should begin with crate"),
        ("src/model/pool.rs", "use super::super::cli::Cli;", "super::super::cli::Cli should begin with crate"),
        ("src/kernels/blocks/between.rs", "use super::super::super::{cli, d};", "should begin with crate"),
        ("src/attic.rs", "", "attic is not in the table of rooms"),
        ("src/model/mod.rs", "fn f(b: &wgpu::Buffer) {}", "may use wgpu"),
        ("src/main.rs", "use wgpu as gpu;", "may use wgpu"),
        ("src/subset/mod.rs", "use clap::ValueEnum;", "may use clap"),
        ("src/lib.rs", "#[derive(clap::Args)] struct A;", "may use clap"),
        ("src/data/mod.rs", "f(\"resize with --resize HxW\")", "--resize is an option"),
        ("src/data/mod.rs", "let quote = '\"'; f(\"\\\"--data\")", "--data is an option"),
        ("src/model/mod.rs", "f(r#\"a \"--weight-decay\"#)", "--weight-decay is an option"),
        ("src/report/mod.rs", "f(b\"x\n  --out\")", "--out is an option"),
        ("src/model/mod.rs", "fn f<'a>(a: &'a str) -> &'a str { \"--model\" }", "--model is an option"),
    ];
    for (path, text, expected) in broken {
        let faults = room_faults(path, text);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{path} {text}: {faults:?}, expected {expected}");
    }

    let alone = [("src/export.rs".to_owned(), "use crate::model::Model;".to_owned())];
    let faults = faults(&alone);
    assert!(faults.contains(&"export may use files and does not: take it out of the table".to_owned()), "{faults:?}");
}
