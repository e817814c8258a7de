//! The runs of an experiment: every combination of a grid, and the conventional controls of those on subsets.

use super::augment::AugmentArgs;
use super::combinations::{Combinations, plain};
use super::device::DeviceArgs;
use super::given::options_of;
use super::method::MethodArgs;
use super::request::{ProblemArgs, RunRequest};
use super::train::TrainArgs;
use super::values::with_negative_numbers;
use crate::cost::Units;
use crate::error::{Error, Result};
use crate::files::line_of;
use crate::optimise::{BatchPlan, Rule};
use crate::report::RowOptions;
use crate::run::{Config, Schedule};
use crate::subset::{Plan, StageOptions};
use clap::{CommandFactory, FromArgMatches, Parser};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// The file of an experiment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExperimentFile {
    /// Test accuracies, 0 to 1, of which the table says what they cost.
    #[serde(default)]
    pub targets: Vec<f64>,
    /// Options of the conventional baseline. With it, every run on subsets is followed by two controls at the same
    /// cost: the baseline, and the baseline with all that helps a sweep but second order: the choice of examples, their
    /// screening, the whitened start.
    pub control: Option<BTreeMap<String, toml::Value>>,
    pub grid: Vec<BTreeMap<String, toml::Value>>,
}

/// One run of an experiment.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// What tells it from the others, seed left out: a row of the table.
    pub row: RowOptions,
    pub seed: String,
    pub folder: PathBuf,
    /// What it does: as its row says, or as a control of another run.
    pub kind: Kind,
}

/// Where a run's configuration comes from.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The options of its row.
    Own(Box<RunRequest>),
    /// That of another run, with another plan and start.
    Control(Box<Control>),
}

/// What a control has of its own.
#[derive(Clone, Debug)]
pub(super) struct Control {
    /// The folder of the run that it is a control of.
    of: PathBuf,
    rule: Rule,
    epochs: f64,
    whiten: bool,
    copies: Option<usize>,
    weight_decay: f64,
    is_augmented: bool,
}

/// The conventional baseline: its options as the table shows them, and what they come to.
#[derive(Debug)]
pub(super) struct Baseline {
    options: RowOptions,
    rule: Rule,
}

impl ExperimentFile {
    /// Reads one from its text; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything else than an experiment.
    pub(super) fn parse(text: &str, file: &Path) -> Result<Self> {
        let invalid = |e: toml::de::Error| {
            Error::usage(format!("{}, line {}: {}", file.display(), line_of(text, &e), e.message().replace('\n', " ")))
        };
        toml::from_str(text).map_err(invalid)
    }
}

/// Options that say how examples are screened.
const IMPORTANCE: [&str; 4] = ["screen_one_in", "screen_side", "least_chance", "weight_power"];

/// Options of `train` that no run of an experiment has of its own.
const OF_EXPERIMENT: [&str; 3] = ["--out", "--config", "--resume"];

/// To read options as `train` does.
#[derive(Parser)]
struct Checked {
    #[command(flatten)]
    train: TrainArgs,
}

/// Every run of every grid once, its options checked, one after another; those of `file` are named in messages, and
/// relative paths of data start from `data`.
///
/// # Errors
/// [`Error::Usage`] for a grid that `train` would not take, or that would not end.
pub(super) fn plan<'a>(
    described: &'a ExperimentFile,
    file: &'a Path,
    data: &'a Path,
    out: &'a Path,
) -> Result<impl Iterator<Item = Result<Planned>> + 'a> {
    let invalid = move |why: String| Error::usage(format!("{}: {why}", file.display()));
    let grids = described.grid.iter().map(|grid| Combinations::new(grid).map_err(invalid));
    let grids = grids.collect::<Result<Vec<_>>>()?;
    let mut runs = grids.into_iter().flatten().peekable();
    if runs.peek().is_none() {
        return Err(invalid("no [[grid]], so nothing to run".to_owned()));
    }
    let mut known = HashSet::new();
    Ok(runs.filter_map(move |run| {
        let seed = run.iter().find(|(key, _)| key == "seed").map_or("0", |(_, seed)| seed).to_owned();
        let row: RowOptions = run.into_iter().filter(|(key, _)| key != "seed").collect();
        let name = folder_name(&row, &seed);
        if !known.insert(name.clone()) {
            return None;
        }
        let request = parse(&options(&row, &seed, data)).map_err(|why| invalid(format!("{name}: {why}")));
        let kind = |request| Kind::Own(Box::new(request));
        Some(request.map(|request| Planned { row, seed, folder: out.join(name), kind: kind(request) }))
    }))
}

