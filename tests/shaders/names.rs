//! Who defines the names that a WGSL file refers to: itself, a prelude that it imports, or, for a prelude, its
//! surroundings, which it says at its head. On the words of each file, before they are composed; that a name is defined
//! at all, naga sees.

use crate::words::{Word, item_len, words};
use gpu_subset::program::{PRELUDES, TEXT_CONSTANTS, imports};
use std::collections::{BTreeMap, BTreeSet};

/// Names, one of each.
type Names = BTreeSet<String>;

/// What each prelude defines, in any of its texts.
pub type Table = BTreeMap<&'static str, Names>;

/// How a prelude's head begins to say what it needs of its surroundings.
const NEEDS: &str = "// needs:";

/// What begins a definition.
const KEYWORDS: [&str; 6] = ["alias", "const", "fn", "override", "struct", "var"];

/// A file's names.
pub struct File<'a> {
    name: &'a str,
    source: &'a str,
    imports: Vec<&'a str>,
    needs: Vec<&'a str>,
    /// At module scope.
    defined: Names,
    /// Of module scope, here or elsewhere, or of WGSL.
    referenced: Names,
}

/// The table of the preludes there are.
pub fn table() -> Table {
    let files = PRELUDES.iter().flat_map(|prelude| prelude.texts.iter().map(move |text| (prelude.name, text)));
    let mut table = Table::new();
    for (name, text) in files {
        table.entry(name).or_default().extend(File::read(text.name, text.source).defined);
    }
    table
}

impl<'a> File<'a> {
    pub fn read(name: &'a str, source: &'a str) -> Self {
        let needs = source.lines().filter_map(|line| line.strip_prefix(NEEDS));
        let mut file = Self {
            name,
            source,
            imports: imports(source).collect(),
            needs: needs.flat_map(|names| names.split(',')).map(str::trim).collect(),
            defined: Names::new(),
            referenced: Names::new(),
        };
        let words = words(source);
        let mut rest = &words[..];
        while !rest.is_empty() {
            let (item, after) = rest.split_at(item_len(rest));
            file.read_item(item);
            rest = after;
        }
        file
    }

    /// A function, or all else that ends at a semicolon or a brace.
    fn read_item(&mut self, item: &[Word<'_>]) {
        let Some(keyword) = item.iter().position(|word| KEYWORDS.contains(&word.text)) else { return };
        let rest = &item[keyword + 1..];
        let of_type = rest.iter().position(|word| word.text == ">").filter(|_| rest[0].text == "<");
        let name = keyword + 1 + of_type.map_or(0, |at| at + 1);
        self.define(item[name].text, &rest[..name - keyword - 1]);
        let is_function = item[keyword].text == "fn";
        let locals = item.iter().enumerate().filter(|&(i, _)| is_function && is_local(item, name, i));
        let locals: BTreeSet<&str> = locals.map(|(_, word)| word.text).collect();
        for (i, word) in item.iter().enumerate().filter(|&(i, _)| i <= keyword || i > name) {
            let is_member = i > 0 && [".", "@"].contains(&item[i - 1].text);
            let is_declared = item.get(i + 1).is_some_and(|next| next.text == ":");
            if word.is_name && !is_member && !is_declared && !locals.contains(word.text) {
                self.referenced.insert(word.text.to_owned());
            }
        }
    }

    /// A definition by its name; quads by the functions that they are accessed with. `space` is `<quads, read>` or the
    /// like.
    fn define(&mut self, name: &str, space: &[Word<'_>]) {
        if space.get(1).is_none_or(|word| word.text != "quads") {
            self.defined.insert(name.to_owned());
            return;
        }
        let access = space[3].text;
        let verbs = [("load", access.starts_with("read")), ("store", access.ends_with("write"))];
        self.defined.extend(verbs.iter().filter(|(_, is)| *is).map(|(verb, _)| format!("{verb}_{name}")));
    }

    /// What it refers to and does not define.
    fn free(&self) -> impl Iterator<Item = &String> {
        self.referenced.difference(&self.defined)
    }

    fn is_needed(&self, name: &str) -> bool {
        self.needs.contains(&name)
    }

    /// What its imports define.
    fn given<'t>(&self, table: &'t Table) -> BTreeSet<&'t str> {
        self.imports.iter().filter_map(|&import| table.get(import)).flatten().map(String::as_str).collect()
    }
}

