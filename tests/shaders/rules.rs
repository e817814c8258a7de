//! The house rules of a shader, on its text and on naga's module.

use crate::barriers;
use crate::names::{self, File};
use crate::translate::parse;
use gpu_subset::device::{MAX_BINDINGS, MAX_STORAGE, Profile};
use gpu_subset::program::{KIND, Prelude, Shader, imports};
use naga::valid::ModuleInfo;
use naga::{AddressSpace, GlobalVariable, ImageClass, Module, StorageAccess, TypeInner};
use std::collections::BTreeSet;

/// Lines of a file. The shortest reductions need a dozen; beyond the most, a kernel is two.
const LINES: std::ops::RangeInclusive<usize> = 10..=110;

/// Characters of a line.
const COLUMNS: usize = 120;

/// What WebGPU promises everywhere: workgroup memory in bytes, invocations of a workgroup, and those along each
/// dimension.
const WORKGROUP_BYTES: u32 = 16 << 10;
const INVOCATIONS: u32 = 256;
const SIDES: [u32; 3] = [256, 256, 64];

/// A namespace of DXC that naga does not rename away: as the name of a buffer or a function it fails on DirectX 12
/// alone.
const DXC_NAMESPACE: &str = "dx";

/// Every rule that a shader breaks as a profile composes it.
pub fn faults(shader: &Shader, profile: &Profile) -> Vec<String> {
    let mut faults = text_faults(shader);
    let table = names::table();
    if imports(shader.source).any(|name| !table.contains_key(name)) {
        faults.extend(names::faults(&File::read(shader.name, shader.source), &[], &table));
        return named(shader, faults); // it cannot be composed
    }
    faults.extend(composition_faults(shader, profile, &table));
    match parse(shader, profile, &[]) {
        Ok((module, info)) => {
            faults.extend(module_faults(&module));
            faults.extend(binding_faults(&module, &info));
            faults.extend(barriers::faults(&module));
        }
        Err(why) => faults.push(why),
    }
    named(shader, faults)
}

fn named(shader: &Shader, faults: Vec<String>) -> Vec<String> {
    faults.iter().map(|fault| format!("{}: {fault}", shader.name)).collect()
}

/// Of the shader and its preludes, with every activation.
fn composition_faults(shader: &Shader, profile: &Profile, table: &names::Table) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let kinds = Prelude::find("activation").map_or(1, |activation| activation.texts.len());
    for kind in 0..kinds {
        let preludes = shader.preludes(profile, &[(KIND, kind)]);
        let files: Vec<File<'_>> = preludes.iter().map(|text| File::read(text.name, text.source)).collect();
        faults.extend(names::faults(&File::read(shader.name, shader.source), &files, table));
        faults.extend(preludes.iter().flat_map(|text| width_faults(text.name, text.source)));
    }
    faults.into_iter().collect()
}

fn width_faults(name: &str, source: &str) -> Vec<String> {
    let columns = source.lines().zip(1..).map(|(line, number)| (line.chars().count(), number));
    let wide = columns.filter(|(columns, _)| *columns > COLUMNS);
    wide.map(|(columns, number)| format!("line {number} of {name} has {columns} columns")).collect()
}

fn text_faults(shader: &Shader) -> Vec<String> {
    let mut faults = Vec::new();
    let header = format!("// {}:", shader.name);
    if !shader.source.starts_with(&header) {
        faults.push(format!("does not start with \"{header}\" and what it computes"));
    }
    let lines = shader.source.lines().count();
    if !LINES.contains(&lines) {
        faults.push(format!("has {lines} lines, not {LINES:?}"));
    }
    faults.extend(width_faults(shader.name, shader.source));
    faults
}

fn module_faults(module: &Module) -> Vec<String> {
    let mut faults = Vec::new();
    let entry_points: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    if entry_points != ["main"] {
        faults.push(format!("entry points {entry_points:?} are not one main"));
    }
    for (_, constant) in module.overrides.iter() {
        let Some(name) = &constant.name else { continue }; // an expression of others, such as an array's length
        let is_upper = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_upper || constant.id.is_some() {
            faults.push(format!("override {name} is not an UPPER_CASE name without @id"));
        }
    }
    let variables = module.global_variables.iter().filter_map(|(_, variable)| variable.name.as_deref());
    let functions = module.functions.iter().filter_map(|(_, function)| function.name.as_deref());
    if variables.chain(functions).any(|name| name == DXC_NAMESPACE) {
        faults.push(format!("{DXC_NAMESPACE} is a namespace of DXC"));
    }
    faults
}

/// What a binding may be: a number, or storage that is read, or written.
enum Kind {
    Number,
    Input,
    Output,
}

