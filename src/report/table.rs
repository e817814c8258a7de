//! Many runs as a table: one row for those that differ in nothing but their seed.

use crate::run::RunRecord;
use serde::Serialize;

/// Mean and extremes over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        Self {
            mean: values.clone().sum::<f64>() / values.clone().count() as f64,
            least: values.clone().fold(f64::INFINITY, f64::min),
            most: values.fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn text(&self, factor: f64, digits: usize) -> String {
        let [mean, least, most] = [self.mean, self.least, self.most].map(|x| format!("{:.digits$}", factor * x));
        format!("{mean} ({least} to {most})")
    }
}

/// Options of `train` and their values.
pub type RowOptions = Vec<(String, String)>;

/// Runs that differ in their seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Options and their values.
    pub options: RowOptions,
    /// In the order of the runs.
    pub seeds: Vec<u64>,
    /// Test accuracy, 0 to 1.
    pub accuracy: Spread,
    /// Cost in epochs, everything included.
    pub cost: Spread,
    /// Of these, passes through the network alone.
    pub network: Spread,
    /// Seconds.
    pub wall: Spread,
    /// Adapter and driver, one entry for each that differs.
    pub devices: Vec<String>,
}

/// What an accuracy costs by interpolation between rows that differ in their budget alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// Test accuracy, 0 to 1.
    pub target: f64,
    /// The options that the rows share.
    pub options: RowOptions,
    /// Epochs, those of passes through the network alone, and seconds; none where no two rows enclose it.
    pub cost: Option<[f64; 3]>,
}

impl Row {
    /// One row for the runs of equal options, in the order in which these first come.
    pub fn collect(records: &[(RowOptions, RunRecord)]) -> Vec<Self> {
        let mut groups: Vec<(&RowOptions, Vec<&RunRecord>)> = Vec::new();
        for (options, record) in records {
            match groups.iter_mut().find(|(known, _)| *known == options) {
                Some((_, runs)) => runs.push(record),
                None => groups.push((options, vec![record])),
            }
        }
        let row = |(options, runs): (&RowOptions, Vec<&RunRecord>)| {
            let spread = |of: fn(&RunRecord) -> f64| Spread::of(runs.iter().map(|run| of(run)));
            let mut devices: Vec<String> = runs.iter().map(|run| format!("{}, {}", run.adapter, run.driver)).collect();
            devices.dedup();
            Self {
                options: options.clone(),
                seeds: runs.iter().map(|run| run.seed).collect(),
                accuracy: spread(|run| run.test_accuracy),
                cost: spread(|run| run.cost_epochs),
                network: spread(RunRecord::network),
                wall: spread(|run| run.wall_seconds),
                devices,
            }
        };
        groups.into_iter().map(row).collect()
    }
}

/// For each target and each set of rows that share all options but the budget: the cost at which the mean accuracy
/// reaches it.
pub fn costs_to_reach(rows: &[Row], targets: &[f64]) -> Vec<Reached> {
    let without_budget =
        |row: &Row| -> RowOptions { row.options.iter().filter(|(key, _)| key != "budget").cloned().collect() };
    let mut families: Vec<(RowOptions, Vec<&Row>)> = Vec::new();
    for row in rows {
        let shared = without_budget(row);
        match families.iter_mut().find(|(known, _)| *known == shared) {
            Some((_, family)) => family.push(row),
            None => families.push((shared, vec![row])),
        }
    }
    families.iter_mut().for_each(|(_, family)| family.sort_by(|a, b| a.cost.mean.total_cmp(&b.cost.mean)));
    let reach = |family: &[&Row], target: f64| {
        let pair = family.windows(2).find(|pair| pair[0].accuracy.mean < target && target <= pair[1].accuracy.mean)?;
        let [low, high] = [pair[0], pair[1]].map(|row| row.accuracy.mean);
        let share = (target - low) / (high - low);
        let between = |of: fn(&Row) -> f64| of(pair[0]) + share * (of(pair[1]) - of(pair[0]));
        Some([between(|row| row.cost.mean), between(|row| row.network.mean), between(|row| row.wall.mean)])
    };
    let of_target = |target: f64| {
        let family = move |(options, family): &(RowOptions, Vec<&Row>)| Reached {
            target,
            options: options.clone(),
            cost: reach(family, target),
        };
        families.iter().filter(|(_, family)| family.len() > 1).map(family).collect::<Vec<_>>()
    };
    targets.iter().flat_map(|&target| of_target(target)).collect()
}

/// Markdown.
pub fn table(rows: &[Row], reached: &[Reached]) -> String {
    let names = |options: &RowOptions| {
        options.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
    };
    let mut text =
        "| run | seeds | test accuracy, % | cost, epochs | through the network | wall time, s |\n".to_owned();
    text += "|---|---|---|---|---|---|\n";
    for row in rows {
        let seeds = row.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let [accuracy, cost] = [row.accuracy.text(100.0, 2), row.cost.text(1.0, 3)];
        let [network, wall] = [row.network.text(1.0, 3), row.wall.text(1.0, 1)];
        text += &format!("| {} | {seeds} | {accuracy} | {cost} | {network} | {wall} |\n", names(&row.options));
    }
    text += "\nMean (least to most) over seeds.\n";
    if !reached.is_empty() {
        text += "\n| to reach | run | cost, epochs | through the network | wall time, s |\n|---|---|---|---|---|\n";
    }
    for Reached { target, options, cost } in reached {
        let text_of = |[cost, network, wall]: [f64; 3]| format!("{cost:.3} | {network:.3} | {wall:.1}");
        let cost = cost.map_or("– | – | –".to_owned(), text_of);
        text += &format!("| {:.2}% | {} | {cost} |\n", 100.0 * target, names(options));
    }
    let mut devices: Vec<&String> = rows.iter().flat_map(|row| &row.devices).collect();
    devices.sort();
    devices.dedup();
    devices.iter().for_each(|device| text += &format!("\nDevice: {device}.\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(budget: &str, accuracy: f64, cost: f64) -> Row {
        let spread = |x: f64| Spread { mean: x, least: x, most: x };
        Row {
            options: vec![("budget".to_owned(), budget.to_owned()), ("data".to_owned(), "mnist".to_owned())],
            seeds: vec![0],
            accuracy: spread(accuracy),
            cost: spread(cost),
            network: spread(0.8 * cost),
            wall: spread(10.0 * cost),
            devices: vec!["a device".to_owned()],
        }
    }

    #[test]
    fn the_cost_of_a_target_is_between_those_of_the_rows_around_it() {
        let rows = [row("2", 0.98, 2.0), row("1", 0.94, 1.0)];
        let reached = costs_to_reach(&rows, &[0.95, 0.99]);
        let [cost, network, wall] = reached[0].cost.unwrap();
        assert!((cost - 1.25).abs() < 1e-12 && (wall - 12.5).abs() < 1e-9, "{cost} {wall}");
        assert!((network - 1.0).abs() < 1e-12, "{network}");
        assert_eq!(reached[1].cost, None);
        let text = table(&rows, &reached);
        for row in ["| 95.00% | data mnist | 1.250 | 1.000 | 12.5 |", "| 99.00% | data mnist | – | – | – |"] {
            assert!(text.contains(row), "{text}");
        }
    }

    #[test]
    fn a_spread_is_mean_and_extremes() {
        let spread = Spread::of([3.0, 1.0, 2.0].into_iter());
        assert_eq!(spread, Spread { mean: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(spread.text(10.0, 1), "20.0 (10.0 to 30.0)");
    }
}
