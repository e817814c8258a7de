//! Who may use whom: arrows point down only, between rooms and between the files of one; wgpu stays behind two rooms,
//! options are named in `cli` alone; files are short and finished, a type's name stands for one thing, and one file
//! prints.

mod circles;
mod rooms;
mod source;
mod words;

use source::{files, read};

/// Every folder that holds code.
const FOLDERS: [&str; 11] = [
    "src",
    "tests",
    "shaders",
    "tools",
    "examples",
    "benches",
    "experiments",
    "python/src",
    "python/gpu_subset",
    "python/tests",
    "python/benchmarks",
];

fn sources() -> Vec<(String, String)> {
    files("src").into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rooms_use_what_the_table_says() {
    none(&rooms::faults(&sources()));
}

#[test]
fn the_table_of_rooms_has_no_circle() {
    for (i, (room, below)) in rooms::ROOMS.iter().enumerate() {
        for used in *below {
            let position = rooms::ROOMS.iter().position(|(name, _)| name == used);
            assert!(
                position.is_some_and(|position| position < i),
                "{room} uses {used}, which is no room above it in the table"
            );
        }
    }
}

#[test]
fn the_files_of_a_room_have_no_circle() {
    none(&circles::faults(&sources()));
}

#[test]
fn files_are_short_and_finished() {
    let faults = FOLDERS.into_iter().flat_map(files).flat_map(|path| words::file_faults(&path, &read(&path)));
    none(&faults.collect::<Vec<_>>());
}

#[test]
fn one_file_writes_to_the_streams() {
    none(&words::printing_faults(&sources()));
}

#[test]
fn a_type_has_a_name_of_its_own() {
    none(&words::type_faults(&sources()));
}
