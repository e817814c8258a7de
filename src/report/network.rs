//! A network as a drawing: a layer a row, with the shape of what it puts out and its parameters, and an arc for what is
//! not read by the next row.

use crate::model::{Model, Value};
use maud::{Markup, PreEscaped, html};

/// Layers that are drawn, at most.
const MOST: usize = 400;
/// Rows up to which all are in sight; more scroll.
const MOST_IN_SIGHT: usize = 30;

/// Pixels: the height of a row, that of its box, and the columns from the left side of the boxes on.
const ROW: usize = 28;
const BOX: usize = 20;
const WEIGHTS: usize = 200;
const OUTPUT: usize = 390;
const WIDTH: usize = 500;
/// Between one arc and the next.
const ARC: usize = 14;
/// Arcs side by side, at most.
const MOST_ARCS: usize = 6;

/// Layers in order, and what each reads.
#[derive(Clone, Debug)]
pub struct NetworkDrawing {
    /// The first stands for the example.
    layers: Vec<DrawnLayer>,
    /// Layers that there is no room for.
    left_out: usize,
}

/// A row: a layer, with the activation after it.
#[derive(Clone, Debug)]
struct DrawnLayer {
    /// Of the style sheet.
    class: &'static str,
    name: String,
    /// Dimensions of its weight tensor.
    weights: String,
    output: String,
    parameters: usize,
    /// Rows that it reads.
    reads: Vec<usize>,
}

impl NetworkDrawing {
    /// Of a model. An activation is drawn with the layer before it, where nothing else reads that.
    pub fn new(model: &Model) -> Self {
        let mut layers = vec![DrawnLayer {
            class: "input",
            name: "image".to_owned(),
            weights: String::new(),
            output: model.input.to_string(),
            parameters: 0,
            reads: Vec::new(),
        }];
        let reads = || model.edges().iter().flat_map(|edges| edges.values());
        let has_one_reader = |value: Value| reads().filter(|&of| of == value).count() == 1;
        // the row of the example, then of each layer
        let mut rows = vec![0];
        for ((layer, edges), range) in model.layers().iter().zip(model.edges()).zip(model.ranges()) {
            let row_of = |value: Value| rows[value.index()];
            let is_next = edges.x.index() + 1 == rows.len() && edges.x.layer().is_some();
            match layer.activation() {
                Some(function) if is_next && has_one_reader(edges.x) => {
                    let last = layers.len() - 1;
                    layers[last].name += &format!(", {}", function.name());
                }
                _ => layers.push(DrawnLayer {
                    class: if layer.is_product() { "product" } else { "other" },
                    name: layer.name().to_owned(),
                    weights: dims(&layer.weight_dims()),
                    output: layer.output().to_string(),
                    parameters: range.as_ref().map_or(0, |range| range.len()),
                    reads: edges.values().map(row_of).collect(),
                }),
            }
            rows.push(layers.len() - 1);
        }
        let left_out = layers.len().saturating_sub(MOST);
        layers.truncate(MOST);
        Self { layers, left_out }
    }

    /// The drawing, in the colours of the page.
    pub(super) fn svg(&self) -> Markup {
        let arcs = self.arcs();
        let lanes = arcs.iter().map(|arc| arc.lane + 1).max().unwrap_or(0);
        let (left, height) = (ARC * (lanes + 1), ROW * (self.layers.len() + 1));
        let label = format!("the network: {} layers", self.layers.len() - 1 + self.left_out);
        html! {
            div.wide.tall[self.layers.len() > MOST_IN_SIGHT] {
                svg.network viewBox={ "0 0 " (left + WIDTH + 2) " " (height) } role="img" aria-label=(label) {
                    (text(left + 8, 0, "start", "head", "layer"))
                    (text(left + WEIGHTS, 0, "start", "head", "weights"))
                    (text(left + OUTPUT, 0, "end", "head", "output"))
                    (text(left + WIDTH - 8, 0, "end", "head", "parameters"))
                    @for arc in &arcs { path.arc d=(arc.path(left)) {} }
                    @for (row, layer) in self.layers.iter().enumerate() { (layer.row(row, left)) }
                }
            }
            @if self.left_out > 0 { p.note { (self.left_out) " more layers are not drawn." } }
        }
    }

    /// What is not read by the next row, the shortest nearest to the boxes.
    fn arcs(&self) -> Vec<Arc> {
        let mut arcs: Vec<Arc> = Vec::new();
        let of_layer = |(to, layer): (usize, &DrawnLayer)| {
            let far: Vec<usize> = layer.reads.iter().copied().filter(|from| from + 1 < to).collect();
            far.into_iter().map(move |from| (from, to))
        };
        let mut ends: Vec<(usize, usize)> = self.layers.iter().enumerate().flat_map(of_layer).collect();
        ends.sort_by_key(|(from, to)| to - from);
        for (from, to) in ends {
            let is_taken = |lane: usize| arcs.iter().any(|arc| arc.lane == lane && from < arc.to && arc.from < to);
            let lane = (0..MOST_ARCS).find(|&lane| !is_taken(lane)).unwrap_or(MOST_ARCS - 1);
            arcs.push(Arc { from, to, lane });
        }
        arcs
    }
}

/// A shortcut between two rows, in its place beside the boxes.
struct Arc {
    from: usize,
    to: usize,
    lane: usize,
}