fn kind(module: &Module, variable: &GlobalVariable) -> Option<Kind> {
    let stores = |access: StorageAccess| if access.contains(StorageAccess::STORE) { Kind::Output } else { Kind::Input };
    match (variable.space, &module.types[variable.ty].inner) {
        (AddressSpace::Storage { access }, _) => Some(stores(access)),
        (AddressSpace::Uniform, TypeInner::Scalar(_)) => Some(Kind::Number),
        (AddressSpace::Handle, TypeInner::Image { class: ImageClass::Storage { access, .. }, .. }) => {
            Some(stores(*access))
        }
        _ => None,
    }
}

/// In group 0, numbered from 0, inputs before outputs, each one used.
fn binding_faults(module: &Module, info: &ModuleInfo) -> Vec<String> {
    let mut faults = Vec::new();
    let bound = module.global_variables.iter().filter_map(|(at, v)| Some((v.binding?, at, v)));
    let mut bound: Vec<_> = bound.collect();
    bound.sort_by_key(|(binding, ..)| (binding.group, binding.binding));
    let stores = bound.iter().filter(|(_, _, v)| v.space != AddressSpace::Uniform).count();
    if bound.is_empty() || bound.len() > MAX_BINDINGS || stores > MAX_STORAGE as usize {
        faults.push(format!("has {} bindings, {stores} of them storage", bound.len()));
    }
    let mut saw_output = false;
    for ((binding, at, variable), expected) in bound.into_iter().zip(0..) {
        let name = variable.name.as_deref().unwrap_or_default();
        if (binding.group, binding.binding) != (0, expected) {
            let (group, number) = (binding.group, binding.binding);
            faults.push(format!("{name} is group {group} binding {number}, not group 0 binding {expected}"));
        }
        match kind(module, variable) {
            Some(Kind::Output) => saw_output = true,
            Some(_) if saw_output => faults.push(format!("input {name} comes after an output")),
            Some(_) => {}
            None => faults.push(format!("{name} is neither storage nor a number")),
        }
        if module.entry_points.is_empty() || info.get_entry_point(0)[at].is_empty() {
            faults.push(format!("{name} is not used"));
        }
    }
    faults
}

