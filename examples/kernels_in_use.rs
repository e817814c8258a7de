//! Records every kernel that the built-in networks use and has the driver compile it: `tools/gpu_compiler.sh` runs it
//! on drivers that say what they make of each.
//!
//! cargo run --release --example kernels_in_use -- discrete|scalar|portable|software

#[path = "../tests/common/in_use.rs"]
mod in_use;

use gpu_subset::device::{AdapterChoice, Gpu, Profile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let profile = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["discrete"] => Profile::DISCRETE,
        ["scalar"] => Profile::SCALAR,
        ["portable"] => Profile::PORTABLE,
        ["software"] => Profile::SOFTWARE,
        _ => return Err("usage: kernels_in_use discrete|scalar|portable|software".into()),
    };
    let gpu = Gpu::open_adapter(&AdapterChoice::default().select()?, profile)?;
    in_use::record_all(&gpu);
    gpu.wait_for_kernels()?;
    println!("{} kernels on {}", gpu.specialisations().len(), gpu.info.name);
    Ok(())
}
