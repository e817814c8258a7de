//! A network for pictures of any size, or for features, where none is named.

use super::description::{Description, Initialisation, LayerDescription, LayerKind, Sources};
use crate::kernels::activation::Activation;
use crate::shape::Shape;

/// Channels of the stages, each with half the height and width of the one before.
const CHANNELS: [usize; 5] = [16, 32, 64, 96, 128];

/// There are at least so many stages, and as many more as bring the shorter side down to so many pixels.
const LEAST_STAGES: usize = 3;
const LAST_SIDE: usize = 7;

/// Pictures of fewer pixels a side are not halved at once; of so many, twice.
const SMALL: usize = 16;
const LARGE: usize = 128;

/// Pictures that are lower or narrower have no stages to go through.
const LEAST_SIDE: usize = 4;

impl Description {
    /// A residual network (He and others 2015, arXiv 1512.03385) for pictures of this shape, under batch normalisation:
    /// a stem, a stage of one block after another, the mean over what is left of the pixels. On 3×32×32 it is
    /// `cifar-resnet-75k`. `None` for what is no picture.
    pub(super) fn of_pictures(shape: Shape) -> Option<Self> {
        let Shape { height, width, .. } = shape;
        if height.min(width) < LEAST_SIDE {
            return None;
        }
        let is_small = height.min(width) < SMALL;
        let mut layer = vec![conv(CHANNELS[0], if is_small { 1 } else { 2 }, Some(Activation::Relu), None)];
        let mut sides = if is_small { [height, width] } else { [height, width].map(|side| side.div_ceil(2)) };
        if height.min(width) >= LARGE {
            layer.push(LayerKind::MaxPool { size: 2, stride: None, padding: 0 }.into());
            sides = sides.map(|side| side / 2);
        }
        layer.push(block(CHANNELS[0], None));
        for (stage, &channels) in CHANNELS.iter().enumerate().skip(1) {
            if stage >= LEAST_STAGES && sides[0].min(sides[1]) <= LAST_SIDE {
                break;
            }
            layer.push(block(channels, Some(halved(sides))));
            sides = sides.map(|side| side.div_ceil(2));
        }
        layer.push(LayerKind::GlobalAvgPool {}.into());
        layer.push(LayerKind::Dense { units: None, activation: None }.into());
        let (name, initialisation) = (format!("resnet-{height}x{width}"), Initialisation::default());
        Some(Self { name, initialisation, group: None, layer })
    }
}

/// Units of the hidden layers for features.
const UNITS: usize = 64;

impl Description {
    /// Two hidden layers for a vector of features; `None` for what is none.
    pub(super) fn of_features(shape: Shape) -> Option<Self> {
        let hidden = || LayerKind::Dense { units: Some(UNITS), activation: Some(Activation::Relu) }.into();
        let layer = vec![hidden(), hidden(), LayerKind::Dense { units: None, activation: None }.into()];
        let (name, initialisation) = (format!("dense-{}", shape.channels), Initialisation::default());
        (shape.pixels() == 1).then_some(Self { name, initialisation, group: None, layer })
    }
}

/// The shortcut past a convolution that halves such sides, rounded up: means over 2 × 2 pixels where these are all.
fn halved(sides: [usize; 2]) -> LayerKind {
    match sides.iter().all(|side| side.is_multiple_of(2)) {
        true => LayerKind::AvgPool { size: 2, stride: None, padding: 0 },
        false => LayerKind::AvgPool { size: 3, stride: Some(2), padding: 1 },
    }
}

/// Two convolutions beside what they read, or beside the pooled `shortcut` of it: then they halve the sides.
fn block(channels: usize, shortcut: Option<LayerKind>) -> LayerDescription {
    let is_halved = shortcut.is_some();
    let from = || Some(Sources::One("input".to_owned()));
    let norm = |activation| LayerDescription::from(LayerKind::BatchNorm { activation });
    let beside = if is_halved { Some(Sources::One("shortcut".to_owned())) } else { from() };
    let mut layer: Vec<LayerDescription> = Vec::new();
    layer.extend(shortcut.map(|kind| LayerDescription { name: Some("shortcut".to_owned()), from: None, kind }));
    layer.push(match is_halved {
        true => conv(channels, 2, None, from()),
        false => conv(channels, 1, None, None),
    });
    layer.extend([norm(Some(Activation::Relu)), conv(channels, 1, None, None), norm(None)]);
    let sum = LayerKind::Add { pad: is_halved, activation: Some(Activation::Relu) };
    layer.push(LayerDescription { from: beside, ..sum.into() });
    LayerKind::Block { repeat: 1, layer }.into()
}

fn conv(channels: usize, stride: usize, activation: Option<Activation>, from: Option<Sources>) -> LayerDescription {
    let kind = LayerKind::Conv { channels, size: 3, stride, padding: 1, groups: 1, activation };
    LayerDescription { from, ..kind.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn pictures_of_any_size_have_a_network() {
        let of = |shape: Shape| Description::of_pictures(shape).unwrap();
        let builtin = Description::open("cifar-resnet-75k").unwrap();
        assert_eq!(of(Shape::new(3, 32, 32)).layer, builtin.layer, "the same network");
        for side in (4..40).chain([48, 63, 64, 96, 127, 128, 129, 224, 257, 512]) {
            for (height, width) in [(side, side), (side, side + 1), (side + 7, side)] {
                let (input, description) = (Shape::new(3, height, width), of(Shape::new(3, height, width)));
                let model = Model::new(&description, input, 5).unwrap_or_else(|e| panic!("{height}×{width}: {e}"));
                assert!((75_000..500_000).contains(&model.parameters()), "{height}×{width}: {}", model.parameters());
                let least = 5_000_000; // of what is not halved at once
                assert!(model.multiply_adds() < least + 4000 * input.pixels(), "{height}×{width}");
            }
        }
        assert_eq!(Description::of_pictures(Shape::vector(100)), None);
    }
}
