//! A random problem: some examples of a data set of bytes, and the loss of a model's twin over them with its
//! derivatives in f64.

use super::twin::Twin;
use super::{rng, uniform};
use gpu_subset::device::Gpu;
use gpu_subset::kernels::augment::{self, Augmentation};
use gpu_subset::kernels::gather;
use gpu_subset::objective::Examples;
use gpu_subset::objective::reference::Loss;
use rand::RngExt;
use rand::seq::SliceRandom;
use std::sync::Arc;

/// The mean cross entropy of a twin over K examples, plus weight decay.
pub struct Problem {
    pub twin: Twin,
    pub images: Vec<u8>,
    /// Labels of the whole data set.
    pub labels: Vec<u32>,
    pub statistics: Vec<(f64, f64)>,
    /// The K chosen examples, or copies, in no order.
    pub indices: Vec<u32>,
    pub weight_decay: f64,
    /// s of the targets.
    pub smoothing: f64,
    /// Normalised features of the chosen examples.
    x: Vec<f64>,
    /// How copies differ, and the seed of it.
    augmentation: Option<(Augmentation, u64)>,
}

impl Problem {
    pub fn new(twin: Twin, examples: usize, weight_decay: f64, seed: u64) -> Self {
        let (shape, classes, mut rng) = (twin.model.input, twin.model.classes as u32, rng(seed));
        let stored = examples + 13; // some are left out
        let images: Vec<u8> = (0..stored * shape.len()).map(|_| rng.random()).collect();
        let labels = (0..stored).map(|_| rng.random_range(0..classes)).collect();
        let statistics: Vec<_> = (0..shape.channels).map(|c| (120.3 + 7.1 * c as f64, 61.7 - 3.3 * c as f64)).collect();
        let mut indices: Vec<u32> = (0..stored as u32).collect();
        indices.shuffle(&mut rng);
        indices.truncate(examples);
        let (mean, std): (Vec<_>, Vec<_>) = statistics.iter().copied().unzip();
        let x = gather::reference::gather(shape, (&images).into(), &indices, &mean, &std);
        Self { twin, images, labels, statistics, indices, weight_decay, smoothing: 0.0, x, augmentation: None }
    }

    /// The same with smoothed targets.
    pub fn smoothed(self, smoothing: f64) -> Self {
        Self { smoothing, ..self }
    }

    /// The same as a mini-batch, all of which is normalised together.
    pub fn minibatch(mut self) -> Self {
        self.twin.ops = self.twin.ops.over(usize::MAX);
        self
    }

    /// The same over a copy of each chosen example, counted from 1.
    pub fn copies(mut self, by: Augmentation, seed: u64, copy: u32) -> Self {
        let shape = self.twin.model.input;
        let drawn = self.indices.iter().map(|&i| augment::reference::draw(&by, shape, seed, i, copy));
        let images = self.x.chunks_exact(shape.len());
        let black: Vec<f64> = self.statistics.iter().map(|(mean, std)| -mean / std).collect();
        self.x = images
            .zip(drawn)
            .flat_map(|(x, drawn)| augment::reference::augment(&by, shape, &black, x, &drawn))
            .collect();
        let stored = self.labels.len() as u32;
        self.indices.iter_mut().for_each(|i| *i += copy * stored);
        self.augmentation = Some((by, seed));
        self
    }

    pub fn upload(&self, gpu: &Gpu) -> Arc<Examples> {
        let shape = self.twin.model.input;
        let mut examples = Examples::upload(gpu, shape, &self.images, &self.labels, &self.statistics).unwrap();
        if let Some((by, seed)) = self.augmentation {
            examples = examples.augmented(gpu, by, None, seed).unwrap();
        }
        Arc::new(examples)
    }

    /// Compact parameters with weights of the model's initialisation and biases that are not zero.
    pub fn parameters(&self, seed: u64) -> Vec<f64> {
        let model = &self.twin.model;
        let biases = uniform(model.parameters(), &mut rng(seed ^ 0xb1a5));
        let start = model.compact(&model.initialise(seed));
        start.iter().zip(biases).map(|(&w, b)| if w == 0.0 { 0.25 * b } else { f64::from(w) }).collect()
    }

    /// A direction of the size of the parameters.
    pub fn direction(&self, seed: u64) -> Vec<f64> {
        uniform(self.twin.model.parameters(), &mut rng(seed))
    }

    pub fn activations(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        self.twin.forward(theta, self.x.clone())
    }

    /// Class of an example or a copy.
    pub fn label(&self, index: u32) -> usize {
        self.labels[index as usize % self.labels.len()] as usize
    }

    /// Its loss in f64, of which the chosen examples have these labels.
    pub fn reference<'a>(&'a self, labels: &'a [u32]) -> Loss<'a> {
        Loss { maps: &self.twin.ops, x: &self.x, labels, weight_decay: self.weight_decay, smoothing: self.smoothing }
    }

    /// Classes of the chosen examples.
    pub fn chosen_labels(&self) -> Vec<u32> {
        self.indices.iter().map(|&i| self.label(i) as u32).collect()
    }

    pub fn cross_entropy(&self, theta: &[f64]) -> f64 {
        self.reference(&self.chosen_labels()).cross_entropy(&self.activations(theta))
    }

    pub fn loss(&self, theta: &[f64]) -> f64 {
        self.reference(&self.chosen_labels()).loss(theta, &self.activations(theta))
    }

    pub fn accuracy(&self, theta: &[f64]) -> f64 {
        self.reference(&self.chosen_labels()).accuracy(&self.activations(theta))
    }

    pub fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        self.reference(&self.chosen_labels()).gradient(theta, &self.activations(theta))
    }

    /// (1/K) Σ + λ at
    pub fn mean_and_decay(&self, sums: Vec<f64>, at: &[f64]) -> Vec<f64> {
        self.reference(&self.chosen_labels()).mean_and_decay(sums, at)
    }
}
