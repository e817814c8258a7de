//! An open adapter.

use super::adapter::AdapterChoice;
use super::buf::Buf;
use super::dispatch_times::DispatchTimes;
use super::faults::Faults;
use super::interrupt::Interrupt;
use super::lock::lock;
use super::pending::Pending;
use super::pipelines::Pipelines;
use super::profile::{MAX_STORAGE, Profile, Storage};
use super::quads::Quads;
use super::submissions::Submissions;
use super::tile_choices::Tuning;
use crate::error::{DeviceError, Lack, Result};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often whoever waits looks whether the device is asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An open device with its queue, pipelines and faults. Cloning shares it.
#[derive(Clone)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) pipelines: Arc<Pipelines<Self>>,
    pub(super) faults: Faults,
    pub(super) adapter: wgpu::Adapter,
    /// What ends its work.
    pub(super) interrupt: Arc<Mutex<Interrupt>>,
    /// Numbers that kernels read as uniforms.
    pub(super) numbers: Arc<Mutex<HashMap<u32, Buf>>>,
    /// What is bound where nothing is written.
    pub(super) unused: Arc<Mutex<Option<(Quads, Buf)>>>,
    pub(super) tuning: Arc<Mutex<Tuning>>,
    pub(super) submissions: Submissions,
    pub(super) pending: Pending,
    pub(super) dispatch_times: DispatchTimes,
    /// The most bytes that one allocation may take, where tests set a limit.
    pub(super) most_at_once: Arc<AtomicU64>,
    /// Bytes of device memory taken.
    pub(super) taken: Arc<AtomicU64>,
    /// Name, backend, driver and class of the adapter.
    pub info: wgpu::AdapterInfo,
    /// Sizes this device was opened with.
    pub limits: wgpu::Limits,
    /// Layout of work on this device.
    pub profile: Profile,
}

impl Gpu {
    /// Opens the chosen adapter with the profile of its class.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when there is no such adapter, or it offers less than the kernels
    /// need.
    pub fn open(choice: &AdapterChoice) -> Result<Self> {
        let adapter = choice.select()?;
        let profile = Profile::of(&adapter);
        Self::open_adapter(&adapter, profile)
    }

    /// Opens an adapter with a given profile (tests run every profile on every adapter).
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the adapter offers less than the kernels need or refuses to
    /// open.
    pub fn open_adapter(adapter: &wgpu::Adapter, profile: Profile) -> Result<Self> {
        let again = adapter.clone();
        let twin = move || Self::open_with(&again, profile, Pipelines::alone);
        Self::open_with(adapter, profile, |device| match adapter.get_info() {
            // GL's context is one thread's at a time, for as long as it compiles, and the others give up after a second
            // or six.
            wgpu::AdapterInfo { backend: wgpu::Backend::Gl, .. } => Pipelines::alone(device),
            wgpu::AdapterInfo { driver, .. } if driver == "llvmpipe" => {
                Pipelines::with_workers(device, Some(Box::new(twin)))
            }
            _ => Pipelines::with_workers(device, None),
        })
    }

    fn open_with(
        adapter: &wgpu::Adapter,
        profile: Profile,
        pipelines: impl FnOnce(wgpu::Device) -> Pipelines<Self>,
    ) -> Result<Self> {
        let (info, offered) = (adapter.get_info(), adapter.limits());
        let buffers = offered.max_storage_buffers_per_shader_stage;
        let too_few = Lack::StorageBuffers { offered: buffers, needed: MAX_STORAGE };
        if let Some(lack) = (buffers < MAX_STORAGE).then_some(too_few).or_else(|| profile.unmet(adapter)) {
            return Err(DeviceError::Unfit { adapter: info.name, backend: format!("{:?}", info.backend), lack }.into());
        }
        // The portable limits, lowered where the adapter has less; only the two sizes are raised, since smaller chunks
        // are the fallback, and the storage textures where the profile needs them.
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            max_storage_textures_per_shader_stage: match profile.storage {
                Storage::Buffer => wgpu::Limits::defaults()
                    .max_storage_textures_per_shader_stage
                    .min(offered.max_storage_textures_per_shader_stage),
                Storage::Texture => MAX_STORAGE,
            },
            ..wgpu::Limits::defaults().or_worse_values_from(&offered)
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gpu-subset"),
            required_features: profile.features() | adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            required_limits: limits.clone(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        }))
        .map_err(|source| DeviceError::Unopened { adapter: info.name.clone(), source: Box::new(source) })?;

        Ok(Self {
            faults: Faults::of(&device),
            adapter: adapter.clone(),
            interrupt: Arc::default(),
            pipelines: Arc::new(pipelines(device.clone())),
            device,
            queue,
            numbers: Arc::default(),
            unused: Arc::default(),
            tuning: Arc::default(),
            submissions: Submissions::new(),
            pending: Pending::default(),
            dispatch_times: DispatchTimes::default(),
            most_at_once: Arc::new(AtomicU64::new(u64::MAX)),
            taken: Arc::default(),
            info,
            limits,
            profile,
        })
    }

    /// Whether the adapter computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Turns that all loops of an invocation make together, at most: Mesa's software drivers leave a loop after so many
    /// (`LP_MAX_TGSI_LOOP_ITERATIONS`), without a word.
    pub fn max_turns(&self) -> usize {
        if self.info.name.contains("llvmpipe") { 65_535 } else { u32::MAX as usize }
    }

    /// Waits for everything submitted.
    ///
    /// # Errors
    /// As [`Gpu::read`].
    pub fn wait(&self) -> Result<()> {
        self.wait_for(None)
    }

    /// Waits for a submission; where none is named, for everything recorded so far.
    ///
    /// # Errors
    /// As [`Gpu::read`].
    pub(crate) fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        if submission.is_none() {
            self.flush_to_wait()?;
        }
        self.poll(submission)
    }

    /// The same without a look at what is not submitted yet.
    pub(super) fn poll(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout: Some(LOOK_EVERY) };
        loop {
            let waited = self.device.poll(poll.clone());
            self.check()?;
            match waited {
                Ok(_) => return Ok(()),
                Err(wgpu::PollError::Timeout) => {}
                Err(source) => {
                    let adapter = self.info.name.clone();
                    return Err(DeviceError::Unfinished { adapter, source: Box::new(source) }.into());
                }
            }
        }
    }

    /// Heeds an interrupt from now on, in place of the one before, for all who share the device. Half a second after it
    /// was asked for, whatever runs on the device ends with [`Error::Stopped`](crate::error::Error::Stopped): a good
    /// end has to be found before.
    pub fn heed(&self, interrupt: &Interrupt) {
        *lock(&self.interrupt) = interrupt.clone();
    }

    /// Whether the device is asked to stop.
    pub fn is_asked_to_stop(&self) -> bool {
        lock(&self.interrupt).is_asked()
    }

    /// What the driver reported since the device was opened, as an error; the first report stays.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) for a lost device or a rejected command,
    /// [`Error::OutOfMemory`](crate::error::Error::OutOfMemory), and
    /// [`Error::Stopped`](crate::error::Error::Stopped) when an interrupt is overdue ([`Gpu::heed`]).
    pub fn check(&self) -> Result<()> {
        self.faults.check(&self.info.name)?;
        lock(&self.interrupt).check()
    }
}
