//! The shaders' house rules, and every specialisation in use translated for Vulkan, DirectX 12 and Metal without a
//! device of theirs.

#[path = "../common/mod.rs"]
mod common;

mod barriers;
mod host;
mod names;
mod rules;
mod translate;
mod words;

use gpu_subset::device::Profile;
use gpu_subset::kernels::SHADERS;
use gpu_subset::program::{PRELUDES, Shader, imports};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The folder of functions put after shaders.
const PRELUDES_FOLDER: &str = "prelude";

/// The stems of the files in a folder of shaders, sorted.
fn files(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file != PRELUDES_FOLDER)
        .map(|file| file.strip_suffix(".wgsl").unwrap_or_else(|| panic!("{file} is no shader")).to_owned())
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_is_registered_and_every_registered_shader_is_a_file() {
    let mut registered: Vec<&str> = SHADERS.iter().map(|shader| shader.name).collect();
    registered.sort_unstable();
    assert_eq!(files("shaders"), registered, "files of shaders/ on the left, kernels::SHADERS on the right");

    let texts = PRELUDES.iter().flat_map(|prelude| prelude.texts);
    let registered: BTreeSet<&str> = texts.clone().map(|text| text.name).collect();
    let found = files("shaders/prelude");
    assert!(found.iter().eq(registered.iter()), "shaders/prelude/ has {found:?}, program::PRELUDES {registered:?}");
    let sources = SHADERS.iter().map(|shader| shader.source).chain(texts.map(|text| text.source));
    let imported: BTreeSet<&str> = sources.flat_map(imports).collect();
    let unused: Vec<_> = PRELUDES.iter().map(|prelude| prelude.name).filter(|name| !imported.contains(name)).collect();
    assert!(unused.is_empty(), "nothing imports {unused:?}");
}

#[test]
fn every_shader_keeps_the_rules() {
    let all = Profile::ALL.iter().flat_map(|profile| SHADERS.iter().map(move |shader| (shader, profile)));
    let faults: BTreeSet<String> = all.flat_map(|(shader, profile)| rules::faults(shader, profile)).collect();
    assert!(faults.is_empty(), "\n{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

/// A profile's position among all, a shader's name and its override constants.
type Specialisation = (usize, &'static str, Vec<(&'static str, usize)>);

/// Every specialisation in use under every profile; nothing where there is no adapter and that is allowed.
fn specialisations() -> BTreeSet<Specialisation> {
    let mut all = BTreeSet::new();
    for gpu in common::gpus_with(|profile| profile) {
        common::in_use::record_all(&gpu);
        let profile = Profile::ALL.iter().position(|profile| *profile == gpu.profile).unwrap();
        all.extend(gpu.specialisations().into_iter().map(|(name, constants)| (profile, name, constants)));
    }
    all
}

#[test]
fn every_specialisation_in_use_translates() {
    let specialisations = specialisations();
    if specialisations.is_empty() {
        return; // no adapter, which the environment allows: nothing was recorded
    }
    let by_name: BTreeMap<&str, &Shader> = SHADERS.iter().map(|shader| (shader.name, shader)).collect();
    let used: BTreeSet<&str> = specialisations.iter().map(|(_, name, _)| *name).collect();
    let unused: Vec<_> = by_name.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no program in tests/common/in_use.rs records {unused:?}: add one that does");

    let validator = translate::SpirvVal::find();
    let fault = |(profile, name, constants): &Specialisation| {
        let profile = &Profile::ALL[*profile];
        let translated = translate::Specialised::new(by_name[name], profile, constants).and_then(|specialised| {
            rules::check_sizes(&specialised.module)?;
            specialised.translate(validator.as_ref())
        });
        translated.err().map(|why| format!("{name} {constants:?} of {profile:?}: {why}"))
    };
    let all: Vec<_> = specialisations.iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let part = |i: usize| all.iter().skip(i).step_by(threads).filter_map(|one| fault(one)).collect::<Vec<_>>();
        let parts: Vec<_> = (0..threads).map(|i| scope.spawn(move || part(i))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let checked = if validator.is_some() { "and checked with spirv-val" } else { "spirv-val: not on the PATH" };
    println!("{} specialisations of {} shaders translated, {checked}", specialisations.len(), used.len());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
