//! Programs that are timed: as a whole, or each dispatch of them.

use super::dispatch::Dispatch;
use super::replay::{CopyPair, Program, Step, record};
use crate::device::{DispatchTime, Gpu};
use crate::error::Result;
use std::time::Instant;
use std::{iter, slice};

impl Program {
    /// Submits the dispatches at once, waits for them, and says how many seconds they took: by the device's time stamps
    /// where it has them, else by the clock. For programs that only dispatch.
    ///
    /// # Errors
    /// What the device reports.
    pub fn time(&self, gpu: &Gpu) -> Result<f64> {
        assert!(self.steps.iter().all(|step| matches!(step, Step::Run(_))), "only dispatches are timed");
        gpu.wait()?;
        if let Some(stamps) = Stamps::new(gpu) {
            return stamps.seconds(gpu, self.dispatches());
        }
        let start = Instant::now();
        self.run(gpu)?;
        gpu.wait()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Runs as [`Program::run_between`], each step in a submission of its own, and notes what each dispatch took.
    pub(super) fn run_timed(&self, gpu: &Gpu, before: &[CopyPair<'_>], after: &[CopyPair<'_>]) -> Result<()> {
        let stamps = Stamps::new(gpu);
        before.iter().for_each(|(from, to)| gpu.copy(from, to));
        gpu.wait()?;
        for step in &self.steps {
            let start = Instant::now();
            let seconds = match (step, &stamps) {
                (Step::Run(dispatch), Some(stamps)) => stamps.seconds(gpu, iter::once(dispatch))?,
                _ => {
                    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                    record(gpu, &mut encoder, slice::from_ref(step))?;
                    gpu.queue.submit([encoder.finish()]);
                    gpu.wait()?;
                    start.elapsed().as_secs_f64()
                }
            };
            if let Step::Run(dispatch) = step {
                gpu.note_dispatch(DispatchTime { kernel: dispatch.shader(), groups: dispatch.most(), seconds });
            }
        }
        after.iter().for_each(|(from, to)| gpu.copy(from, to));
        gpu.check()
    }
}

/// Two time stamps of the device.
struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

impl Stamps {
    fn new(gpu: &Gpu) -> Option<Self> {
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stamps"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("stamps"),
            size: 16,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Some(Self { queries, resolved })
    }

    /// Submits dispatches in one pass and returns the seconds from its start to its end.
    fn seconds<'a>(&self, gpu: &Gpu, mut dispatches: impl Iterator<Item = &'a Dispatch>) -> Result<f64> {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        };
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        dispatches.try_for_each(|dispatch| dispatch.record(gpu, &mut pass))?;
        drop(pass);
        let reader = gpu.reader(4)?;
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &reader.staging().raw, 0, 16);
        gpu.queue.submit([encoder.finish()]);
        let stamps: Vec<u64> = reader.collect(gpu)?;
        Ok(stamps[1].saturating_sub(stamps[0]) as f64 * f64::from(gpu.queue.get_timestamp_period()) * 1e-9)
    }
}
