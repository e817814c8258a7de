//! `--augment` and `--copies`.

use super::values::{non_negative, value_name};
use crate::error::Result;
use crate::kernels::augment::Augmentation;
use crate::shape::Shape;
use clap::{Args, ValueEnum};
use std::str::FromStr;

#[derive(Args, Clone, Debug)]
pub(super) struct AugmentArgs {
    /// Train on copies of the examples that differ from them: a list of crop[=PIXELS], flip, rotate[=DEGREES],
    /// scale[=SHARE], brightness[=SHARE], contrast[=SHARE], cutout[=PIXELS] (docs/how-a-run-works.md), or none
    /// [default: crop=1 with sweep where images are drawn on black with a free border, else none]
    #[arg(long, value_name = "crop,flip,…|none")]
    augment: Option<Changes>,
    /// Copies of each example, with --augment [default: 1; for sweep and minibatch another one in each epoch]
    #[arg(long, value_name = "N", requires = "augment", value_parser = clap::value_parser!(u32).range(1..))]
    copies: Option<u32>,
}

/// A change by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Change {
    Crop,
    Flip,
    Rotate,
    Scale,
    Brightness,
    Contrast,
    Cutout,
}

/// What `--augment` lists, sizes in pixels not yet known.
#[derive(Clone, Debug, PartialEq)]
struct Changes(Vec<(Change, Option<f64>)>);

impl FromStr for Changes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut changes: Vec<(Change, Option<f64>)> = Vec::new();
        if text == "none" {
            return Ok(Self(changes));
        }
        for part in text.split(',') {
            let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            let change = Change::from_str(name, false).map_err(|_| {
                let names: Vec<String> = Change::value_variants().iter().map(value_name).collect();
                format!("{name:?} is not one of {}", names.join(", "))
            })?;
            if change == Change::Flip && value.is_some() {
                return Err("flip takes no number".to_owned());
            }
            let value = value.map(non_negative).transpose().map_err(|why| format!("{part}: {why}"))?;
            if [Change::Crop, Change::Cutout].contains(&change) && value.is_some_and(|value| value.fract() != 0.0) {
                return Err(format!("{part}: not a whole number of pixels"));
            }
            if changes.iter().any(|(known, _)| *known == change) {
                return Err(format!("{name} is given twice"));
            }
            changes.push((change, value));
        }
        Ok(Self(changes))
    }
}

impl Changes {
    /// With the usual sizes for images of a shape where none are given.
    fn of(&self, shape: Shape) -> Result<Augmentation> {
        let mut by = Augmentation::default();
        let side = shape.height.min(shape.width);
        for (change, value) in &self.0 {
            let or = |usual: f64| value.unwrap_or(usual);
            let pixels = |usual: usize| or(usual.min(side - 1) as f64) as u32;
            match change {
                Change::Crop => by.crop = pixels(side.div_ceil(8)),
                Change::Flip => by.flip = true,
                Change::Rotate => by.rotate = or(15.0),
                Change::Scale => by.scale = or(0.1),
                Change::Brightness => by.brightness = or(0.2),
                Change::Contrast => by.contrast = or(0.2),
                Change::Cutout => by.cutout = pixels(side.div_ceil(4)),
            }
        }
        by.check(shape)?;
        Ok(by)
    }
}

impl AugmentArgs {
    /// Copies of each example, if that was said.
    pub(super) fn copies(&self) -> Option<usize> {
        self.copies.map(|copies| copies as usize)
    }

    /// How copies of images of a shape are to differ from them, and how many; if there are to be any.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) for a change that images of this shape do not allow.
    pub(super) fn choose(&self, shape: Shape) -> Result<Option<(Augmentation, Option<usize>)>> {
        let by = self.augment.as_ref().map(|changes| changes.of(shape)).transpose()?;
        Ok(by.map(|by| (by, self.copies())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_sized_by_the_images() {
        let of = |text: &str, side| text.parse::<Changes>().unwrap().of(Shape::new(3, side, side)).unwrap();
        let want = Augmentation { crop: 4, flip: true, ..Augmentation::default() };
        assert_eq!(of("crop,flip", 32), want);
        assert_eq!(of("none", 32), Augmentation::default());
        assert_eq!(of("flip,crop=1", 8), Augmentation { crop: 1, ..want });
        let want = Augmentation { rotate: 10.5, cutout: 2, contrast: 0.2, ..Augmentation::default() };
        assert_eq!(of("rotate=10.5,cutout,contrast", 8), want);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "none,crop", "crops", "crop=1.5", "crop=-1", "flip=1", "crop,crop", "scale=x", "contrast=nan"]
        {
            assert!(text.parse::<Changes>().is_err(), "{text}");
        }
        for text in ["crop=8", "rotate=50", "cutout=9", "crop=99999999999"] {
            let why = text.parse::<Changes>().unwrap().of(Shape::new(1, 8, 8)).unwrap_err().to_string();
            assert!(why.contains(" from 0 to "), "{text}: {why}");
        }
        // one pixel: nowhere to go
        assert_eq!("crop,cutout".parse::<Changes>().unwrap().of(Shape::new(1, 1, 1)).unwrap(), Augmentation::default());
    }
}
