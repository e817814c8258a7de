//! `--augment` and `--copies`.

use crate::error::{Error, Result};
use crate::kernels::augment::Augmentation;
use crate::shape::Shape;
use clap::Args;
use std::str::FromStr;

#[derive(Args)]
#[group(conflicts_with = "resume")]
pub(super) struct AugmentArgs {
    /// Train on copies of the examples that differ from them: a list of crop[=PIXELS], flip, rotate[=DEGREES], scale[=SHARE], brightness[=SHARE],
    /// contrast[=SHARE], cutout[=PIXELS] (docs/method.md)
    #[arg(long, value_name = "crop,flip,…")]
    augment: Option<Changes>,
    /// Copies of each example, with --augment [default: 1; for sweep and minibatch another one in each epoch]
    #[arg(long, value_name = "N", requires = "augment", value_parser = clap::value_parser!(u32).range(1..))]
    copies: Option<u32>,
}

/// What `--augment` lists, sizes in pixels not yet known.
#[derive(Clone, Debug, PartialEq)]
struct Changes(Vec<(String, Option<f64>)>);

impl FromStr for Changes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut changes = Self(Vec::new());
        for part in text.split(',') {
            let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            let value = value.map(str::parse).transpose().map_err(|_| format!("{part}: not a number"))?;
            if changes.0.iter().any(|(known, _)| known == name) {
                return Err(format!("{name}: given twice"));
            }
            changes.0.push((name.to_owned(), value));
        }
        changes.of(Shape::new(1, 1 << 16, 1 << 16)).map_err(|e| e.to_string())?;
        Ok(changes)
    }
}

impl Changes {
    /// With the usual sizes for images of a shape where none are given.
    fn of(&self, shape: Shape) -> Result<Augmentation> {
        let mut by = Augmentation::default();
        let side = shape.height.min(shape.width);
        for (name, value) in &self.0 {
            let or = |usual: f64, least: f64, most: f64| -> Result<f64> {
                let value = value.unwrap_or(usual);
                if (least..=most).contains(&value) {
                    return Ok(value);
                }
                Err(Error::usage(format!("--augment {name}={value}: not a number from {least} to {most}")))
            };
            let pixels = |usual: usize, most: usize| -> Result<u32> {
                let value = or(usual as f64, 0.0, most as f64)?;
                if value.fract() == 0.0 {
                    return Ok(value as u32);
                }
                Err(Error::usage(format!("--augment {name}={value}: not a whole number of pixels")))
            };
            match name.as_str() {
                "crop" => by.crop = pixels(side.div_ceil(8), (side - 1).min(1 << 14))?,
                "flip" if value.is_none() => by.flip = true,
                "rotate" => by.rotate = or(15.0, 0.0, 45.0)?,
                "scale" => by.scale = or(0.1, 0.0, 0.5)?,
                "brightness" => by.brightness = or(0.2, 0.0, 4.0)?,
                "contrast" => by.contrast = or(0.2, 0.0, 1.0)?,
                "cutout" => by.cutout = pixels(side.div_ceil(4), side)?,
                _ => {
                    return Err(Error::usage(format!(
                        "--augment {name}: choose among crop, flip, rotate, scale, brightness, contrast, cutout; flip takes no number"
                    )));
                }
            }
        }
        Ok(by)
    }
}

impl AugmentArgs {
    /// How copies of images of a shape are to differ from them, if there are to be any, and how many.
    pub fn choose(&self, shape: Shape) -> Result<(Option<Augmentation>, Option<usize>)> {
        let by = self.augment.as_ref().map(|changes| changes.of(shape)).transpose()?;
        Ok((by, self.copies.map(|copies| copies as usize)))
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
        assert_eq!(of("flip,crop=1", 8), Augmentation { crop: 1, ..want });
        let want = Augmentation { rotate: 10.5, cutout: 2, contrast: 0.2, ..Augmentation::default() };
        assert_eq!(of("rotate=10.5,cutout,contrast", 8), want);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "crops", "crop=1.5", "crop=-1", "flip=1", "rotate=50", "crop,crop", "scale=x", "contrast=nan"]
        {
            assert!(text.parse::<Changes>().is_err(), "{text}");
        }
        let crop: Changes = "crop=8".parse().unwrap();
        assert!(crop.of(Shape::new(1, 8, 8)).unwrap_err().to_string().contains("from 0 to 7"));
    }
}
