//! What the tests on a device share: opening it, random data, comparing with a reference, a pairwise table of cases.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod data;
pub mod idx;
pub mod in_use;
pub mod pictures;
pub mod problem;
pub mod program;
pub mod twin;

use gpu_subset::device::{AdapterChoice, Buf, Gpu, Profile, Quads};
use gpu_subset::program::{Dispatch, Program};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Mutex, Once};

/// Validation messages that wgpu logged; a test that caused one fails.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl log::Log for Recorder {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn && metadata.target().starts_with("wgpu")
    }

    fn log(&self, record: &log::Record<'_>) {
        // Opening adapters probes drivers that may not be there; only what is said about our own calls counts.
        let is_probing = record.target().starts_with("wgpu_hal") || record.target().contains("instance");
        if self.enabled(record.metadata()) && (record.level() == log::Level::Error || !is_probing) {
            MESSAGES.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// A device that fails the test when the driver or wgpu complained of anything.
pub struct TestGpu(pub Gpu);

impl std::ops::Deref for TestGpu {
    type Target = Gpu;
    fn deref(&self) -> &Gpu {
        &self.0
    }
}

impl Drop for TestGpu {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.check().unwrap();
            let messages = MESSAGES.lock().unwrap();
            assert!(messages.is_empty(), "wgpu complained: {messages:?}");
        }
    }
}

/// The adapter under every profile it can run, but for that of scalar loads, which differs from another by where
/// products get their weights: [`gpus_with`] has it.
pub fn gpus() -> Vec<TestGpu> {
    open(Profile::ALL.into_iter().filter(|profile| *profile != Profile::SCALAR))
}

/// The same with the cases of a test of whole networks, by number, that each takes: the adapter's own profile all of
/// them, and the others every so-manyth, each another one. Profiles differ in kernels, which `tests/kernels` has under
/// all; with `GPU_SUBSET_ALL_PROFILES=1` networks are under all, too.
pub fn gpus_and_cases(cases: usize) -> Vec<(TestGpu, Vec<usize>)> {
    let Some(own) = gpu().map(|gpu| gpu.profile) else { return Vec::new() };
    let takes_all = std::env::var("GPU_SUBSET_ALL_PROFILES").is_ok_and(|value| value == "1");
    let (gpus, mut turn) = (gpus(), 0);
    let others = gpus.iter().filter(|gpu| gpu.profile != own).count();
    let with_cases = |gpu: TestGpu| {
        let is_own = gpu.profile == own;
        let is_taken = |case: &usize| takes_all || is_own || case % others == turn;
        let taken = (0..cases).filter(is_taken).collect();
        turn += usize::from(!is_own);
        (gpu, taken)
    };
    gpus.into_iter().map(with_cases).collect()
}

/// The adapter under every profile it can run, changed.
pub fn gpus_with(change: impl Fn(Profile) -> Profile) -> Vec<TestGpu> {
    open(Profile::ALL.into_iter().map(change))
}

fn open(profiles: impl Iterator<Item = Profile>) -> Vec<TestGpu> {
    let Ok(adapter) = AdapterChoice::default().select() else { return required(None).into_iter().collect() };
    let runs = profiles.filter(|profile| profile.unmet(&adapter).is_none());
    runs.filter_map(|profile| required(Some(TestGpu(Gpu::open_adapter(&adapter, profile).unwrap())))).collect()
}

/// The device, or nothing where there is none and `GPU_SUBSET_ALLOW_NO_ADAPTER` says that this is fine.
pub fn gpu() -> Option<TestGpu> {
    required(Gpu::open(&AdapterChoice::default()).ok().map(TestGpu))
}

fn required(gpu: Option<TestGpu>) -> Option<TestGpu> {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Recorder).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    if gpu.is_none() {
        let allowed = std::env::var("GPU_SUBSET_ALLOW_NO_ADAPTER").is_ok_and(|value| value == "1");
        assert!(allowed, "no GPU adapter: install mesa-vulkan-drivers, or set GPU_SUBSET_ALLOW_NO_ADAPTER=1 to skip");
        data::skipped("no GPU adapter, and GPU_SUBSET_ALLOW_NO_ADAPTER=1");
    }
    gpu
}

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Uniform values in [-1, 1), rounded to f32 so that device and reference see the same.
pub fn uniform(len: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..len).map(|_| f64::from(rng.random_range(-1f32..1.0))).collect()
}

pub fn upload(gpu: &Gpu, values: &[f64]) -> Buf {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    gpu.upload("test.input", &values).unwrap()
}

