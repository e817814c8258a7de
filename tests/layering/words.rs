//! What every file keeps to: length, width, no unfinished work; one name for one type, one place that prints.

use super::source::{code_and_strings, without_tests};
use std::collections::BTreeMap;

/// Lines of a file of code.
const MOST_LINES: usize = 400;

/// Columns of a line, comments too.
const MOST_COLUMNS: usize = 120;

/// Written in two parts, so that this file does not hold them.
const UNFINISHED: [&str; 3] = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];

/// What is wrong with a file of code.
pub fn file_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!("{path}: {lines} lines, more than {MOST_LINES}: two files"));
    }
    let columns = text.lines().map(|line| line.chars().count()).enumerate();
    let wide = columns.filter(|&(_, columns)| columns > MOST_COLUMNS);
    faults.extend(wide.map(|(i, columns)| format!("{path}:{}: {columns} columns, more than {MOST_COLUMNS}", i + 1)));
    let unfinished = UNFINISHED.iter().filter(|mark| text.contains(*mark));
    faults.extend(unfinished.map(|mark| format!("{path}: {mark} is unfinished work")));
    faults
}

/// Macros that panic where a stream is gone, and the file that writes to streams in their place.
const PRINTING: [&str; 5] = ["println!", "eprintln!", "print!", "eprint!", "dbg!"];
const WRITES: &str = "src/cli/output.rs";

/// Who prints by himself, tests aside.
pub fn printing_faults(sources: &[(String, String)]) -> Vec<String> {
    let faults = sources.iter().flat_map(|(path, text)| {
        let (code, _) = code_and_strings(text);
        let code = without_tests(&code);
        let is_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let uses = |name: &&&str| code.match_indices(**name).any(|(at, _)| is_word(at));
        let found: Vec<_> = PRINTING.iter().filter(uses).collect();
        found
            .into_iter()
            .map(|name| format!("{path}: {name} panics where nobody reads: {WRITES} says it"))
            .collect::<Vec<_>>()
    });
    faults.collect()
}

/// Types of one name.
pub fn type_faults(sources: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, text) in sources {
        let (code, _) = code_and_strings(text);
        for name in without_tests(&code).lines().filter_map(type_name) {
            places.entry(name.to_owned()).or_default().push(path);
        }
    }
    let shared = places.into_iter().filter(|(_, paths)| paths.len() > 1);
    shared.map(|(name, paths)| format!("{name} is a type in each of {}", paths.join(", "))).collect()
}

/// The type that a line at the margin defines.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let is_visibility = |word: &&str| matches!(*word, "pub" | "crate" | "super");
    let keyword = words.find(|word| !is_visibility(word)).filter(|_| !line.starts_with(' '))?;
    if matches!(keyword, "struct" | "enum" | "trait" | "type" | "union") { words.next() } else { None }
}

#[test]
fn the_checkers_of_files_see_what_they_should() {
    assert_eq!(file_faults("src/a.rs", &"\n".repeat(MOST_LINES)), [""; 0]);
    assert!(file_faults("src/a.rs", &"\n".repeat(MOST_LINES + 1))[0].contains("401 lines"));
    assert_eq!(file_faults("src/a.rs", &"×".repeat(MOST_COLUMNS)), [""; 0]);
    assert!(file_faults("src/a.rs", &format!("\n{}", "×".repeat(MOST_COLUMNS + 1)))[0].contains("a.rs:2: 121 columns"));
    for mark in UNFINISHED {
        assert!(file_faults("src/a.rs", &format!("fn f() {{ {mark} }}"))[0].contains("unfinished"));
    }
}

#[test]
fn the_checker_of_printing_sees_what_it_should() {
    let file = |text: &str| [("src/a.rs".to_owned(), text.to_owned())];
    for fine in ["// println!()\nlet s = \"dbg!\"; my_print!(); write!(f)", "#[cfg(test)]\nmod tests { println!(); }"] {
        assert_eq!(printing_faults(&file(fine)), [""; 0]);
    }
    for name in PRINTING {
        let faults = printing_faults(&file(&format!("fn f() {{ std::{name}(1) }}")));
        assert!(faults.len() == 1 && faults[0].contains(name), "{faults:?}");
    }
}

#[test]
fn the_checker_of_types_sees_what_it_should() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let a = file(
        "a",
        "pub struct Step<T>(T);\nimpl F for G { type Error = u8; }\n// struct Note;\npub(crate) enum Kind {}",
    );
    let b = file("b", "type Error = u8;\nlet s = \"\nstruct Step\";\n#[cfg(test)]\nmod tests {}\nstruct Step;");
    assert_eq!(type_faults(&[a.clone(), b.clone()]), [""; 0]);
    let c = file("c", "pub(super) trait Kind: Copy {}\nunion Step {}");
    assert_eq!(type_faults(&[a, b, c]), ["Kind is a type in each of a, c", "Step is a type in each of a, c"]);
}
