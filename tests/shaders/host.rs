//! What shaders and their host functions both say: sizes by name, and the rows of tables.

use crate::translate::parse;
use gpu_subset::device::Profile;
use gpu_subset::kernels::jobs::{JOBS, JobLayout};
use gpu_subset::kernels::{SHADERS, SIZES};
use naga::{Expression, Literal, Module, TypeInner};
use std::collections::BTreeSet;

/// How the name of a row's type ends.
const JOB: &str = "Job";

#[test]
fn shaders_and_host_agree_on_sizes() {
    let mut faults = BTreeSet::new();
    let mut declared = BTreeSet::new();
    for (shader, profile) in SHADERS.iter().flat_map(|shader| Profile::ALL.iter().map(move |profile| (shader, profile)))
    {
        let (module, _) = parse(shader, profile, &[]).unwrap();
        faults.extend(
            size_faults(&shader.wgsl(profile, &[]), &module, SIZES)
                .iter()
                .map(|fault| format!("{}: {fault}", shader.name)),
        );
        declared.extend(module.constants.iter().filter_map(|(_, constant)| constant.name.clone()));
    }
    let unknown = SIZES.iter().filter(|(name, _)| !declared.contains(*name));
    faults.extend(unknown.map(|(name, _)| format!("no shader declares {name} of kernels::SIZES")));
    assert!(faults.is_empty(), "\n{faults:#?}");
}

#[test]
fn shaders_and_host_agree_on_rows_of_tables() {
    let mut faults = Vec::new();
    for shader in SHADERS {
        let (module, _) = parse(shader, &Profile::PORTABLE, &[]).unwrap();
        let layouts: Vec<JobLayout> = JOBS.iter().filter(|layout| layout.shader == shader.name).copied().collect();
        faults.extend(layout_faults(&module, &layouts).iter().map(|fault| format!("{}: {fault}", shader.name)));
    }
    let strays = JOBS.iter().filter(|layout| SHADERS.iter().all(|shader| shader.name != layout.shader));
    faults.extend(strays.map(|layout| format!("{} is of {}, which is no shader", layout.name, layout.shader)));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Constants with the name of a size that are anything but that size.
fn size_faults(wgsl: &str, module: &Module, sizes: &[(&str, usize)]) -> Vec<String> {
    let declared = sizes.iter().filter(|(name, _)| wgsl.contains(&format!("const {name} ")));
    let faults = declared.filter_map(|&(name, size)| {
        // naga drops a constant without a type of its own, such as 8 for 8u
        let constant = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name));
        let value = constant.map(|(_, constant)| &module.global_expressions[constant.init]);
        let is_equal = matches!(value, Some(Expression::Literal(Literal::U32(value))) if *value as usize == size);
        (!is_equal).then(|| format!("{name} is {value:?}, on the host {size}"))
    });
    faults.collect()
}

/// Differences between the rows of a shader and the layouts that the host has for it.
fn layout_faults(module: &Module, layouts: &[JobLayout]) -> Vec<String> {
    let rows: Vec<_> = module.types.iter().filter_map(|(_, t)| Some((t.name.as_deref()?, &t.inner))).collect();
    let mut faults = Vec::new();
    for (name, _) in rows.iter().filter(|(name, _)| name.ends_with(JOB)) {
        if layouts.iter().all(|layout| layout.name != *name) {
            faults.push(format!("{name} is not in kernels::jobs"));
        }
    }
    for layout in layouts {
        let Some((name, TypeInner::Struct { members, span })) = rows.iter().find(|(name, _)| *name == layout.name)
        else {
            faults.push(format!("has no struct {}", layout.name));
            continue;
        };
        let fields = members.iter().map(|member| (member.name.as_deref().unwrap_or_default(), member.offset as usize));
        let fields: Vec<_> = fields.collect();
        if fields != layout.fields || *span as usize != layout.size {
            faults.push(format!("{name} has {fields:?} in {span} bytes, on the host {layout:?}"));
        }
    }
    faults
}

#[test]
fn every_disagreement_is_seen() {
    let module = |source: &str| naga::front::wgsl::parse_str(source).unwrap();
    let sizes = |wgsl: &str| size_faults(wgsl, &module(wgsl), &[("MOST", 8)]);
    assert_eq!(sizes("const MOST = 8u; const OTHER = 9u; override LESS = 7u;"), [""; 0]);
    assert_eq!(sizes("const HALF = 4u; const MOST = 2u * HALF;"), [""; 0]);
    for broken in ["const MOST = 9u;", "const MOST = 8.0;", "const MOST = 8;"] {
        assert!(sizes(broken)[0].contains("on the host 8"), "{broken}");
    }

    let layout = JobLayout { shader: "s", name: "GoodJob", fields: &[("a", 0), ("b", 4)], size: 8 };
    let found = |wgsl: &str| layout_faults(&module(wgsl), &[layout]);
    assert_eq!(found("struct GoodJob { a: u32, b: u32 }\nstruct Place { x: u32 }"), [""; 0]);
    for (broken, expected) in [
        ("struct GoodJob { b: u32, a: u32 }", "on the host"),
        ("struct GoodJob { a: u32, b: u32, c: u32 }", "in 12 bytes"),
        ("struct GoodJob { a: u32, @align(16) b: u32 }", "(\"b\", 16)"),
        ("struct GoodJob { a: u32, b: u32 }\nstruct BadJob { a: u32 }", "BadJob is not in"),
        ("struct Job { a: u32, b: u32 }", "has no struct GoodJob"),
    ] {
        let found = found(broken);
        assert!(found.iter().any(|fault| fault.contains(expected)), "no {expected:?} in {found:?} for {broken}");
    }
}
