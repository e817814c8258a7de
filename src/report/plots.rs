//! Charts as SVG and PNG.

use super::chart::{Chart, Mark, Ruler};
use super::picture::png;
use crate::error::{Error, IoError, Result};
use image::ExtendedColorType;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use std::sync::Once;

/// Pixels. A page shows charts at half of that or less.
const SIZE: (u32, u32) = (1440, 840);
const FONT: &str = "sans-serif";
const TEXT: i32 = 27;
/// A row of the legend.
const ROW: i32 = 38;
const MOST_ROWS: usize = 18;
/// Characters of a legend's entry.
const MOST_CHARACTERS: usize = 30;
/// Text, axes and, fainter, the grid.
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
/// To be told apart by most eyes, on white and on black.
const PALETTE: [RGBColor; 10] = [
    RGBColor(0x3b, 0x82, 0xc4),
    RGBColor(0xe0, 0x7b, 0x39),
    RGBColor(0x2f, 0x9e, 0x77),
    RGBColor(0xc8, 0x4d, 0x6a),
    RGBColor(0x8f, 0x6b, 0xc1),
    RGBColor(0x9a, 0x8f, 0x2d),
    RGBColor(0x2a, 0xa5, 0xb8),
    RGBColor(0xa0, 0x70, 0x50),
    RGBColor(0xd8, 0x73, 0xb0),
    RGBColor(0x80, 0x80, 0x80),
];

impl Chart {
    /// As an SVG file, on white.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        self.draw_svg(true)
    }

    /// As an SVG element of a page, in the colour of its text.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn inline_svg(&self) -> Result<String> {
        // no text of a label, where quotes are escaped
        let ink = format!("=\"#{:02X}{:02X}{:02X}\"", INK.0, INK.1, INK.2);
        let (xmlns, size) =
            (" xmlns=\"http://www.w3.org/2000/svg\"", format!(" width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1));
        Ok(self.draw_svg(false)?.replace(&ink, "=\"currentColor\"").replacen(xmlns, "", 1).replacen(&size, "", 1))
    }

    /// As a PNG file, on white.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn png(&self) -> Result<Vec<u8>> {
        let (width, height) = SIZE;
        let mut pixels = vec![0xff; (3 * width * height) as usize];
        self.draw(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area()).map_err(undrawn)?;
        png(&pixels, width as usize, height as usize, ExtendedColorType::Rgb8)
    }

    fn draw_svg(&self, on_white: bool) -> Result<String> {
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            if on_white {
                area.fill(&WHITE).map_err(undrawn)?;
            }
            self.draw(&area).map_err(undrawn)?;
        }
        Ok(text)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawnSeries<B> {
        register_fonts();
        let legend = self.legend();
        let longest = legend.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) as i32;
        let (left, right) = area.split_horizontally(SIZE.0 as i32 - 70 - longest * TEXT / 2);
        let [x, y] = self.rulers();
        let mut chart = ChartBuilder::on(&left)
            .caption(self.title, (FONT, TEXT + 8, &INK))
            .margin(12)
            .x_label_area_size(84)
            .y_label_area_size(124)
            .build_cartesian_2d(x, y)?;
        let text = TextStyle::from((FONT, TEXT).into_font()).color(&INK);
        chart
            .configure_mesh()
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .label_style(text.clone())
            .axis_desc_style(text.clone())
            .axis_style(INK.mix(0.7))
            .bold_line_style(INK.mix(0.16))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for series in &self.series {
            let place = |&(a, b): &(f64, f64)| (self.x.scale.position(a), self.y.scale.position(b));
            let (colour, points) = (colour(series.colour), series.points.iter().map(place));
            if series.joined {
                let (width, faint) = if series.mark == Mark::None { (3, 1.0) } else { (3, 0.7) };
                chart.draw_series(LineSeries::new(points.clone(), colour.mix(faint).stroke_width(width)))?;
            }
            match series.mark {
                Mark::None => {}
                Mark::Circles => {
                    chart.draw_series(points.map(|at| Circle::new(at, 7, colour.filled())))?;
                }
                Mark::Triangles => {
                    chart.draw_series(points.map(|at| TriangleMarker::new(at, 12, colour.filled())))?;
                }
                Mark::Crosses => {
                    chart.draw_series(points.map(|at| Cross::new(at, 9, colour.stroke_width(3))))?;
                }
            }
        }
        for (row, (label, colour)) in legend.iter().enumerate() {
            let at = (8, 64 + ROW * row as i32);
            if let Some(colour) = colour {
                right.draw(&Rectangle::new([at, (at.0 + 22, at.1 + 6)], colour.filled()))?;
            }
            let style = text.clone().pos(Pos::new(HPos::Left, VPos::Center));
            right.draw(&Text::new(label.as_str(), (at.0 + 32, at.1 + 3), style))?;
        }
        area.present()
    }

    /// Labels and their colours, each once, as many as there is room for.
    fn legend(&self) -> Vec<(String, Option<RGBColor>)> {
        let mut rows = Vec::new();
        for series in self.series.iter().filter(|series| !series.label.is_empty()) {
            let row = (shortened(&series.label), Some(colour(series.colour)));
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        if rows.len() > MOST_ROWS {
            let left_out = rows.len() - MOST_ROWS + 1;
            rows.truncate(MOST_ROWS - 1);
            rows.push((format!("and {left_out} more"), None));
        }
        rows
    }
}