/// Whether word `i` of a function, whose name is word `name`, declares a name: a parameter, a variable, what a line is
/// unrolled by. Such a name counts for all of the function.
fn is_local(item: &[Word<'_>], name: usize, i: usize) -> bool {
    let before = |n: usize| i.checked_sub(n).map_or("", |at| item[at].text);
    let body = item.iter().position(|word| word.text == "{").unwrap_or(item.len());
    let is_parameter = (name + 1..body).contains(&i) && item[i + 1].text == ":";
    let is_variable = ["let", "var", "const"].contains(&before(1)) || (before(1) == "(" && before(2) == "unroll");
    item[i].is_name && (is_parameter || is_variable)
}

/// The faults of a shader and of the preludes it is composed with.
pub fn faults(shader: &File<'_>, preludes: &[File<'_>], table: &Table) -> Vec<String> {
    let mut faults = [head_faults(shader), import_faults(shader, table)].concat();
    if !shader.needs.is_empty() {
        faults.push(format!("needs {:?}: only a prelude has surroundings", shader.needs));
    }
    for prelude in preludes {
        let others = preludes.iter().filter(|other| other.name != prelude.name).chain([shader]);
        let outside = others.flat_map(|other| &other.defined).map(String::as_str).chain(TEXT_CONSTANTS).collect();
        let of_prelude = [head_faults(prelude), import_faults(prelude, table), need_faults(prelude, &outside, table)];
        faults.extend(of_prelude.concat().iter().map(|fault| format!("prelude/{}: {fault}", prelude.name)));
    }
    faults
}

/// Imports follow the comment that a file begins with, in which a prelude says what it needs.
fn head_faults(file: &File<'_>) -> Vec<String> {
    let comment = file.source.lines().take_while(|line| line.starts_with("//"));
    let after = file.source.lines().skip_while(|line| line.starts_with("//"));
    let imports = after.take_while(|line| line.starts_with("#import ")).count();
    let needs = comment.filter(|line| line.starts_with(NEEDS)).count();
    let lines = |with: &str| file.source.lines().filter(|line| line.contains(with)).count();
    let mut faults = Vec::new();
    if imports != lines("#import") {
        faults.push("an #import is not right after the comment at the head".to_owned());
    }
    if needs != lines(NEEDS) {
        faults.push(format!("\"{NEEDS}\" is not in the comment at the head"));
    }
    faults
}

/// Every import is a prelude's, once, and used; whatever comes from a prelude is imported or, by a prelude, asked for.
fn import_faults(file: &File<'_>, table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for (i, import) in file.imports.iter().enumerate() {
        match table.get(import) {
            None => faults.push(format!("imports {import}, which is no prelude")),
            Some(_) if file.imports[..i].contains(import) => faults.push(format!("imports {import} twice")),
            Some(given) if file.referenced.is_disjoint(given) => {
                faults.push(format!("imports {import} and uses nothing of it"));
            }
            Some(_) => {}
        }
    }
    let given = file.given(table);
    for name in file.free().filter(|name| !given.contains(name.as_str()) && !file.is_needed(name)) {
        let from: Vec<_> = table.iter().filter(|(_, given)| given.contains(name)).map(|(prelude, _)| prelude).collect();
        if !from.is_empty() {
            faults.push(format!("uses {name} of {from:?} without importing it"));
        }
    }
    faults
}

