//! An open adapter ([`Gpu`]) and views into its memory ([`Buf`]). Only this room and `kernel` touch wgpu.

mod adapter;
mod live;
mod pipelines;
mod profile;
mod quads;
mod reader;
mod summary;
mod tuning;

pub use adapter::AdapterChoice;
pub use live::{BlockCount, Grid, GridRequest};
pub use pipelines::PipelineKey;
pub(crate) use pipelines::{Compiled, Pipeline, Pipelines, Source};
pub use profile::{Profile, Storage, Variant};
pub(crate) use quads::Blank;
pub use quads::{Binding, QUADS_WIDTH, Quads};
pub use reader::Reader;
pub use summary::AdapterSummary;

use crate::error::{DeviceError, Error, Lack, MemoryError, Result, one_line};
use bytemuck::Pod;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Views start at multiples of this many 32-bit words: 256 bytes, the coarsest offset alignment WebGPU allows.
pub const ALIGNMENT: usize = 64;

/// Storage buffers, or storage textures, that a kernel of ours may bind.
pub const MAX_STORAGE: u32 = 8;

/// Bindings of a kernel: what it may store, and a number or two.
pub const MAX_BINDINGS: usize = MAX_STORAGE as usize + 2;

/// An open device with its queue, pipelines and faults. Cloning shares it.
#[derive(Clone)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) pipelines: Arc<Pipelines>,
    faults: Arc<Mutex<Option<Fault>>>,
    numbers: Arc<Mutex<HashMap<u32, Buf>>>,
    unused: Arc<Mutex<Option<(Quads, Buf)>>>,
    tuning: Arc<Mutex<tuning::Tuning>>,
    /// Bytes of device memory taken.
    taken: Arc<AtomicU64>,
    /// Name, backend, driver and class of the adapter.
    pub info: wgpu::AdapterInfo,
    /// Sizes this device was opened with.
    pub limits: wgpu::Limits,
    /// Layout of work on this device.
    pub profile: Profile,
}

/// The first thing the driver reported against us, kept until somebody asks.
#[derive(Clone, Debug)]
enum Fault {
    Lost(String),
    OutOfMemory,
    Rejected(String),
}

/// A view of 32-bit words in device memory. Cloning copies the view, not the memory.
#[derive(Clone, Debug)]
pub struct Buf {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) offset: usize,
    len: usize,
}

impl Buf {
    /// Length in 32-bit words.
    #[expect(clippy::len_without_is_empty, reason = "a view always holds at least one word")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The words of `range` of this view; it must start at a multiple of [`ALIGNMENT`].
    pub fn view(&self, range: Range<usize>) -> Self {
        assert!(range.start < range.end && range.end <= self.len, "view {range:?} of {} words", self.len);
        assert!(range.start.is_multiple_of(ALIGNMENT), "a view at word {} is not aligned", range.start);
        Self { raw: self.raw.clone(), offset: self.offset + range.start, len: range.len() }
    }

    /// Whether both are the same words.
    pub fn is(&self, other: &Self) -> bool {
        self.raw == other.raw && (self.offset, self.len) == (other.offset, other.len)
    }

    /// The first `len` words of this view.
    pub fn prefix(&self, len: usize) -> Self {
        self.view(0..len)
    }

    /// One word, to copy from or to: kernels bind only what is aligned.
    pub fn word(&self, at: usize) -> Self {
        assert!(at < self.len, "word {at} of {}", self.len);
        Self { raw: self.raw.clone(), offset: self.offset + at, len: 1 }
    }

    pub(crate) fn record_copy(&self, to: &Self, encoder: &mut wgpu::CommandEncoder) {
        assert_eq!(self.len, to.len, "copy between views of different lengths");
        let range = self.bytes();
        encoder.copy_buffer_to_buffer(&self.raw, range.start, &to.raw, to.bytes().start, range.end - range.start);
    }

    pub(crate) fn bytes(&self) -> Range<u64> {
        4 * self.offset as u64..4 * (self.offset + self.len) as u64
    }
}

impl Gpu {
    /// Opens the chosen adapter with the profile of its class.
    ///
    /// # Errors
    /// [`Error::Device`] when there is no such adapter, or it offers less than the kernels need.
    pub fn open(choice: &AdapterChoice) -> Result<Self> {
        let adapter = choice.select()?;
        let profile = Profile::of(&adapter);
        Self::open_adapter(&adapter, profile)
    }

