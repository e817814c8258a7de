//! `gpu-subset experiment`: a grid of training runs, each a normal run folder, and the table they come to.

use super::ChildFailure;
use super::train::TrainArgs;
use crate::error::{Error, RunError};
use crate::export::write_atomically;
use crate::report::{Row, RowOptions, RunFolder, RunRecord, costs_to_reach, table};
use anyhow::{Context, Result};
use clap::{Args, Parser};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

#[derive(Args)]
pub(super) struct ExperimentArgs {
    /// TOML file: `[[grid]]` tables of options of `gpu-subset train` without their dashes, each a value or a list of values to cross
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Folder that relative `data` paths of the file start from
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// Folder for the runs and the tables; by default runs/FILE
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what would run, and run nothing
    #[arg(long)]
    dry_run: bool,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentFile {
    /// Test accuracies, 0 to 1, of which the table says what they cost.
    #[serde(default)]
    targets: Vec<f64>,
    /// RowOptions of the conventional baseline. With it, every run on subsets is followed by two controls at the same cost: the baseline, and
    /// the baseline with all that helps a sweep but second order: the choice of examples, their screening, the whitened start.
    control: Option<BTreeMap<String, toml::Value>>,
    grid: Vec<BTreeMap<String, toml::Value>>,
}

/// One run of a grid.
struct Planned {
    /// What tells it from the others, seed left out: a row of the table.
    row: RowOptions,
    seed: String,
    folder: PathBuf,
}

/// RowOptions that say what is learned, not how: a control has those of its run.
const PROBLEM: [&str; 10] =
    ["data", "resize", "model", "weight_decay", "augment", "copies", "memory", "backend", "adapter", "no_autotune"];

impl Planned {
    /// Whether it trains on subsets, not on mini-batches in the conventional way.
    fn is_on_subsets(&self) -> bool {
        let conventional = [("method", "adam"), ("method", "sgd"), ("schedule", "minibatch")];
        !self.row.iter().any(|(key, value)| conventional.contains(&(key.as_str(), value.as_str())))
    }

    /// The conventional baseline, with these options, at a cost in epochs, on the same problem; or that with all that helps a sweep but
    /// second order.
    fn control(&self, baseline: &RowOptions, cost: &str, helped: bool, out: &Path) -> Self {
        let problem = self.row.iter().filter(|(key, _)| PROBLEM.contains(&key.as_str()));
        let mut row: RowOptions = problem.chain(baseline).cloned().collect();
        row.push(("budget".to_owned(), cost.to_owned()));
        if helped {
            let help = [("select", "true"), ("screen", "on"), ("whiten", "on")];
            row.retain(|(key, _)| help.iter().all(|(helping, _)| helping != key));
            // as its run has them
            let of_run = |key: &str| self.row.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone());
            row.extend(help.map(|(key, value)| (key.to_owned(), of_run(key).unwrap_or_else(|| value.to_owned()))));
        }
        // in the order of a grid, so that it is the same run
        row.sort();
        Self { folder: out.join(folder_name(&row, &self.seed)), row, seed: self.seed.clone() }
    }
}

/// Only for checking options before anything runs.
#[derive(Parser)]
struct Checked {
    #[command(flatten)]
    _train: TrainArgs,
}

pub(super) fn run(args: &ExperimentArgs) -> Result<()> {
    let text = std::fs::read_to_string(&args.file).map_err(|e| Error::unreadable(&args.file, e))?;
    let described: ExperimentFile = toml::from_str(&text)
        .map_err(|e| Error::usage(format!("{}: {}", args.file.display(), e.message().replace('\n', " "))))?;
    let name = args.file.file_stem().map_or_else(|| "experiment".into(), |stem| stem.to_string_lossy());
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&*name));
    let mut planned = plan(&described, args, &out)?;
    let baseline = baseline(&described, args, &planned, &out)?;
    if args.dry_run {
        planned.iter().for_each(|run| println!("{}", run.folder.display()));
        return Ok(());
    }
    let start = Instant::now();
    let (mut done, mut records, mut i) = (0, Vec::new(), 0);
    while let Some(run) = planned.get(i) {
        let controls = planned[i..].iter().filter(|run| baseline.is_some() && run.is_on_subsets()).count() * 2;
        let (all, runs_left) = (planned.len() + controls, planned.len() + controls - i);
        let left = start.elapsed().as_secs_f64() / f64::from(done.max(1)) * runs_left as f64;
        let left = if done == 0 { String::new() } else { format!(", about {left:.0} s left") };
        eprintln!("run {} of {all}{left}: {}", i + 1, run.folder.display());
        if !run.folder.join("run.json").exists() {
            train(run, args)?;
            done += 1;
        }
        let record = record(&run.folder)?;
        i += 1;
        let row = run.row.clone();
        if let Some(baseline) = baseline.as_ref().filter(|_| run.is_on_subsets()) {
            let budget = row.iter().find(|(key, _)| key == "budget").map(|(_, budget)| budget.clone());
            let cost = budget.unwrap_or_else(|| format!("{:.2}", record.cost_epochs));
            let controls = [false, true].map(|helped| run.control(baseline, &cost, helped, &out));
            let is_new = |run: &Planned| planned.iter().all(|other| other.folder != run.folder);
            let new: Vec<Planned> = controls.into_iter().filter(is_new).collect();
            planned.splice(i..i, new);
        }
        records.push((row, record));
        // After every run, so that a look at the table needs no patience.
        conclude(&out, &records, &described.targets)?;
    }
    println!("{}", conclude(&out, &records, &described.targets)?);
    Ok(())
}