/// Whether a specialised shader fits into a workgroup everywhere.
pub fn check_sizes(module: &Module) -> Result<(), String> {
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
    let bytes: u32 = shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum();
    if bytes > WORKGROUP_BYTES {
        return Err(format!("{bytes} bytes of workgroup memory, more than {WORKGROUP_BYTES}"));
    }
    let size = module.entry_points[0].workgroup_size;
    let invocations: u32 = size.iter().product();
    if invocations > INVOCATIONS || size.iter().zip(SIDES).any(|(&n, most)| n > most) {
        return Err(format!("a workgroup of {size:?} invocations, more than {INVOCATIONS} or than {SIDES:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::Specialised;

    const GOOD: &str = "\
// good: out = x, reversed within a workgroup
override LANES: u32;
@group(0) @binding(0) var<storage, read>       x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
var<workgroup> shared_x: array<f32, LANES * 64>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) i: u32) {
  shared_x[i] = x[i];
  workgroupBarrier();
  if (i < arrayLength(&out)) { out[i] = shared_x[LANES - 1u - i]; }
}
";

    fn shader(source: String) -> Shader {
        Shader::new("good", source.leak())
    }

    #[test]
    fn a_good_shader_breaks_no_rule() {
        assert_eq!(faults(&shader(GOOD.to_owned()), &Profile::PORTABLE), [""; 0]);
    }

    #[test]
    fn a_barrier_that_all_meet_breaks_no_rule() {
        for met in [
            "if (LANES > 8u) { workgroupBarrier(); }",
            "for (var k = 0u; k < LANES; k++) { workgroupBarrier(); }",
            "for (var half = LANES / 2u; half > 0u; half /= 2u) \
             { workgroupBarrier(); if (i < half) { shared_x[i] += 1.0; } }",
            "wait(LANES * 2u);",
            "if (LANES > 8u) { return; } workgroupBarrier();",
            "for (var k = 0u; k < twice(LANES); k++) { workgroupBarrier(); }",
        ] {
            let source = GOOD.replace("workgroupBarrier();", met)
                + "fn wait(n: u32) { for (var k = 0u; k < n; k++) { workgroupBarrier(); } }\n"
                + "fn twice(n: u32) -> u32 { let m = 2u * n; return m; }\n";
            assert_eq!(faults(&shader(source), &Profile::PORTABLE), [""; 0], "{met}");
        }
    }

    /// Faults of a text and of what it imports, each with a source that has it.
    fn broken_texts() -> Vec<(&'static str, String)> {
        let total = GOOD.replace("override", "#import total\noverride").replace("= x[i]", "= total(vec4f(x[i]), i).x");
        vec![
            ("does not start with", GOOD.replace("good:", "other:")),
            ("lines, not", GOOD.lines().skip(1).take(4).collect()),
            ("lines, not", GOOD.to_owned() + &"//\n".repeat(110)),
            ("line 1 of good has 121 columns", GOOD.replace("reversed", &"r".repeat(84))),
            ("imports nothing, which is no prelude", GOOD.replace("override", "#import nothing\noverride")),
            ("imports philox and uses nothing", GOOD.replace("override", "#import philox\noverride")),
            ("uses unit of [\"philox\"]", GOOD.replace("= x[i]", "= unit(u32(x[i]))")),
            ("prelude/total_shared: needs ROWS, which is not there", total.clone()),
            ("does not parse", total),
        ]
    }

    /// Faults of entry points, overrides and bindings.
    fn broken_declarations() -> Vec<(&'static str, String)> {
        let swap = |a: &str, b: &str| GOOD.replace(a, "\0").replace(b, a).replace('\0', b);
        let more: String =
            (2..9).map(|i| format!("@group(0) @binding({i}) var<storage, read_write> b{i}: f32;\n")).collect();
        vec![
            ("not one main", GOOD.replace("fn main", "fn entry")),
            ("not one main", GOOD.to_owned() + "@compute @workgroup_size(1)\nfn second() {}\n"),
            ("UPPER_CASE", GOOD.replace("LANES", "Lanes")),
            ("UPPER_CASE", GOOD.replace("override", "@id(1) override")),
            ("dx is a namespace", GOOD.replace("out", "dx")),
            ("of them storage", GOOD.to_owned() + &more),
            ("b2 is not used", GOOD.to_owned() + &more),
            ("not group 0", GOOD.replace("group(0) @binding(1)", "group(1) @binding(1)")),
            ("not group 0 binding 1", GOOD.replace("binding(1)", "binding(2)")),
            ("comes after an output", swap("binding(0)", "binding(1)")),
            (
                "neither storage nor a number",
                GOOD.replace("<storage, read>       x: array<f32>", "<uniform> x: array<vec4f, 4>")
                    .replace("x[i];", "x[i].x;"),
            ),
            ("x is not used", GOOD.replace("= x[i]", "= 0.0")),
            (
                "is not valid",
                GOOD.replace(
                    "var<storage, read_write> out: array<f32>",
                    "var<storage, read_write> out: array<atomic<f32>>",
                ),
            ),
        ]
    }

    /// Faults of barriers.
    fn broken_barriers() -> Vec<(&'static str, String)> {
        vec![
            ("does not parse", GOOD.replace("workgroupBarrier", "barrier")),
            ("is not valid", GOOD.replace("workgroupBarrier", "subgroupBarrier")),
            ("a return before", GOOD.replace("  shared_x[i] = ", "  if (i > 7u) { return; }\n  shared_x[i] = ")),
            ("in a branch that some", GOOD.replace("workgroupBarrier();", "if (i < 8u) { workgroupBarrier(); }")),
            (
                "in a loop that some",
                GOOD.replace("workgroupBarrier();", "for (var k = i; k < 8u; k++) { workgroupBarrier(); }"),
            ),
            (
                "in a loop that some",
                GOOD.replace("workgroupBarrier();", "for (var k = 0u; k < twice(i); k++) { workgroupBarrier(); }")
                    + "fn twice(n: u32) -> u32 { return 2u * n; }\n",
            ),
            (
                "in a branch that some",
                GOOD.replace("workgroupBarrier();", "wait(i);")
                    + "fn wait(i: u32) { if (i < 8u) { workgroupBarrier(); } }\n",
            ),
            (
                "in a loop that some",
                GOOD.replace(
                    "workgroupBarrier();",
                    "var n = 8u; if (i > 3u) { n = 9u; } for (var k = 0u; k < n; k++) { workgroupBarrier(); }",
                ),
            ),
        ]
    }

    #[test]
    fn every_rule_can_be_broken() {
        for (expected, source) in [broken_texts(), broken_declarations(), broken_barriers()].concat() {
            let found = faults(&shader(source.clone()), &Profile::PORTABLE);
            assert!(found.iter().any(|fault| fault.contains(expected)), "no {expected:?} in {found:?} for\n{source}");
        }
    }

    #[test]
    fn a_specialisation_fits_into_a_workgroup() {
        let check = |source: String, lanes| {
            check_sizes(&Specialised::new(&shader(source), &Profile::PORTABLE, &[("LANES", lanes)])?.module)
        };
        assert_eq!(check(GOOD.to_owned(), 64), Ok(()));
        assert!(check(GOOD.to_owned(), 65).unwrap_err().contains("workgroup memory"));
        let small = GOOD.replace("LANES * 64", "LANES");
        assert_eq!(check(small.clone(), 256), Ok(()));
        assert!(check(small.clone(), 257).unwrap_err().contains("invocations"));
        assert!(check(small.replace("size(LANES)", "size(1, 1, LANES)"), 65).unwrap_err().contains("invocations"));
    }
}