type DrawnSeries<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format_ext(&self, position: &f64) -> String {
        self.text(*position)
    }
}

pub(super) fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// The end of a long label tells runs apart.
fn shortened(label: &str) -> String {
    let characters = label.chars().count();
    if characters <= MOST_CHARACTERS {
        return label.to_owned();
    }
    "…".chars().chain(label.chars().skip(characters - MOST_CHARACTERS + 1)).collect()
}

/// A font of our own, so that text is drawn, and its width known, on any machine.
fn register_fonts() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let registered = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        assert!(registered.is_ok(), "a font that the program holds");
    });
}

fn undrawn(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    IoError::Chart { source: Box::new(source) }.into()
}

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis, Scale, Series};
    use super::*;

    fn chart(runs: usize, label: &str) -> Chart {
        let axis = |label, scale| Axis { label, scale };
        let marks = [Mark::None, Mark::Circles, Mark::Triangles, Mark::Crosses];
        let series = |i: usize| Series {
            label: format!("{label}{i}"),
            colour: i,
            mark: marks[i % 4],
            joined: i % 4 < 2,
            points: vec![(0.0, 1.0 + i as f64), (1.0, 0.1)],
        };
        let (x, y) = (axis("cost", Scale::FromZero), axis("loss", Scale::Log));
        Chart { name: "loss", title: "Loss", caption: String::new(), x, y, series: (0..runs).map(series).collect() }
    }

    #[test]
    fn a_chart_is_drawn_in_every_form_and_its_labels_are_escaped() {
        let chart = chart(4, "a <b> & \"#333333\" ");
        let file = chart.svg().unwrap();
        assert!(file.contains("xmlns") && file.contains("a &lt;b&gt; &amp;") && !file.contains("<b>"), "{file}");
        let inline = chart.inline_svg().unwrap();
        assert!(inline.starts_with("<svg viewBox") && inline.trim_end().ends_with("</svg>"), "{inline}");
        assert!(!inline.contains("http") && inline.contains("currentColor"), "{inline}");
        assert!(inline.contains("#333333&quot;"), "text is left alone: {inline}");
        let png = image::load_from_memory(&chart.png().unwrap()).unwrap().into_rgb8();
        assert_eq!(png.dimensions(), SIZE);
        assert!(png.pixels().any(|pixel| pixel.0 == [0x3b, 0x82, 0xc4]), "a line in the first colour");
    }

    #[test]
    fn many_runs_and_none_are_drawn() {
        let text = chart(40, &"long ".repeat(20)).svg().unwrap();
        assert!(text.contains("and 23 more") && text.contains("…"), "{text}");
        assert!(chart(0, "").svg().unwrap().contains("</svg>"));
    }
}