/// Every run of every grid, its options checked.
fn plan(described: &ExperimentFile, args: &ExperimentArgs, out: &Path) -> Result<Vec<Planned>> {
    let invalid = |why: String| Error::usage(format!("{}: {why}", args.file.display()));
    let mut planned: Vec<Planned> = Vec::new();
    for grid in &described.grid {
        let mut runs = vec![Vec::new()];
        for (key, values) in grid {
            let values = match values {
                toml::Value::Array(values) => values.iter().map(plain).collect::<Option<Vec<_>>>(),
                value => plain(value).map(|value| vec![value]),
            };
            let values = values.ok_or_else(|| invalid(format!("{key} is neither a value nor a list of values")))?;
            let with = |run: &RowOptions, value: &String| [&run[..], &[(key.clone(), value.clone())]].concat();
            runs = runs.iter().flat_map(|run| values.iter().map(move |value| with(run, value))).collect();
        }
        for run in runs {
            let seed =
                run.iter().find(|(key, _)| key == "seed").map_or_else(|| "0".to_owned(), |(_, seed)| seed.clone());
            let row: Vec<_> = run.into_iter().filter(|(key, _)| key != "seed").collect();
            let run = Planned { folder: out.join(folder_name(&row, &seed)), row, seed };
            check(&run, args)?;
            if planned.iter().all(|other| other.folder != run.folder) {
                planned.push(run);
            }
        }
    }
    if planned.is_empty() {
        return Err(invalid("no [[grid]], so nothing to run".to_owned()).into());
    }
    Ok(planned)
}

/// Whether `train` would take a run's options.
fn check(run: &Planned, args: &ExperimentArgs) -> Result<()> {
    let options = options(&run.row, &run.seed, &args.data);
    Checked::try_parse_from(std::iter::once("train".to_owned()).chain(options)).map(|_| ()).map_err(|e| {
        let why = e.to_string();
        let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Error::usage(format!("{}: {why}", args.file.display())).into()
    })
}

/// The options of `control`, checked on the first run.
fn baseline(
    described: &ExperimentFile,
    args: &ExperimentArgs,
    runs: &[Planned],
    out: &Path,
) -> Result<Option<RowOptions>> {
    let Some(control) = &described.control else { return Ok(None) };
    let invalid = |why: &str| Error::usage(format!("{}: {why}", args.file.display()));
    let option = |(key, value): (&String, &toml::Value)| Some((key.clone(), plain(value)?));
    let baseline: Option<RowOptions> = control.iter().map(option).collect();
    let baseline = baseline.ok_or_else(|| invalid("an option of control is no single value"))?;
    if let Some(run) = runs.first() {
        let control = run.control(&baseline, "1", true, out);
        check(&control, args)?;
        if control.is_on_subsets() {
            return Err(invalid("control is no conventional baseline: give it method = \"adam\" or \"sgd\"").into());
        }
    }
    Ok(Some(baseline))
}