/// A prelude needs exactly what it refers to and neither defines nor imports, and all of it is there.
fn need_faults(prelude: &File<'_>, outside: &BTreeSet<&str>, table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let given = prelude.given(table);
    for &need in &prelude.needs {
        if prelude.defined.contains(need) || given.contains(need) {
            faults.push(format!("needs {need}, which it defines or imports"));
        } else if !prelude.referenced.contains(need) {
            faults.push(format!("needs {need} and does not refer to it"));
        } else if !outside.contains(need) {
            faults.push(format!("needs {need}, which is not there"));
        }
    }
    let silent = |name: &&String| !given.contains(name.as_str()) && !prelude.is_needed(name);
    let silent = prelude.free().filter(|name| outside.contains(name.as_str())).filter(silent);
    faults.extend(silent.map(|name| format!("refers to {name} and does not say that it needs it")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHADER: &str = "\
// good: y = twice x
#import twice
override LEN: u32;
@group(0) @binding(0) var<quads, read>  x: array<vec4f>;
@group(0) @binding(1) var<quads, write> y: array<vec4f>;
@compute @workgroup_size(LEN)
fn main(@builtin(global_invocation_id) id: vec3u) { unroll(k, SPAN) { twice(k); } }
";
    const TWICE: &str = "\
// Twice.
// needs: load_x, store_y
// needs: LEN
#import sum

const FACTOR = 2.0;

fn twice(load: u32) {
  let three = Pair(load, LEN); // three.hidden
  for (var i = three.first; i < LEN; i++) { store_y(i, add(load_x(i)) * FACTOR); }
}
";
    const SUM: &str = "struct Pair { first: u32, add: u32 }\nfn add(x: vec4f) -> vec4f { return x; }\n";
    const OTHER: &str = "fn other() {}\n";

    fn found(shader: &str, twice: &str) -> Vec<String> {
        let read = |name, text| File::read(name, text);
        let table = [("twice", TWICE), ("sum", SUM), ("other", OTHER)];
        let table = table.into_iter().map(|(name, text)| (name, read(name, text).defined)).collect();
        faults(&read("good", shader), &[read("sum", SUM), read("twice", twice)], &table)
    }

    #[test]
    fn names_are_defined_where_they_should_be() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Names>();
        assert_eq!(File::read("good", SHADER).defined, names(&["LEN", "load_x", "main", "store_y"]));
        assert_eq!(File::read("sum", SUM).defined, names(&["Pair", "add"]));
        assert_eq!(found(SHADER, TWICE), [""; 0]);
    }

    #[test]
    fn every_rule_can_be_broken() {
        let of_shader = [
            ("imports nothing, which is no prelude", SHADER.replace("import twice", "import nothing")),
            ("imports twice twice", SHADER.replace("#import twice", "#import twice\n#import twice")),
            ("imports other and uses nothing", SHADER.replace("#import twice", "#import twice\n#import other")),
            ("uses twice of [\"twice\"] without", SHADER.replace("#import twice\n", "")),
            ("uses add of [\"sum\"] without", SHADER.replace("twice(k);", "twice(k); add(vec4f());")),
            ("needs LEN, which is not there", SHADER.replace("LEN", "LENGTH")),
            ("needs store_y, which is not there", SHADER.replace("quads, write", "quads, read")),
            ("only a prelude has surroundings", SHADER.replace("#import", "// needs: LEN\n#import")),
            ("#import is not right after", SHADER.replace("#import twice\n", "") + "#import twice\n"),
        ];
        let of_prelude = [
            ("prelude/twice: imports other and uses", TWICE.replace("#import", "#import other\n#import")),
            ("prelude/twice: uses add of [\"sum\"] without", TWICE.replace("#import sum\n", "")),
            ("prelude/twice: uses other of", TWICE.replace("add(load", "other(load")),
            ("needs FACTOR, which it defines", TWICE.replace("needs: LEN", "needs: LEN, FACTOR")),
            ("needs add, which it defines or imports", TWICE.replace("needs: LEN", "needs: LEN, add")),
            ("needs hidden and does not", TWICE.replace("needs: LEN", "needs: LEN, hidden")),
            ("refers to LEN and does not say", TWICE.replace("// needs: LEN\n", "")),
            ("refers to SPAN and does not say", TWICE.replace("* FACTOR", "* FACTOR * SPAN")),
            ("is not in the comment at the head", TWICE.replace("// needs: LEN\n", "") + "// needs: LEN\n"),
        ];
        let all = of_shader.map(|(expected, shader)| (expected, shader, TWICE.to_owned()));
        let all = all.into_iter().chain(of_prelude.map(|(expected, twice)| (expected, SHADER.to_owned(), twice)));
        for (expected, shader, twice) in all {
            let found = found(&shader, &twice);
            assert!(found.iter().any(|f| f.contains(expected)), "no {expected:?} in {found:?} for\n{shader}{twice}");
        }
    }
}
