//! What the kernels, an objective's passes and the Kronecker factors give on a device: each kernel's result is checked against its f64 reference, then
//! timed in turns with the others, and held against the device's own ceilings of arithmetic and copying, measured in the same run.

mod cases;
mod factors;
mod network;
mod objective;

pub use cases::Case;
pub use factors::{FactorStep, factors};
pub use objective::{PassRow, passes};

use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::ceiling;
use crate::program::Program;
use serde::Serialize;

/// What a device gives at most, by kernels that do nothing else.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ceiling {
    /// 10⁹ products and sums a second.
    pub gflops: f64,
    /// 10⁹ bytes a second, read and written.
    pub gbytes: f64,
}

/// One kernel's row.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// What was computed.
    pub name: String,
    /// Median of the seconds.
    pub seconds: f64,
    /// Least and most.
    pub spread: [f64; 2],
    /// 10⁹ products and sums a second.
    pub gflops: f64,
    /// 10⁹ bytes a second, every operand and result counted once.
    pub gbytes: f64,
    /// Share of the ceiling of arithmetic.
    pub of_arithmetic: f64,
    /// Share of the ceiling of copying.
    pub of_copy: f64,
    /// Largest error against the reference, as a share of the largest value.
    pub error: f64,
}

/// The whole table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// The device.
    pub adapter: String,
    /// Its driver.
    pub driver: String,
    /// Which variant of the kernels ran.
    pub variant: String,
    /// What it gives at most.
    pub ceiling: Ceiling,
    /// The kernels.
    pub rows: Vec<KernelRow>,
}

/// A program, repeated so that it takes a few milliseconds.
struct Timed {
    program: Program,
    repeats: usize,
    seconds: Vec<f64>,
}

/// Seconds that one measurement should take at least: a hundred times what a submission costs.
const LEAST: f64 = 4e-3;

impl Timed {
    /// Records `dispatches` often enough, by a first run that also compiles them.
    fn new(gpu: &Gpu, record: impl Fn() -> Result<Vec<crate::program::Dispatch>>) -> Result<Self> {
        let repeated = |repeats: usize| -> Result<Program> {
            let mut program = Program::default();
            for _ in 0..repeats {
                program.extend(record()?);
            }
            Ok(program)
        };
        let once = repeated(1)?;
        once.time(gpu)?;
        let repeats = (LEAST / once.time(gpu)?).ceil().clamp(1.0, 200.0) as usize;
        Ok(Self { program: repeated(repeats)?, repeats, seconds: Vec::new() })
    }

    fn measure(&mut self, gpu: &Gpu) -> Result<()> {
        self.seconds.push(self.program.time(gpu)? / self.repeats as f64);
        Ok(())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds
    }
}

/// The middle of sorted values.
pub fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// Words that the copy moves: beyond the caches.
const COPIED: usize = 1 << 24;

/// Checks every case, then times all of them in turns, `repetitions` times. `progress` is told each case's name.
///
/// # Errors
/// [`Error::Device`](crate::error::Error::Device) when a result is wrong, with the case; what the device reports.
pub fn kernels(gpu: &Gpu, cases: &[Case], repetitions: usize, mut progress: impl FnMut(&str)) -> Result<Table> {
    let x = gpu.upload_quads("ceiling.x", &[0.5f32; 256], false)?;
    let out = gpu.alloc("ceiling.out", 64 * gpu.profile.workgroups.max(64))?;
    let (arithmetic, multiply_adds) = ceiling::arithmetic(gpu, &x, &out)?;
    let mut arithmetic = Timed::new(gpu, || Ok(vec![arithmetic.clone()]))?;
    let copied = COPIED.min(gpu.max_quads_words());
    let [from, to] = [gpu.alloc_quads("copy.from", copied, false)?, gpu.alloc_quads("copy.to", copied, false)?];
    let mut copy = Timed::new(gpu, || Ok(vec![ceiling::copy(gpu, &from, &to)?]))?;

    let mut errors = Vec::new();
    let mut timed = Vec::new();
    for case in cases {
        progress(&case.to_string());
        errors.push(case.check(gpu)?);
        timed.push(case.prepare(gpu)?);
    }
    for round in 0..repetitions {
        progress(&format!("round {} of {repetitions}", round + 1));
        arithmetic.measure(gpu)?;
        copy.measure(gpu)?;
        timed.iter_mut().try_for_each(|case| case.measure(gpu))?;
    }
    let ceiling = Ceiling {
        gflops: 2e-9 * multiply_adds as f64 / median(&arithmetic.sorted()),
        gbytes: 8e-9 * copied as f64 / median(&copy.sorted()),
    };
    let row = |((case, timed), error): ((&Case, &Timed), f64)| {
        let sorted = timed.sorted();
        let seconds = median(&sorted);
        let gflops = 2e-9 * case.multiply_adds() as f64 / seconds;
        let gbytes = 4e-9 * case.words() as f64 / seconds;
        KernelRow {
            name: case.to_string(),
            seconds,
            spread: [sorted[0], sorted[sorted.len() - 1]],
            gflops,
            gbytes,
            of_arithmetic: gflops / ceiling.gflops,
            of_copy: gbytes / ceiling.gbytes,
            error,
        }
    };
    Ok(Table {
        adapter: gpu.info.name.clone(),
        driver: gpu.driver(),
        variant: format!("{:?}", gpu.profile.variant).to_lowercase(),
        ceiling,
        rows: cases.iter().zip(&timed).zip(errors).map(row).collect(),
    })
}

/// Random values in [-1, 1) as blocks of a batch.
fn random_blocks(
    gpu: &Gpu,
    rng: &mut rand_chacha::ChaCha8Rng,
    examples: usize,
    features: usize,
) -> Result<(Vec<f64>, Quads)> {
    use rand::RngExt;
    let plain: Vec<f32> = (0..examples * features).map(|_| rng.random_range(-1.0..1.0)).collect();
    let quads =
        gpu.upload_quads("bench.input", &crate::kernels::to_blocks(&plain, features, gpu.profile.block, 0.0), false)?;
    Ok((plain.into_iter().map(f64::from).collect(), quads))
}
