//! Reading the repository's own code: its files, and what of a file is code, a string, a path.

use std::fs;
use std::path::{Path, PathBuf};

const CODE: [&str; 5] = ["rs", "wgsl", "py", "sh", "ps1"];

/// Where the repository is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of code in a folder, with forward slashes, from the root of the repository; none where there is no such
/// folder.
pub fn files(folder: &str) -> Vec<String> {
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

/// The text of a file.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Code as it runs: without the tests at its end.
pub fn without_tests(code: &str) -> &str {
    &code[..code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len())]
}

/// A Rust file without comments and literals, and the contents of its string literals.
pub fn code_and_strings(text: &str) -> (String, Vec<&str>) {
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

/// The paths in code that begin in a certain way, without that beginning: of `super::{a, b::C}` these are a and b::C.
pub fn paths(code: &str, beginning: &str) -> Vec<String> {
    let is_first = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'));
    let ends = code.match_indices(beginning).filter(|&(at, _)| is_first(at)).map(|(at, found)| at + found.len());
    ends.flat_map(|end| paths_from(&code[end..]).0).collect()
}

/// The paths that a text begins with, and the bytes that they take.
fn paths_from(text: &str) -> (Vec<String>, usize) {
    if text.starts_with('{') {
        return paths_of_group(text);
    }
    let name = identifier(text);
    match text[name.len()..].strip_prefix("::").map(paths_from) {
        _ if name.is_empty() => (Vec::new(), 0),
        Some((inner, len)) if !inner.is_empty() => {
            (inner.iter().map(|path| format!("{name}::{path}")).collect(), name.len() + 2 + len)
        }
        _ => (vec![name.to_owned()], name.len()),
    }
}

fn paths_of_group(text: &str) -> (Vec<String>, usize) {
    let (mut found, mut at) = (Vec::new(), 1);
    loop {
        at += text[at..].len() - text[at..].trim_start_matches(|c: char| c.is_whitespace() || c == ',').len();
        if at >= text.len() || text[at..].starts_with('}') {
            return (found, (at + 1).min(text.len()));
        }
        let (paths, len) = paths_from(&text[at..]);
        found.extend(paths);
        at += len;
        at += text[at..].find([',', '}']).unwrap_or(text.len() - at); // a new name after `as`
    }
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[test]
fn paths_are_found_and_groups_unfolded() {
    let code =
        "use crate::a::{b, c::{D, E as F},\n g::*};\nlet x = crate::h::i::<u8>(); my_crate::no; super::crate::no;";
    assert_eq!(paths(code, "crate::"), ["a::b", "a::c::D", "a::c::E", "a::g", "h::i"]);
    assert_eq!(paths("super::super::x::Y", "super::"), ["super::x::Y"]);
}
