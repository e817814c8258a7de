//! Tiles that are chosen by timing. Only choices that do not change the order of any sum are made here, so that results
//! do not depend on what was remembered.

use super::gpu::Gpu;
use super::lock::lock;
use super::tile_choices::{TileChoice, Tuning};

impl Gpu {
    /// Lets kernels time candidates on this device and remember what they found; `budget` seconds of it and as if
    /// nothing were known yet, or else a few seconds for what is not. To be called before anything is allocated for a
    /// model.
    pub fn enable_tuning(&self, budget: Option<f64>) {
        *lock(&self.tuning) = Tuning::of(&self.tuning_key(), budget);
    }

    /// Adapter, driver and variant.
    fn tuning_key(&self) -> String {
        format!("{}; {}; {:?}", self.info.name, self.driver(), self.profile)
    }

    /// The choice for a shape, if there is one.
    pub fn tuned(&self, shape: &str) -> Option<TileChoice> {
        lock(&self.tuning).of_shape(shape)
    }

    /// Whether candidates may still be timed.
    pub fn may_tune(&self) -> bool {
        lock(&self.tuning).budget > 0.0
    }

    /// Counts seconds of timing.
    pub fn spend_tuning(&self, seconds: f64) {
        lock(&self.tuning).budget -= seconds;
    }

    /// Uses a choice from now on in this process, or the default again.
    pub fn choose(&self, shape: &str, choice: Option<TileChoice>) {
        lock(&self.tuning).choose(shape, choice);
    }

    /// Writes the choices for other processes. A cache folder that cannot be written costs only time.
    pub fn remember_tuning(&self) {
        lock(&self.tuning).remember(self.tuning_key());
    }
}