impl Arc {
    /// From the left side of one box to that of another.
    fn path(&self, left: usize) -> String {
        let [from, to] = [self.from, self.to].map(|row| ROW * (row + 1) + BOX / 2);
        let out = left - ARC * (self.lane + 1);
        let bend = ARC.min((to - from) / 2);
        let [start, end] = [from + bend, to - bend];
        format!("M{left} {from}Q{out} {from} {out} {start}V{end}Q{out} {to} {left} {to}")
    }
}

impl DrawnLayer {
    fn row(&self, row: usize, left: usize) -> Markup {
        let top = ROW * (row + 1);
        let parameters = if self.parameters > 0 { grouped(self.parameters) } else { String::new() };
        html! {
            @if row > 0 && self.reads.contains(&(row - 1)) {
                path d={ "M" (left + 24) " " (top + BOX - ROW) "V" (top) } {}
            }
            rect class=(self.class) x=(left) y=(top) width=(WIDTH) height=(BOX) rx="4" {}
            (text(left + 8, row + 1, "start", "name", &self.name))
            (text(left + WEIGHTS, row + 1, "start", "soft", &self.weights))
            (text(left + OUTPUT, row + 1, "end", "name", &self.output))
            (text(left + WIDTH - 8, row + 1, "end", "soft", &parameters))
        }
    }
}

fn text(x: usize, row: usize, anchor: &str, class: &str, text: &str) -> Markup {
    // maud closes what HTML leaves open; an empty text would still be read out
    if text.is_empty() {
        return PreEscaped(String::new());
    }
    html! { text class=(class) x=(x) y=(ROW * row + 15) text-anchor=(anchor) { (text) } }
}

fn dims(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

/// A number with a comma between each three digits.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let is_first = |i: usize| i > 0 && (digits.len() - i).is_multiple_of(3);
    digits.chars().enumerate().flat_map(|(i, digit)| is_first(i).then_some(',').into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Description;
    use crate::shape::Shape;

    fn drawing(toml: &str) -> NetworkDrawing {
        let description = Description::parse(toml, "a").unwrap();
        NetworkDrawing::new(&Model::new(&description, Shape::new(1, 8, 8), 10).unwrap())
    }

    #[test]
    fn layers_are_rows_and_shortcuts_arcs() {
        let network = drawing(
            r#"layer = [
            { kind = "conv", channels = 4, size = 3, padding = 1, activation = "relu", name = "a" },
            { kind = "conv", channels = 4, size = 3, padding = 1 },
            { kind = "activation", function = "silu" },
            { kind = "conv", channels = 4, size = 3, padding = 1 },
            { kind = "add", from = "a", activation = "relu" },
            { kind = "dense" }]"#,
        );
        let rows: Vec<_> =
            network.layers.iter().map(|layer| (layer.name.as_str(), layer.parameters, layer.reads.clone())).collect();
        let expected = [
            ("image", 0, vec![]),
            ("conv1, relu", 40, vec![0]),
            ("conv2, silu", 148, vec![1]),
            ("conv4", 148, vec![2]),
            ("add5, relu", 0, vec![3, 1]),
            ("dense6", 2570, vec![4]),
        ];
        assert_eq!(rows, expected);
        let svg = network.svg().into_string();
        assert_eq!(svg.matches("<rect").count(), 6);
        // five steps from a row to the next, and the shortcut
        assert_eq!((svg.matches("<path").count(), svg.matches('Q').count()), (6, 2), "{svg}");
        for shown in ["4×1×3×3", ">4×8×8<", ">2,570<", ">10×1×1<"] {
            assert!(svg.contains(shown), "{shown}: {svg}");
        }
    }

    #[test]
    fn an_activation_beside_another_reader_is_a_row_of_its_own() {
        let network = drawing(
            r#"layer = [
            { kind = "conv", channels = 4, size = 3, padding = 1, name = "a" },
            { kind = "activation", function = "relu" },
            { kind = "add", from = "a" },
            { kind = "dense" }]"#,
        );
        assert_eq!(network.layers.iter().map(|layer| layer.reads.clone()).collect::<Vec<_>>().len(), 5);
        assert_eq!(network.layers[3].reads, [2, 1]);
    }

    #[test]
    fn nested_shortcuts_lie_side_by_side_and_the_rest_is_counted() {
        let block = r#"{ kind = "block", repeat = 500, layer = [
            { kind = "conv", channels = 1, size = 1 }, { kind = "add", from = "input" }] }"#;
        let network = drawing(&format!("layer = [{block}, {{ kind = \"dense\" }}]"));
        assert_eq!((network.layers.len(), network.left_out), (MOST, 602));
        assert!(network.arcs().iter().all(|arc| arc.lane == 0), "one after another");
        assert!(network.svg().into_string().contains("602 more layers are not drawn"));
        let nested = NetworkDrawing {
            layers: [vec![], vec![0], vec![1], vec![2, 0], vec![3, 0]]
                .map(|reads| DrawnLayer { reads, ..network.layers[0].clone() })
                .to_vec(),
            left_out: 0,
        };
        assert_eq!(nested.arcs().iter().map(|arc| arc.lane).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(grouped), ["0", "12", "123", "1,234", "1,234,567"]);
    }
}