    /// Opens an adapter with a given profile (tests run every profile on every adapter).
    ///
    /// # Errors
    /// [`Error::Device`] when the adapter offers less than the kernels need or refuses to open.
    pub fn open_adapter(adapter: &wgpu::Adapter, profile: Profile) -> Result<Self> {
        let again = adapter.clone();
        let twin = move || Self::open_with(&again, profile, Pipelines::alone);
        Self::open_with(adapter, profile, |device| match adapter.get_info() {
            // GL's context is one thread's at a time, for as long as it compiles, and the others give up after a second or six.
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
        pipelines: impl FnOnce(wgpu::Device) -> Pipelines,
    ) -> Result<Self> {
        let (info, offered) = (adapter.get_info(), adapter.limits());
        let buffers = offered.max_storage_buffers_per_shader_stage;
        let too_few = Lack::StorageBuffers { offered: buffers, needed: MAX_STORAGE };
        if let Some(lack) = (buffers < MAX_STORAGE).then_some(too_few).or_else(|| profile.unmet(adapter)) {
            return Err(DeviceError::Unfit { adapter: info.name, backend: format!("{:?}", info.backend), lack }.into());
        }
        // The portable limits, lowered where the adapter has less; only the two sizes are raised, since smaller chunks are the
        // fallback, and the storage textures where the profile needs them.
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

        let faults = Arc::new(Mutex::new(None));
        let (on_error, on_lost) = (faults.clone(), faults.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let fault = match error {
                wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
                wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                    tracing::error!("{}", one_line(&description));
                    Fault::Rejected(one_line(&description))
                }
            };
            lock(&on_error).get_or_insert(fault);
        }));
        device.set_device_lost_callback(move |reason, message| {
            // Loss explains whatever the driver complained of before it.
            *lock(&on_lost) = Some(Fault::Lost(one_line(&format!("{reason:?} {message}"))));
        });
        Ok(Self {
            pipelines: Arc::new(pipelines(device.clone())),
            device,
            queue,
            faults,
            numbers: Arc::default(),
            unused: Arc::default(),
            tuning: Arc::default(),
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

    /// Bytes of device memory taken so far, what was given back included.
    pub fn taken_bytes(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Largest view that a kernel can bind, in 32-bit words.
    pub fn max_binding_words(&self) -> usize {
        (self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size) / 4) as usize
    }

    /// `len` words of device memory, zero at first.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the device has no room for it.
    pub fn alloc(&self, label: &str, len: usize) -> Result<Buf> {
        assert!(len > 0, "{label}: a buffer holds at least one word");
        let bytes = 4 * len.next_multiple_of(4) as u64; // whole vec4s
        let limit = self.limits.max_buffer_size;
        if bytes > limit {
            return Err(self.no_memory(label, bytes, Some(limit)));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::INDIRECT
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        if pollster::block_on(scope.pop()).is_some() {
            return Err(self.no_memory(label, bytes, None));
        }
        self.check()?;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(Buf { raw, offset: 0, len })
    }

    /// Words of device memory holding `data` (4-byte elements).
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn upload<T: Pod>(&self, label: &str, data: &[T]) -> Result<Buf> {
        let buf = self.alloc(label, size_of_val(data) / 4)?;
        self.write(&buf, data);
        Ok(buf)
    }

    /// A number that a kernel reads as a uniform, so that it needs no pipeline of its own. Equal numbers share their memory.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn uniform(&self, value: usize) -> Result<Buf> {
        let value = u32::try_from(value).expect("counts on a device are 32 bits wide");
        if let Some(buf) = lock(&self.numbers).get(&value) {
            return Ok(buf.clone());
        }
        let buf = self.upload("number", &[value; 4])?;
        lock(&self.numbers).insert(value, buf.clone());
        Ok(buf)
    }

    /// What a kernel is bound to where its specialisation writes nothing: quads, and a word.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn placeholder(&self) -> Result<(Quads, Buf)> {
        if let Some(unused) = lock(&self.unused).as_ref() {
            return Ok(unused.clone());
        }
        let unused = (self.alloc_quads("unused", 4, false)?, self.alloc("unused", 1)?);
        Ok(lock(&self.unused).insert(unused).clone())
    }

    /// Overwrites the start of `buf` with `data`, before whatever is submitted next.
    pub fn write<T: Pod>(&self, buf: &Buf, data: &[T]) {
        assert!(size_of_val(data) <= 4 * buf.len, "{} bytes into {} words", size_of_val(data), buf.len);
        self.queue.write_buffer(&buf.raw, buf.bytes().start, bytemuck::cast_slice(data));
    }

    /// Copies device memory to device memory.
    pub fn copy(&self, from: &Buf, to: &Buf) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        from.record_copy(to, &mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// Waits for everything submitted.
    ///
    /// # Errors
    /// As [`Gpu::read`].
    pub fn wait(&self) -> Result<()> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.pipelines.ran();
        self.check()?;
        waited
            .map_err(|source| DeviceError::Unfinished { adapter: self.info.name.clone(), source: Box::new(source) })?;
        Ok(())
    }

    /// Destroys the device for all who share it, as a driver's reset would: whatever comes next reports the loss.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// What the driver reported since the device was opened, as an error; the first report stays.
    ///
    /// # Errors
    /// [`Error::Device`] for a lost device or a rejected command, [`Error::OutOfMemory`].
    pub fn check(&self) -> Result<()> {
        let adapter = self.info.name.clone();
        match lock(&self.faults).clone() {
            None => Ok(()),
            Some(Fault::Lost(why)) => Err(DeviceError::Lost { adapter, why }.into()),
            Some(Fault::OutOfMemory) => Err(MemoryError::Device { adapter }.into()),
            Some(Fault::Rejected(why)) => Err(DeviceError::Rejected { adapter, why }.into()),
        }
    }

    /// So many bytes are not to be had; `limit` is the most that are at once, where that is why.
    fn no_memory(&self, what: &str, bytes: u64, limit: Option<u64>) -> Error {
        let adapter = self.info.name.clone();
        MemoryError::Allocation { what: what.to_owned(), bytes, limit, adapter }.into()
    }
}

/// A poisoned lock only means that another thread panicked; the data behind ours are valid at every point.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
