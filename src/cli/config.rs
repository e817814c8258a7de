//! The resolved configuration of a run: `config.toml` in its folder, enough to repeat it.

use crate::data::{Dataset, ReadOptions};
use crate::error::{Error, Result, RunError};
use crate::kernels::augment::Augmentation;
use crate::model::Description;
use crate::optimise::Method;
use crate::shape::Shape;
use crate::subset::{Sampling, Schedule};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// Everything a run depends on besides the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// `digits`, or a path.
    pub data: String,
    /// Height and width that images of a folder are brought to.
    pub resize: Option<(u32, u32)>,
    /// The data the run was made on.
    pub data_sha256: String,
    /// K
    pub subset: usize,
    /// Held-out training examples.
    pub held_out: usize,
    /// How both are drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// λ
    pub weight_decay: f64,
    /// Seed of initialisation and sampling.
    pub seed: u64,
    /// Bytes of device memory for activations: the chunks, and so the last bits of every sum, depend on it.
    pub memory: u64,
    /// Seconds between checkpoints.
    pub checkpoint_every: f64,
    /// Copies of each example; none given: as many as epochs ask for.
    pub copies: Option<usize>,
    /// How copies differ from their examples.
    pub augment: Option<Augmentation>,
    /// Whether the first layer starts as whitened components of what it reads.
    #[serde(default)]
    pub whiten: bool,
    pub schedule: Schedule,
    pub method: Method,
    pub model: Description,
}

impl Config {
    pub fn save(&self, path: &Path) -> Result<()> {
        let toml = toml::to_string(self).expect("a configuration is plain data");
        crate::export::write_atomically(path, toml.as_bytes())
    }

    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, e))?;
        toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            RunError::Config { path: path.to_owned(), line, source: Box::new(e) }.into()
        })
    }
}

/// Opens `digits` or a folder.
pub(super) fn open_data(source: &str, resize: Option<(u32, u32)>) -> Result<Dataset> {
    Dataset::open(source, &ReadOptions { resize })
}

/// The built-in model for images of this shape, when the user names none.
pub(super) fn default_model(shape: Shape) -> Result<&'static str> {
    match (shape.channels, shape.height, shape.width) {
        (1, 8, 8) => Ok("digits-1k"),
        (1, 28, 28) => Ok("mnist-14k"),
        (3, 32, 32) => Ok("cifar-43k"),
        _ => Err(Error::usage(format!(
            "there is no default model for {shape} images: name one with --model (built in: {}; or a TOML file)",
            Description::builtin_names().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// A size in bytes: `512MiB`, `2GiB`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text[digits.len()..].to_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" | "kb" => 1 << 10,
            "m" | "mib" | "mb" => 1 << 20,
            "g" | "gib" | "gb" => 1 << 30,
            _ => 0,
        };
        let bytes = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|&bytes| bytes > 0);
        bytes.map(Self).ok_or_else(|| format!("{text:?} is not a size like 512MiB or 2GiB"))
    }
}

/// `32x32` as height and width.
pub(super) fn parse_resize(text: &str) -> std::result::Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    sides.ok_or_else(|| format!("{text:?} is not HEIGHTxWIDTH, such as 32x32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_sides_are_read() {
        assert_eq!("512MiB".parse::<Bytes>().unwrap().0, 512 << 20);
        assert_eq!("2g".parse::<Bytes>().unwrap().0, 2 << 30);
        assert_eq!("4096".parse::<Bytes>().unwrap().0, 4096);
        for text in ["", "MiB", "0", "1.5GiB", "-1", "99999999999999999999", "99999999999GiB", "3 parsecs"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!(parse_resize("32x24"), Ok((32, 24)));
        assert!(parse_resize("32").is_err() && parse_resize("ax3").is_err());
    }
}
