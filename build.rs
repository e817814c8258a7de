//! What the program can say of its own build (`gpu-subset --version --verbose`): target, version of wgpu, and the commit
//! where that is known without asking git.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let root = Path::new(&root);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rerun-if-env-changed=GPU_SUBSET_COMMIT");
    println!("cargo:rustc-env=GPU_SUBSET_TARGET={}", env::var("TARGET").unwrap_or_default());
    if let Some(version) = fs::read_to_string(root.join("Cargo.lock")).ok().and_then(|lock| wgpu(&lock)) {
        println!("cargo:rustc-env=GPU_SUBSET_WGPU={version}");
    }
    if let Some(commit) = commit(root) {
        println!("cargo:rustc-env=GPU_SUBSET_COMMIT={commit}");
    }
}

/// The version of wgpu that is locked.
fn wgpu(lock: &str) -> Option<String> {
    let package = lock.split("[[package]]").find(|package| package.contains("name = \"wgpu\"\n"))?;
    let version = package.lines().find_map(|line| line.strip_prefix("version = "))?;
    Some(version.trim_matches('"').to_owned())
}

/// The commit as whoever builds says it, as a published package has it, or as cargo names a checkout of its own. That
/// of a working tree is not looked up: every commit would build everything anew.
fn commit(root: &Path) -> Option<String> {
    if let Ok(commit) = env::var("GPU_SUBSET_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    let is_hash = |text: &str| text.len() >= 7 && text.chars().all(|c| c.is_ascii_hexdigit());
    if let Ok(text) = fs::read_to_string(root.join(".cargo_vcs_info.json")) {
        let mut quoted = text.split('"').skip_while(|word| *word != "sha1").skip(2);
        return quoted.next().filter(|hash| is_hash(hash)).map(str::to_owned);
    }
    let is_checkout = root.ancestors().nth(2).is_some_and(|folder| folder.ends_with("git/checkouts"));
    let name = root.file_name()?.to_str()?;
    (is_checkout && is_hash(name)).then(|| name.to_owned())
}
