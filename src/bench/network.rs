//! The networks that are trained, on random images.

use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::model::{Description, Model};
use crate::objective::{Examples, Objective, Workspace};
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Built-in networks with the shape of their data.
pub(super) const NETWORKS: [(&str, Shape); 2] =
    [("mnist-14k", Shape::new(1, 28, 28)), ("cifar-43k", Shape::new(3, 32, 32))];

const CLASSES: usize = 10;

/// λ of the weight decay.
pub(super) const DECAY: f64 = 1e-3;

/// A network, so many examples, and room for a gradient.
pub(super) struct Network {
    pub model: Arc<Model>,
    pub theta: Buf,
    pub gradient: Buf,
    /// Bytes of the examples, their classes, and what they are normalised with.
    pub images: Vec<u8>,
    pub labels: Vec<u32>,
    pub statistics: Vec<(f64, f64)>,
    workspace: Arc<Workspace>,
    data: Arc<Examples>,
}

impl Network {
    pub(super) fn new(gpu: &Gpu, name: &str, shape: Shape, examples: usize, memory: u64) -> Result<Self> {
        let model = Model::new(&Description::open(name)?, shape, CLASSES)?;
        Self::with(gpu, Arc::new(model), examples, memory)
    }

    /// Of any model.
    pub(super) fn with(gpu: &Gpu, model: Arc<Model>, examples: usize, memory: u64) -> Result<Self> {
        let shape = model.input;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let images: Vec<u8> = (0..examples * shape.len()).map(|_| rng.random()).collect();
        let labels: Vec<u32> = (0..examples).map(|_| rng.random_range(0..model.classes as u32)).collect();
        let statistics = vec![(127.5, 74.0); shape.channels];
        let workspace = Arc::new(Workspace::new(gpu, model.clone(), memory)?);
        let data = Arc::new(Examples::upload(gpu, shape, &images, &labels, &statistics)?);
        let theta = gpu.upload("bench.theta", &model.initialise(0))?;
        let gradient = gpu.alloc("bench.gradient", theta.len())?;
        Ok(Self { model, theta, gradient, images, labels, statistics, workspace, data })
    }

    /// The loss over the first `size` examples.
    pub(super) fn objective(&self, gpu: &Gpu, size: usize) -> Result<Objective> {
        let indices: Vec<u32> = (0..size as u32).collect();
        Objective::new(gpu, &self.workspace, &self.data, &indices, DECAY)
    }
}
