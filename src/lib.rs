//! gpu-subset
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod export;
pub mod kernel;
pub mod kernels;
pub mod model;
pub mod objective;
pub mod optimise;
pub mod report;
pub mod shape;
pub mod subset;