/// The options of a run as `train` reads them, or why it would not.
fn parse(options: &[String]) -> std::result::Result<RunRequest, String> {
    if let Some(option) = options.iter().find(|option| OF_EXPERIMENT.contains(&option.as_str())) {
        return Err(format!("{option}: the experiment says that of each of its runs"));
    }
    let command = with_negative_numbers(Checked::command());
    let matches = command.try_get_matches_from(std::iter::once(&"train".to_owned()).chain(options));
    let parsed = matches.and_then(|matches| Checked::from_arg_matches(&matches));
    let request = parsed.map(|checked| checked.train.request).map_err(|e| {
        let why = e.to_string();
        why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    request.schedule().map_err(|why| why.to_string())?;
    Ok(request)
}

impl Baseline {
    /// That of a file, if it has one.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is no rule for mini-batches, or has other options than a method's.
    pub(super) fn of(described: &ExperimentFile, file: &Path) -> Result<Option<Self>> {
        let Some(control) = &described.control else { return Ok(None) };
        let invalid = |why: String| Error::usage(format!("{}: {why}", file.display()));
        let option = |(key, value): (&String, &toml::Value)| Some((key.clone(), plain(value)?));
        let row: Option<RowOptions> = control.iter().map(option).collect();
        let row = row.ok_or_else(|| invalid("an option of control is no single value".to_owned()))?;
        let of_method = options_of::<MethodArgs>();
        if let Some((key, _)) = row.iter().find(|(key, _)| of_method.iter().all(|(id, _)| id != key)) {
            return Err(invalid(format!("{key} in control: all but the method is as in the run beside it")));
        }
        let request = parse(&options(&row, "0", Path::new("."))).map_err(invalid)?;
        match request.schedule()? {
            Schedule::Stochastic(rule) if rule.is_conventional() => Ok(Some(Self { options: row, rule })),
            _ => {
                let methods = "method = \"adam\", \"sgd\" or \"muon\"";
                Err(invalid(format!("control is no conventional baseline: give it {methods}")))
            }
        }
    }
}

impl Planned {
    /// Whether it trains on subsets, not on mini-batches in the conventional way.
    pub(super) fn is_on_subsets(&self) -> bool {
        match &self.kind {
            Kind::Own(request) => {
                let conventional = |schedule| matches!(schedule, Schedule::Stochastic(rule) if rule.is_conventional());
                !request.schedule().is_ok_and(conventional)
            }
            Kind::Control(_) => false,
        }
    }

    /// The two controls of a run on subsets at a cost in epochs: the baseline on the same problem, and that with all
    /// that helps a sweep but second order.
    pub(super) fn controls(&self, baseline: &Baseline, cost_epochs: f64, out: &Path) -> Vec<Self> {
        let Kind::Own(request) = &self.kind else { return Vec::new() };
        let given = request.course.budget();
        let epochs = given.map_or_else(|| format!("{cost_epochs:.2}"), |_| self.option("budget"));
        [false, true].map(|is_helped| self.control(request, baseline, &epochs, is_helped, out)).into()
    }

    fn control(&self, request: &RunRequest, baseline: &Baseline, epochs: &str, is_helped: bool, out: &Path) -> Self {
        let problem = [options_of::<ProblemArgs>(), options_of::<AugmentArgs>(), options_of::<DeviceArgs>()].concat();
        let is_problem = |key: &String| problem.iter().any(|(id, _)| id == key);
        let of_problem = self.row.iter().filter(|(key, _)| is_problem(key));
        let mut row: RowOptions = of_problem.chain(&baseline.options).cloned().collect();
        row.push(("budget".to_owned(), epochs.to_owned()));
        let (mut rule, mut whiten) = (baseline.rule, false);
        if is_helped {
            // screening and the whitened start as its run has them
            let BatchPlan { screen, importance, spread, .. } = request.method.batches_of_sweep();
            whiten = request.course.whiten().unwrap_or(request.problem.init.is_none());
            let batches = BatchPlan { select: true, screen, importance, spread, ..*rule.batches() };
            rule = rule.with_batches(batches);
            let switch = |is_on| if is_on { "on" } else { "off" }.to_owned();
            let [screen, spread, whiten] = [screen, spread, whiten].map(switch);
            let help = [("select", "true".to_owned()), ("screen", screen), ("spread", spread), ("whiten", whiten)];
            let given = self.row.iter().filter(|(key, _)| IMPORTANCE.contains(&key.as_str())).cloned();
            let help: RowOptions = help.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(given).collect();
            row.retain(|(key, _)| {
                help.iter().all(|(helping, _)| helping != key) && !IMPORTANCE.contains(&key.as_str())
            });
            row.extend(help);
        }
        // in the order of a grid, so that it is the same run
        row.sort();
        let folder = out.join(folder_name(&row, &self.seed));
        let (of, copies) = (self.folder.clone(), request.augment.copies());
        let epochs = epochs.parse().unwrap_or(f64::NAN);
        let weight_decay = request.problem.weight_decay.unwrap_or_else(|| Schedule::Stochastic(rule).weight_decay(1.0));
        let is_augmented = is_helped || self.row.iter().any(|(key, _)| key == "augment");
        let kind = Kind::Control(Box::new(Control { of, rule, epochs, whiten, copies, weight_decay, is_augmented }));
        Self { row, seed: self.seed.clone(), folder, kind }
    }

    /// The value of an option in its row.
    fn option(&self, key: &str) -> String {
        self.row.iter().find(|(other, _)| other == key).map_or(String::new(), |(_, value)| value.clone())
    }

    /// The command line after `train`, but for the folder.
    ///
    /// # Errors
    /// Those of the files that a control is made from, or into.
    pub(super) fn arguments(&self, data: &Path) -> Result<Vec<String>> {
        let Kind::Control(control) = &self.kind else { return Ok(options(&self.row, &self.seed, data)) };
        let Control { ref of, rule, epochs, whiten, copies, weight_decay, is_augmented } = **control;
        let config = Config::load(&of.join("config.toml"))?;
        let budget = Some(Units::of_passes(epochs, config.examples));
        let plan = Plan::stochastic(rule, budget, config.examples, &StageOptions::default());
        let augment = config.augment.filter(|_| is_augmented);
        let path = self.folder.join("config.toml");
        Config { plan, whiten, copies, weight_decay, augment, held_out: 0, ..config }.save(&path)?;
        let of_device = options_of::<DeviceArgs>();
        let device = self.row.iter().filter(|(key, _)| of_device.iter().any(|(id, _)| id == key)).cloned();
        let config = ["--config".to_owned(), path.to_string_lossy().into_owned()];
        Ok(config.into_iter().chain(flags(&device.collect::<Vec<_>>(), data)).collect())
    }
}

/// The options of a run but for `--out`.
fn options(row: &[(String, String)], seed: &str, data: &Path) -> Vec<String> {
    let seed = ["--seed".to_owned(), seed.to_owned()];
    seed.into_iter().chain(flags(row, data)).collect()
}

/// Options with their dashes. A switch that is false is left out.
fn flags(row: &[(String, String)], data: &Path) -> Vec<String> {
    let mut options = Vec::new();
    for (key, value) in row {
        let option = format!("--{}", key.replace('_', "-"));
        match (key.as_str(), value.as_str()) {
            (_, "true") => options.push(option),
            (_, "false") => {}
            ("data", source) if source != "digits" => {
                options.extend([option, data.join(source).to_string_lossy().into_owned()]);
            }
            _ => options.extend([option, value.clone()]),
        }
    }
    options
}

fn folder_name(row: &[(String, String)], seed: &str) -> String {
    let plain = |text: &str| text.replace(|c: char| !c.is_alphanumeric() && !".-".contains(c), "_");
    let parts: Vec<String> = row.iter().map(|(key, value)| format!("{}-{}", plain(key), plain(value))).collect();
    format!("{}-seed-{}", parts.join("-"), plain(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ExperimentFile {
        toml::from_str(text).unwrap()
    }

    fn planned(text: &str) -> Result<Vec<Planned>> {
        let file = file(text);
        plan(&file, Path::new("grid.toml"), Path::new("sets"), Path::new("out"))?.collect()
    }

    fn baseline(text: &str) -> Result<Option<Baseline>> {
        Baseline::of(&file(text), Path::new("grid.toml"))
    }

    #[test]
    fn a_grid_is_every_combination_once() {
        let text = "[[grid]]\ndata = \"mnist\"\nbudget = [0.5, 1]\nseed = [0, 1, 2]\n\
                    [[grid]]\ndata = \"mnist\"\nmethod = \"adam\"\nselect = [true, false]\n\
                    [[grid]]\ndata = \"mnist\"\nbudget = 1\nseed = 2";
        let runs = planned(text).unwrap();
        assert_eq!(runs.len(), 6 + 2);
        assert_eq!(runs[0].folder, Path::new("out/budget-0.5-data-mnist-seed-0"));
        let of = |run: &Planned| run.arguments(Path::new("sets")).unwrap().join(" ");
        assert_eq!(of(&runs[5]), "--seed 2 --budget 1 --data sets/mnist");
        assert_eq!(of(&runs[6]), "--seed 0 --data sets/mnist --method adam --select");
        assert_eq!(of(&runs[7]), "--seed 0 --data sets/mnist --method adam");
    }

    #[test]
    fn a_grid_that_train_would_not_take_is_refused_before_anything_runs() {
        for (text, fragment) in [
            ("[[grid]]\nbudge = 1", "--budge"),
            ("[[grid]]\nbudget = \"much\"", "much"),
            ("[[grid]]\nbudget = { from = 1 }", "budget is neither"),
            ("grid = []", "nothing to run"),
            ("[[grid]]\nmethod = \"adam\"\npairs = 3", "pairs"),
            ("[[grid]]\nconfig = \"x.toml\"", "--config"),
            ("[[grid]]\nresume = \"x\"", "--resume"),
        ] {
            let why = planned(text).map(|_| ()).unwrap_err().to_string();
            assert!(why.starts_with("grid.toml: ") && why.contains(fragment), "{text}: {why}");
        }
    }

    #[test]
    fn a_control_is_the_baseline_on_the_same_problem_at_the_same_cost() {
        let text = "control = { method = \"adam\", learning_rate = 4e-3 }\n\
                    [[grid]]\ndata = \"mnist\"\nsubset = \"1/8\"\nschedule = \"paper\"\nweight_decay = 0\n\
                    [[grid]]\nmethod = \"adam\"\n[[grid]]\nbudget = 0.5\nscreen = \"off\"";
        let (runs, baseline) = (planned(text).unwrap(), baseline(text).unwrap().unwrap());
        assert_eq!(runs.iter().map(Planned::is_on_subsets).collect::<Vec<_>>(), [true, false, true]);
        let controls = runs[0].controls(&baseline, 11.751, Path::new("out"));
        let row = |run: &Planned| run.row.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>();
        let plain = ["budget 11.75", "data mnist", "learning_rate 0.004", "method adam", "weight_decay 0"];
        assert_eq!(row(&controls[0]), plain);
        let help = ["screen on", "select true", "spread on", "weight_decay 0", "whiten on"];
        assert_eq!(row(&controls[1]), [&plain[..4], &help].concat());
        let Kind::Control(control) = &controls[1].kind else { panic!("a control") };
        let Control { of, rule, epochs, whiten, weight_decay, is_augmented, .. } = &**control;
        let Rule::Adam(adam) = rule else { panic!("{rule:?}") };
        assert!(*weight_decay == 0.0 && *is_augmented && adam.batches.spread);
        assert!(adam.batches.select && adam.batches.screen && *whiten && adam.batches.learning_rate == 4e-3);
        assert_eq!((*epochs, of), (11.75, &runs[0].folder));
        // at the budget that was given, and with the help that its run has
        let controls = runs[2].controls(&baseline, 0.51, Path::new("out"));
        let helped = ["budget 0.5", "learning_rate 0.004", "method adam"];
        let with = ["screen off", "select true", "spread on", "whiten on"];
        assert_eq!(row(&controls[1]), [&helped[..], &with].concat());
    }

    #[test]
    fn a_baseline_is_a_conventional_one() {
        assert!(baseline("[[grid]]\nbudget = 1").unwrap().is_none());
        for text in ["control = { schedule = \"sweep\" }\ngrid = []", "control = { method = \"kfac\" }\ngrid = []"] {
            let why = baseline(text).unwrap_err().to_string();
            assert!(why.contains("no conventional baseline"), "{why}");
        }
        for key in ["weight_decay = 0", "budget = 1", "held_out = 100", "whiten = \"on\""] {
            let why =
                baseline(&format!("control = {{ method = \"adam\", {key} }}\ngrid = []")).unwrap_err().to_string();
            assert!(why.starts_with("grid.toml: ") && why.contains("in control"), "{why}");
        }
    }
}
