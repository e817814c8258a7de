//! Who may use whom: arrows point down only, wgpu stays behind two rooms, options are named in `cli` alone, files
//! stay short and finished.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room of `src/` and the rooms it may use. `lib.rs` names them all and `main.rs` may use any.
const ROOMS: &[(&str, &[&str])] = &[
    ("shape", &[]),
    ("error", &["shape"]),
    ("data", &["error", "shape"]),
    ("device", &["error", "shape"]),
    ("program", &["error", "shape", "device"]),
    ("kernels", &["error", "shape", "device", "program"]),
    ("model", &["error", "shape", "device", "program", "kernels"]),
    ("objective", &["error", "shape", "device", "program", "kernels", "model"]),
    ("optimise", &["error", "shape", "device", "program", "kernels", "model", "objective"]),
    ("subset", &["error", "shape", "data", "device", "program", "kernels", "model", "objective", "optimise"]),
    ("bench", &["error", "shape", "device", "program", "kernels", "model", "objective"]),
    ("export", &["error", "shape", "device", "program", "kernels", "model"]),
    ("checkpoint", BELOW_CHECKPOINT),
    ("report", BELOW_CHECKPOINT),
    (
        "cli",
        &[
            "error",
            "shape",
            "data",
            "device",
            "program",
            "kernels",
            "model",
            "objective",
            "optimise",
            "subset",
            "export",
            "checkpoint",
            "report",
            "bench",
        ],
    ),
];

const BELOW_CHECKPOINT: &[&str] =
    &["error", "shape", "device", "program", "kernels", "model", "objective", "optimise", "subset", "export"];

/// The rooms that know wgpu.
const WGPU_ROOMS: [&str; 2] = ["device", "program"];

/// Who knows that there is a command line.
const COMMAND_LINE: [&str; 2] = ["cli", "main"];

/// Lines of a file of code.
const MOST_LINES: usize = 400;
const CODE: [&str; 5] = ["rs", "wgsl", "py", "sh", "ps1"];

