//! What was measured of the kernels.

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