/// A value as the command line takes it.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The options of a run but for `--out`. A switch that is false is left out.
fn options(row: &[(String, String)], seed: &str, data: &Path) -> Vec<String> {
    let mut options = vec!["--seed".to_owned(), seed.to_owned()];
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

/// Runs one in a process of its own, or goes on with it; what it says goes to `train.log` beside its folder.
fn train(run: &Planned, args: &ExperimentArgs) -> Result<()> {
    std::fs::create_dir_all(&run.folder).map_err(|e| Error::io("creating", &run.folder, e))?;
    let log = run.folder.join("train.log");
    let file = std::fs::File::create(&log).map_err(|e| Error::io("writing", &log, e))?;
    let program = std::env::current_exe().context("finding this program failed")?;
    let mut command = Command::new(&program);
    command.arg("train").stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    if run.folder.join("checkpoint.safetensors").exists() {
        command.arg("--resume").arg(&run.folder);
    } else {
        command.args(options(&run.row, &run.seed, &args.data)).arg("--overwrite").arg("--out").arg(&run.folder);
    }
    let status = command.status().map_err(|e| Error::io("starting", &program, e))?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let why = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let hint = if status.code() == Some(130) { "; the same command goes on" } else { "" };
    let message = format!("{}: {}{hint}", run.folder.display(), why.map_or(status.to_string(), str::to_owned));
    Err(ChildFailure { code: status.code(), message }.into())
}

fn record(folder: &Path) -> Result<RunRecord> {
    let record = RunFolder::open(folder)?.read_record()?;
    Ok(record.ok_or_else(|| Error::from(RunError::NoRecord { path: folder.to_owned() }))?)
}

/// Writes `table.md` and `table.json`, and returns the first.
fn conclude(out: &Path, records: &[(RowOptions, RunRecord)], targets: &[f64]) -> Result<String> {
    let rows = Row::collect(records);
    let reached = costs_to_reach(&rows, targets);
    let text = table(&rows, &reached);
    write_atomically(&out.join("table.md"), text.as_bytes())?;
    let json = serde_json::json!({ "rows": rows, "targets": reached });
    write_atomically(&out.join("table.json"), format!("{json:#}\n").as_bytes())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str) -> Result<Vec<Planned>> {
        let args = ExperimentArgs { file: "grid.toml".into(), data: "sets".into(), out: None, dry_run: true };
        plan(&toml::from_str(text).unwrap(), &args, Path::new("out"))
    }

    #[test]
    fn a_grid_is_every_combination_once() {
        let text = "[[grid]]\ndata = \"mnist\"\nbudget = [0.5, 1]\nseed = [0, 1, 2]\n\
                    [[grid]]\ndata = \"mnist\"\nmethod = \"adam\"\nselect = [true, false]\n[[grid]]\ndata = \"mnist\"\nbudget = 1\nseed = 2";
        let runs = planned(text).unwrap();
        assert_eq!(runs.len(), 6 + 2);
        assert_eq!(runs[0].folder, Path::new("out/budget-0.5-data-mnist-seed-0"));
        let of = |run: &Planned| options(&run.row, &run.seed, Path::new("sets")).join(" ");
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
        ] {
            let why = planned(text).map(|_| ()).unwrap_err().to_string();
            assert!(why.starts_with("grid.toml: ") && why.contains(fragment), "{text}: {why}");
        }
    }

    #[test]
    fn a_control_is_the_baseline_on_the_same_problem_at_the_same_cost() {
        let text = "control = { method = \"adam\", learning_rate = 4e-3 }\n[[grid]]\ndata = \"mnist\"\nsubset = \"1/8\"\nschedule = \"paper\"\n\
                    weight_decay = 0\n[[grid]]\nmethod = \"adam\"";
        let described: ExperimentFile = toml::from_str(text).unwrap();
        let args = ExperimentArgs { file: "grid.toml".into(), data: "sets".into(), out: None, dry_run: true };
        let runs = plan(&described, &args, Path::new("out")).unwrap();
        assert_eq!(runs.iter().map(Planned::is_on_subsets).collect::<Vec<_>>(), [true, false]);
        let baseline = baseline(&described, &args, &runs, Path::new("out")).unwrap().unwrap();
        let control = runs[0].control(&baseline, "11.75", true, Path::new("out"));
        let options = options(&control.row, &control.seed, Path::new("sets")).join(" ");
        let want = "--seed 0 --budget 11.75 --data sets/mnist --learning-rate 0.004 --method adam --screen on --select --weight-decay 0 --whiten on";
        assert_eq!(options, want);

        let described: ExperimentFile =
            toml::from_str("control = { schedule = \"sweep\" }\n[[grid]]\nbudget = 1").unwrap();
        let why = super::baseline(&described, &args, &runs, Path::new("out")).unwrap_err().to_string();
        assert!(why.contains("no conventional baseline") || why.contains("select"), "{why}");
    }
}
