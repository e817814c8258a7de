//! Circles among the files of a room: a file that uses another which, by whatever way, uses it. `mod.rs` counts as a
//! file, so it is a table of contents, or else nothing that is in it comes from the files that use it.

use super::source::{code_and_strings, paths, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// Where a module is: the names from its room on, none of them for the room's `mod.rs`.
type Module = Vec<String>;

/// One circle of each room that has any.
pub fn faults(sources: &[(String, String)]) -> Vec<String> {
    let mut rooms: BTreeMap<&str, BTreeMap<Module, &str>> = BTreeMap::new();
    for (path, text) in sources {
        let inside: Vec<&str> = path.trim_end_matches(".rs").split('/').skip(1).collect();
        if let Some((room, module)) = inside.split_first().filter(|(_, module)| !module.is_empty()) {
            let names = module.iter().filter(|name| **name != "mod").map(|name| (*name).to_owned());
            rooms.entry(room).or_default().insert(names.collect(), text);
        }
    }
    rooms.iter().filter_map(|(room, modules)| circle(room, modules)).collect()
}

fn circle(room: &str, modules: &BTreeMap<Module, &str>) -> Option<String> {
    let uses: BTreeMap<_, _> = modules.iter().map(|(m, text)| (m, used_by(room, m, text, modules))).collect();
    let mut done = BTreeSet::new();
    let found = modules.keys().find_map(|start| search(start, &uses, &mut Vec::new(), &mut done))?;
    let names = found.iter().map(|module| if module.is_empty() { "mod".to_owned() } else { module.join("/") });
    Some(format!("src/{room}: a circle of files: {}", names.collect::<Vec<_>>().join(" → ")))
}

/// The first circle on a way on from `module`; `way` led here.
fn search<'a>(
    module: &'a Module,
    uses: &BTreeMap<&'a Module, BTreeSet<&'a Module>>,
    way: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<&'a Module>> {
    if let Some(at) = way.iter().position(|earlier| *earlier == module) {
        return Some(way[at..].iter().copied().chain([module]).collect());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module);
    let found = uses[module].iter().find_map(|next| search(next, uses, way, done));
    way.pop();
    done.insert(module);
    found
}

/// The files of the room that a file uses, its tests aside.
fn used_by<'a>(room: &str, module: &Module, text: &str, modules: &'a BTreeMap<Module, &str>) -> BTreeSet<&'a Module> {
    let (code, _) = code_and_strings(text);
    let code = without_tests(&code);
    let mut found: Vec<Module> = Vec::new();
    for path in paths(code, "super::") {
        let names: Vec<&str> = path.split("::").collect();
        let more = names.iter().take_while(|name| **name == "super").count();
        if let Some(kept) = module.len().checked_sub(1 + more) {
            let below = names[more..].iter().map(|name| (*name).to_owned());
            found.push(module[..kept].iter().cloned().chain(below).collect());
        }
    }
    found.extend(paths(code, &format!("crate::{room}::")).iter().map(|path| segments(path)));
    let children = modules.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
    for child in children {
        let below = paths(code, &format!("{}::", child[module.len()]));
        found.extend(below.iter().map(|path| [child.clone(), segments(path)].concat()));
    }
    // a name in a file, or the file itself
    let file = |path: &Module| (0..=path.len()).rev().find_map(|len| modules.get_key_value(&path[..len]));
    found.iter().filter_map(file).map(|(other, _)| other).filter(|other| *other != module).collect()
}

fn segments(path: &str) -> Module {
    path.split("::").map(str::to_owned).collect()
}

#[test]
fn the_checker_of_circles_sees_what_it_should() {
    let room = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| (format!("src/room/{path}.rs"), (*text).to_owned());
        faults(&files.iter().map(file).collect::<Vec<_>>())
    };
    let contents = ("mod", "mod a;\nmod b;\npub use a::A;\npub use b::{B, c::C};\n");
    let fine =
        [contents, ("a", "use super::b::B;"), ("b", "mod c;\npub struct B;"), ("b/c", "use crate::other::a::A;")];
    assert_eq!(room(&fine), [""; 0]);
    let in_a_test = ("b", "#[cfg(test)]\nmod tests { use super::super::a::A; }");
    assert_eq!(room(&[contents, ("a", "use super::b::B;"), in_a_test]), [""; 0]);
    let broken: [(&[(&str, &str)], &str); 5] = [
        (&[("a", "use super::b::B;"), ("b", "use super::{a::A, x};")], "a → b → a"),
        (&[("a", "use super::b::B;"), ("b", "fn f() { crate::room::a::f() }")], "a → b → a"),
        (&[("a", "super::b::f()"), ("b", "use super::c;"), ("c", "use super::a;")], "a → b → c → a"),
        (&[contents, ("a", "use super::B;"), ("b", "")], "mod → a → mod"),
        (&[("b", "use c::C;"), ("b/c", "use super::B;")], "b → b/c → b"),
    ];
    for (files, expected) in broken {
        assert_eq!(room(files), [format!("src/room: a circle of files: {expected}")], "{files:?}");
    }
}
