//! What a chart shows: series of points, scales, and the ticks of an axis.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0, or below.
    FromZero,
    /// A share as a percentage, from a little below the least.
    Percent,
    /// Logarithms of positive values.
    Log,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// What it measures, in which unit.
    pub label: &'static str,
    /// How.
    pub scale: Scale,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Not at all: only the line through them is.
    None,
    /// As discs.
    Circles,
    /// As triangles.
    Triangles,
    /// As crosses.
    Crosses,
}

/// Points of one kind.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its entry in the legend.
    pub label: String,
    /// Which colour of the palette.
    pub colour: usize,
    /// How its points are drawn.
    pub mark: Mark,
    /// Whether a line joins them.
    pub joined: bool,
    /// (x, y)
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The stem of its files.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What its marks mean.
    pub caption: String,
    /// Horizontal.
    pub x: Axis,
    /// Vertical.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// An axis as it is drawn: positions are values, or their decimal logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ruler {
    scale: Scale,
    pub range: Range<f64>,
    pub ticks: Vec<f64>,
    /// Fewest decimals that tell the ticks apart; none where each tick has its own.
    decimals: Option<usize>,
}

impl Chart {
    /// Without the points that have no place: not finite, or no logarithm.
    pub fn placed(mut self) -> Self {
        let (x, y) = (self.x.scale, self.y.scale);
        for series in &mut self.series {
            series.points.retain(|&(a, b)| x.position(a).is_finite() && y.position(b).is_finite());
        }
        self.series.retain(|series| !series.points.is_empty());
        self
    }

    /// Its files in a folder of charts.
    pub fn files(&self, folder: &Path) -> [PathBuf; 2] {
        ["svg", "png"].map(|kind| folder.join(self.name).with_extension(kind))
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn rulers(&self) -> [Ruler; 2] {
        let points = || self.series.iter().flat_map(|series| &series.points);
        [self.x.scale.ruler(points().map(|point| point.0)), self.y.scale.ruler(points().map(|point| point.1))]
    }
}

impl Scale {
    pub(super) fn position(self, value: f64) -> f64 {
        match self {
            Self::Log if value <= 0.0 => f64::NAN,
            Self::Log => value.log10(),
            Self::Percent => 100.0 * value,
            Self::FromZero => value,
        }
    }

    fn ruler(self, values: impl Iterator<Item = f64>) -> Ruler {
        let positions = values.map(|value| self.position(value));
        let (least, most) =
            positions.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (least.min(x), most.max(x)));
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        // some room around a single value, too
        let room = 0.04 * (most - least).max(if self == Self::Log { 0.5 } else { 1e-3 * most.abs() + 1e-9 });
        let range = match self {
            Self::FromZero => least.min(0.0)..(if most > 0.0 { most + room } else { 1.0 }),
            Self::Percent => (least - room).max(0.0)..(most + room).min(100.0).max(least + room),
            Self::Log => least - room..most + room,
        };
        let (ticks, decimals) = if self == Self::Log { log_ticks(&range) } else { linear_ticks(&range) };
        Ruler { scale: self, range, ticks, decimals }
    }
}

impl Ruler {
    /// A tick as text.
    pub(super) fn text(&self, position: f64) -> String {
        let decimals = self.decimals.unwrap_or_default();
        match self.scale {
            Scale::Log if !(-4.5..5.5).contains(&position) => {
                // decimals of the number leave so many behind its first digit
                let digits = self.decimals.map_or(0, |decimals| (decimals as i32 + position.floor() as i32).max(0));
                format!("{:.*e}", digits as usize, 10f64.powf(position))
            }
            Scale::Log => {
                let decimals = self.decimals.unwrap_or((-position).ceil().max(0.0) as usize);
                format!("{:.decimals$}", 10f64.powf(position))
            }
            Scale::Percent => format!("{position:.decimals$}%"),
            Scale::FromZero => format!("{position:.decimals$}"),
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, about six.
fn linear_ticks(range: &Range<f64>) -> (Vec<f64>, Option<usize>) {
    let least = (range.end - range.start) / 7.0;
    let power = 10f64.powf(least.log10().floor());
    let step = power * [1.0, 2.0, 5.0, 10.0].into_iter().find(|by| by * power >= least).unwrap_or(10.0);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step).floor() as i64);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    ((first..=last).map(|i| i as f64 * step).collect(), Some(decimals))
}

/// Powers of ten; with 2 and 5 between them where there are few; round values where there is hardly one.
fn log_ticks(range: &Range<f64>) -> (Vec<f64>, Option<usize>) {
    let decades = range.end - range.start;
    if decades < 0.8 {
        let (ticks, decimals) = linear_ticks(&(10f64.powf(range.start)..10f64.powf(range.end)));
        return (ticks.into_iter().map(f64::log10).collect(), decimals);
    }
    let digits: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = ((decades / 8.0).ceil() as i32).max(1);
    let powers = (range.start.floor() as i32..=range.end.ceil() as i32).filter(|power| power % every == 0);
    let ticks = powers.flat_map(|power| digits.iter().map(move |digit| f64::from(power) + digit.log10()));
    (ticks.filter(|tick| range.contains(tick)).collect(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, values: &[f64]) -> String {
        let ruler = scale.ruler(values.iter().copied());
        assert!(ruler.range.start < ruler.range.end, "{scale:?} {values:?}: {ruler:?}");
        ruler.ticks.iter().map(|&tick| ruler.text(tick)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(texts(Scale::FromZero, &[0.1, 0.6]), "0.0 0.1 0.2 0.3 0.4 0.5 0.6");
        assert_eq!(texts(Scale::FromZero, &[3.0, 1100.0]), "0 200 400 600 800 1000");
        assert_eq!(texts(Scale::Percent, &[0.9, 1.0]), "90% 92% 94% 96% 98% 100%");
        assert_eq!(texts(Scale::Log, &[0.02, 3.0]), "0.02 0.05 0.1 0.2 0.5 1 2");
        assert_eq!(texts(Scale::Log, &[1e-9, 1.0]), "1e-8 1e-6 0.0001 0.01 1");
        assert_eq!(texts(Scale::Log, &[2.0, 6.0]), "2 3 4 5 6");
        assert_eq!(texts(Scale::Log, &[1.1e-5, 1.6e-5]), "1.1e-5 1.2e-5 1.3e-5 1.4e-5 1.5e-5 1.6e-5");
        assert_eq!(texts(Scale::Log, &[0.21, 0.26]), "0.22 0.24 0.26");
    }

    #[test]
    fn one_value_and_none_have_a_range() {
        for scale in [Scale::FromZero, Scale::Percent, Scale::Log] {
            for values in [&[][..], &[0.5], &[1.0], &[1e-9]] {
                texts(scale, values);
            }
        }
        texts(Scale::FromZero, &[0.0]);
        texts(Scale::Percent, &[0.0, 0.0]);
    }

    #[test]
    fn points_without_a_place_are_left_out() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (2.0, 0.0), (3.0, -1.0)];
        let axis = |scale| Axis { label: "", scale };
        let series = |points| Series { label: String::new(), colour: 0, mark: Mark::None, joined: true, points };
        let (x, y) = (axis(Scale::FromZero), axis(Scale::Log));
        let series = vec![series(points), series(vec![(1.0, f64::NAN)])];
        let chart = Chart { name: "", title: "", caption: String::new(), x, y, series }.placed();
        assert_eq!(chart.series.len(), 1);
        assert_eq!(chart.series[0].points, [(0.0, 1.0)]);
    }
}
