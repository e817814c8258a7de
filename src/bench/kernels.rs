//! Kernels in turns with each other and with the device's ceilings.

use super::cases::Case;
use super::table::{Ceiling, KernelRow, Table};
use super::timed::{Timed, median};
use crate::device::Gpu;
use crate::error::Result;
use crate::kernels::ceiling;

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
