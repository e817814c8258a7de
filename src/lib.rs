//! gpu-subset
pub mod device;
pub mod error;
pub mod kernel;
pub mod kernels;
pub mod model;
pub mod objective;
pub mod shape;