/// Written in two parts, so that this file does not hold them.
const UNFINISHED: [&str; 3] = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut faults = Vec::new();
    for path in files("src") {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        faults.extend(room_faults(&path, &text));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_finished() {
    let mut faults = Vec::new();
    for path in ["src", "tests", "shaders", "tools", "examples", "benches"].into_iter().flat_map(files) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        faults.extend(file_faults(&path, &text));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_of_rooms_has_no_circle() {
    for (i, (room, below)) in ROOMS.iter().enumerate() {
        for used in *below {
            let position = ROOMS.iter().position(|(name, _)| name == used);
            assert!(
                position.is_some_and(|position| position < i),
                "{room} uses {used}, which is no room above it in the table"
            );
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of code in a folder, with forward slashes, from the root of the repository; none where there is no such folder.
fn files(folder: &str) -> Vec<String> {
    let mut folders = vec![PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            let is_code = path.extension().is_some_and(|extension| CODE.iter().any(|code| extension == *code));
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if is_code {
                files.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    files.sort();
    files
}

/// What a file of `src/` uses and may not.
fn room_faults(path: &str, text: &str) -> Vec<String> {
    let inside: Vec<&str> = path.split('/').skip(1).collect();
    let room = inside[0].trim_end_matches(".rs");
    let code = without_comments(text);
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
        faults.push(format!("{path}: {room} is not in the table of rooms in tests/layering.rs"));
        return faults;
    };
    for used in used_by(&code) {
        if used == room || allowed.contains(&used) {
            continue;
        }
        let known = if ROOMS.iter().any(|(name, _)| *name == used) { "is not below it" } else { "is no room" };
        faults.push(format!("{path}: {room} uses {used}, which {known}"));
    }
    // `super` from the top of a room, or twice from inside it, is a way round the paths above.
    let is_top = inside.len() == 1 || inside[1] == "mod.rs";
    let up = if is_top { "super::" } else { "super::super::" };
    let climbs = first_segments(&code, up).into_iter().filter(|name| ROOMS.iter().any(|(room, _)| room == name));
    faults.extend(climbs.map(|name| format!("{path}: {up}{name} should be crate::{name}")));
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

/// A Rust file without comments and literals, and the contents of its string literals.
fn code_and_strings(text: &str) -> (String, Vec<&str>) {
    let (mut code, mut strings, mut rest) = (String::new(), Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let is_in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(start) = raw_string(rest).filter(|_| !is_in_word || code.ends_with('b')) {
            let end = format!("\"{}", "#".repeat(start - 2));
            let inside = rest[start..].find(&end).unwrap_or(rest.len() - start);
            strings.push(&rest[start..start + inside]);
            (start + inside + end.len()).min(rest.len())
        } else if first == '"' {
            let inside = end_of_string(&rest[1..]);
            strings.push(&rest[1..1 + inside]);
            (inside + 2).min(rest.len())
        } else if let Some(len) = char_literal(rest) {
            len
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[len..];
    }
    (code, strings)
}

/// Bytes of the beginning of a raw string.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let inside = hashes.trim_start_matches('#').strip_prefix('"')?;
    Some(text.len() - inside.len())
}

/// Bytes up to the quote that ends a string.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().find(|&(_, c)| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// Bytes of a character literal, which a lifetime is not.
fn char_literal(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let mut chars = inside.char_indices();
    if inside.starts_with('\\') {
        chars.nth(1);
        return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 2);
    }
    chars.next();
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2)
}

/// The rooms named by `crate::room`, also inside `crate::{…}`.
fn used_by(code: &str) -> Vec<&str> {
    first_segments(code, "crate::")
}

/// The identifiers that follow a path's beginning: one, or those of a brace group.
fn first_segments<'a>(code: &'a str, beginning: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(beginning) {
        let rest = &code[at + beginning.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(identifier(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    found.push(identifier(group[start..i].trim_start()));
                    start = i + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Documentation may link anywhere. A `//` after a colon is an address inside a string.
fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let comment = line.match_indices("//").map(|(at, _)| at).find(|&at| !line[..at].ends_with(':'));
        line[..comment.unwrap_or(line.len())].to_owned() + "\n"
    };
    text.lines().map(code).collect()
}

fn file_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!("{path}: {lines} lines, more than {MOST_LINES}: two files"));
    }
    let unfinished = UNFINISHED.iter().filter(|mark| text.contains(*mark));
    faults.extend(unfinished.map(|mark| format!("{path}: {mark} is unfinished work")));
    faults
}

/// The checkers above, on files that break each rule and on one that breaks none.
#[test]
fn the_checkers_see_what_they_should() {
    let fine = "//! [`crate::cli`]\nuse crate::{device::{Buf, Gpu}, error};\nuse super::affine; // crate::subset\nlet a = \"http://crate\";\n";
    assert_eq!(room_faults("src/model/pool.rs", fine), [""; 0]);
    assert_eq!(room_faults("src/main.rs", "use crate::cli;"), [""; 0]);
    assert_eq!(room_faults("src/device/mod.rs", "use crate::device::x; use wgpu::Device; use super::*;"), [""; 0]);
    assert_eq!(room_faults("src/subset/mod.rs", "use crate::{data, optimise};"), [""; 0]);
    let beside = "/// within --budget, \" unpaired\nlet i = n--1; /* \"--out\" */ let c = '\\''; let times = '×';\n\
        f(\"a -- b, --1, x--\"); // \"--seed\"\n";
    assert_eq!(room_faults("src/subset/mod.rs", beside), [""; 0]);
    assert_eq!(room_faults("src/cli/run.rs", "use clap::Args; f(\"--out\")"), [""; 0]);

    let broken = [
        ("src/model/pool.rs", "use crate::objective::Objective;", "model uses objective, which is not below it"),
        ("src/program.rs", "fn f() { crate::kernels::matmul::f() }", "program uses kernels, which is not below it"),
        ("src/kernels/mod.rs", "use crate::{\n    device::{Buf, Gpu},\n    model::Layer,\n};", "kernels uses model"),
        ("src/objective/mod.rs", "use crate::data::Dataset;", "objective uses data, which is not below it"),
        ("src/report/mod.rs", "use crate::checkpoint::Checkpoint;", "report uses checkpoint"),
        ("src/error/mod.rs", "use crate::data::Dataset;", "error uses data"),
        ("src/shape.rs", "use crate::error::Error;", "shape uses error"),
        ("src/data/mod.rs", "let a = \"https://x\"; crate::device::lock();", "data uses device"),
        ("src/optimise/mod.rs", "use crate::nowhere::X;", "optimise uses nowhere, which is no room"),
        ("src/model/mod.rs", "use super::subset::Subset;", "super::subset should be crate::subset"),
        ("src/model/pool.rs", "use super::super::cli::Cli;", "super::super::cli should be crate::cli"),
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

    assert_eq!(file_faults("src/a.rs", &"\n".repeat(MOST_LINES)), [""; 0]);
    assert!(file_faults("src/a.rs", &"\n".repeat(MOST_LINES + 1))[0].contains("401 lines"));
    for mark in UNFINISHED {
        assert!(file_faults("src/a.rs", &format!("fn f() {{ {mark} }}"))[0].contains("unfinished"));
    }
}
