//! Every kernel against its f64 reference, over awkward shapes, on outputs that start as NaN, under every profile.

#[path = "../common/mod.rs"]
mod common;

mod augment;
mod batch_norm;
mod centred;
mod elementwise;
mod group_norm;
mod kronecker;
mod newton_schulz;
mod patches;
mod pooling;
mod products;
mod reductions;
mod selection;
mod softmax;
mod sums;
mod turns;