/// Plain `[N][features]` as blocks; padded examples hold zeros, as the gather leaves them.
pub fn upload_blocks(gpu: &Gpu, values: &[f64], features: usize) -> Quads {
    upload_quads(gpu, &gpu_subset::kernels::to_blocks(values, features, gpu.profile.block, 0.0))
}

pub fn upload_quads(gpu: &Gpu, values: &[f64]) -> Quads {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    gpu.upload_quads("test.input", &values, false).unwrap()
}

pub fn unwritten_quads(gpu: &Gpu, len: usize) -> Quads {
    gpu.upload_quads("test.output", &vec![f32::NAN; len], false).unwrap()
}

pub fn download_quads(gpu: &Gpu, quads: &Quads) -> Vec<f64> {
    gpu.read_quads::<f32>(quads).unwrap().into_iter().map(f64::from).collect()
}

/// An output that no kernel has written: all NaN.
pub fn unwritten(gpu: &Gpu, len: usize) -> Buf {
    gpu.upload("test.output", &vec![f32::NAN; len]).unwrap()
}

pub fn unwritten_blocks(gpu: &Gpu, examples: usize, features: usize) -> Quads {
    unwritten_quads(gpu, examples.next_multiple_of(gpu.profile.block) * features)
}

pub fn run(gpu: &Gpu, steps: impl IntoIterator<Item = Dispatch>) {
    let mut program = Program::default();
    program.extend(steps);
    program.run(gpu).unwrap();
}

pub fn download(gpu: &Gpu, buf: &Buf) -> Vec<f64> {
    gpu.read::<f32>(buf).unwrap().into_iter().map(f64::from).collect()
}

pub fn download_blocks(gpu: &Gpu, quads: &Quads, examples: usize, features: usize) -> Vec<f64> {
    gpu_subset::kernels::from_blocks(&download_quads(gpu, quads), features, gpu.profile.block, examples)
}

/// The same of blocks in a buffer.
pub fn download_buffer_blocks(gpu: &Gpu, buf: &Buf, examples: usize, features: usize) -> Vec<f64> {
    gpu_subset::kernels::from_blocks(&download(gpu, buf), features, gpu.profile.block, examples)
}

/// Fails unless the largest error is below `tolerance` times the largest reference value; NaN fails.
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    if let Some(fault) = distance_fault(what, got, want, tolerance) {
        panic!("{fault}");
    }
}

/// What is wrong with values that should be close, for tables that go on after a bad row.
pub fn distance_fault(what: &str, got: &[f64], want: &[f64], tolerance: f64) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{what}: {} values in place of {}", got.len(), want.len()));
    }
    let scale = want.iter().fold(1e-30f64, |scale, w| scale.max(w.abs()));
    let is_close = |(g, w): (&f64, &f64)| (g - w).abs() <= tolerance * scale; // never for NaN
    let i = got.iter().zip(want).position(|pair| !is_close(pair))?;
    let (g, w) = (got[i], want[i]);
    Some(format!("{what}: at {i} got {g}, want {w}: error {:e} of scale {scale:e}", (g - w).abs()))
}

/// Cases that cover every pair of values that can occur together, each level counted from 0.
pub fn pairwise(levels: &[usize], valid: impl Fn(&[usize]) -> bool) -> Vec<Vec<usize>> {
    let count: usize = levels.iter().product();
    let case = |mut i: usize| -> Vec<usize> {
        levels
            .iter()
            .map(|n| {
                let level = i % n;
                i /= n;
                level
            })
            .collect()
    };
    let pairs = |case: &[usize]| -> Vec<(usize, usize, usize, usize)> {
        let n = case.len();
        (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).map(|(a, b)| (a, case[a], b, case[b])).collect()
    };
    let all: Vec<_> = (0..count).map(case).filter(|case| valid(case)).collect();
    let mut missing: std::collections::HashSet<_> = all.iter().flat_map(|case| pairs(case)).collect();
    let mut chosen = Vec::new();
    let mut rng = rng(0);
    while !missing.is_empty() {
        let mut best: (usize, &Vec<usize>) = (0, &all[0]);
        for attempt in 0.. {
            let candidate = &all[rng.random_range(0..all.len())];
            let gain = pairs(candidate).iter().filter(|pair| missing.contains(*pair)).count();
            if gain > best.0 {
                best = (gain, candidate);
            }
            if attempt >= 100 && best.0 > 0 {
                break;
            }
        }
        pairs(best.1).iter().for_each(|pair| {
            missing.remove(pair);
        });
        chosen.push(best.1.clone());
    }
    chosen
}
