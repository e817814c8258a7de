//! `gpu-subset experiment`: a grid of training runs, each a normal run folder, and the table they come to.

use super::advice;
use super::exit::{ChildFailure, DIVERGED, code_of};
use super::grid::{Baseline, ExperimentFile, Planned, plan};
use super::output::{say, show};
use super::shard::Shard;
use super::signals::{self, STOPPED};
use crate::device::Interrupt;
use crate::error::{Error, RunError, printable, shown};
use crate::files::{RECORDS, TEXT, read_text, write_atomically};
use crate::report::{Failure, Row, RowOptions, costs_to_reach, failures, table};
use crate::run::{FolderLock, RunFolder, RunRecord};
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often the end of a run is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs that came to their end, each with the options of its row.
type Records = Vec<(RowOptions, RunRecord)>;

#[derive(Args)]
pub(super) struct ExperimentArgs {
    /// TOML file: `[[grid]]` tables of options of `gpu-subset train` without their dashes, each a value or a list of
    /// values to cross
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
    /// Run only part i of n of the grid, from 1/n to n/n, beside processes that run the others: the tasks of a Slurm
    /// array, or GNU parallel; --collect makes the table
    #[arg(long, value_name = "i/n", conflicts_with = "collect")]
    shard: Option<Shard>,
    /// Run nothing, and make the table of what was run
    #[arg(long, conflicts_with = "dry_run")]
    collect: bool,
}

impl ExperimentArgs {
    /// Whether the table is of all runs.
    fn concludes(&self) -> bool {
        self.shard.is_none()
    }
}

pub(super) fn run(args: &ExperimentArgs) -> Result<()> {
    let text = read_text(&args.file, TEXT).map_err(|e| Error::unreadable(&args.file, e))?;
    let described = ExperimentFile::parse(&text, &args.file)?;
    let name = args.file.file_stem().map_or_else(|| "experiment".into(), |stem| stem.to_string_lossy());
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&*name));
    let is_own = |place: usize| args.shard.is_none_or(|shard| shard.has(place));
    let planned = plan(&described, &args.file, &args.data, &out)?;
    let mut planned = planned.enumerate().filter(|(place, _)| is_own(*place)).map(|(_, run)| run);
    let baseline = Baseline::of(&described, &args.file)?;
    if args.dry_run {
        return Ok(planned.try_for_each(|run| show!("{}", shown(&run?.folder)))?);
    }
    std::fs::create_dir_all(&out).map_err(|e| Error::io("creating", &out, e))?;
    let locked = args.shard.map_or_else(|| out.clone(), |shard| out.join("shards").join(shard.to_string()));
    std::fs::create_dir_all(&locked).map_err(|e| Error::io("creating", &locked, e))?;
    let _lock = FolderLock::take(&locked)?;
    let planned = planned.collect::<crate::error::Result<_>>()?;
    let (records, failed) = run_all(planned, baseline.as_ref(), args, &out, &described.targets)?;
    let text = conclude(args, &out, &records, &failed, &described.targets)?;
    show!("{}", printable(&text))?;
    // what came to nothing because a value was not finite is what a grid is there to find out
    let worst = failed.iter().find(|failure| failure.code == Some(DIVERGED.into())).or(failed.first());
    let Some(Failure { code, why, .. }) = worst else { return Ok(()) };
    let count = failed.len();
    let message = format!("{count} of {} runs came to nothing; of these {why}", count + records.len());
    Err(ChildFailure { code: *code, message }.into())
}

/// How many runs the text of an experiment describes, its controls aside; `file` names it in messages.
///
/// # Errors
/// [`Error::Usage`] for what `gpu-subset experiment` would not take.
pub fn count_runs(text: &str, file: &Path) -> crate::error::Result<usize> {
    let described = ExperimentFile::parse(text, file)?;
    Baseline::of(&described, file)?;
    plan(&described, file, Path::new("."), Path::new("."))?.try_fold(0, |count, run| run.map(|_| count + 1))
}

/// Runs what is not done yet, each run on subsets followed by its controls, and keeps the tables up to date. What fails
/// is noted, and the others go on.
fn run_all(
    mut planned: Vec<Planned>,
    baseline: Option<&Baseline>,
    args: &ExperimentArgs,
    out: &Path,
    targets: &[f64],
) -> Result<(Records, Vec<Failure>)> {
    let (start, interrupt) = (Instant::now(), signals::hold());
    let (mut done, mut records, mut failed, mut i) = (0, Vec::new(), Vec::new(), 0);
    while let Some(run) = planned.get(i) {
        let controls = planned[i..].iter().filter(|run| baseline.is_some() && run.is_on_subsets()).count() * 2;
        let (all, runs_left) = (planned.len() + controls, planned.len() + controls - i);
        let left = start.elapsed().as_secs_f64() / f64::from(done.max(1)) * runs_left as f64;
        let left = if done == 0 { String::new() } else { format!(", about {left:.0} s left") };
        if !args.collect {
            say!("run {} of {all}{left}: {}", i + 1, shown(&run.folder));
        }
        let failure = if !args.collect && !run.folder.join("run.json").exists() {
            if interrupt.is_asked() {
                let message = "stopped between two runs; the same command goes on".to_owned();
                return Err(ChildFailure { code: Some(STOPPED.into()), message }.into());
            }
            done += 1;
            train(run, args, &interrupt)?
        } else {
            None
        };
        let (row, found) = (run.row.clone(), failure.map_or_else(|| read_record(&run.folder), Err));
        i += 1;
        let record = match found {
            Ok(record) => record,
            Err(failure) => {
                say!("note: {}", failure.why);
                failed.push(failure);
                conclude(args, out, &records, &failed, targets)?;
                continue;
            }
        };
        if let Some(baseline) = baseline.filter(|_| run.is_on_subsets()) {
            let controls = run.controls(baseline, record.cost_epochs, out);
            let is_new = |run: &Planned| planned.iter().all(|other| other.folder != run.folder);
            let new: Vec<Planned> = controls.into_iter().filter(is_new).collect();
            planned.splice(i..i, new);
        }
        records.push((row, record));
        // After every run, so that a look at the table needs no patience.
        conclude(args, out, &records, &failed, targets)?;
    }
    Ok((records, failed))
}

/// Runs one in a process of its own, or goes on with it; what it says goes to `train.log` in its folder. One that comes
/// to nothing is no error, but one that was stopped is.
fn train(run: &Planned, args: &ExperimentArgs, interrupt: &Interrupt) -> Result<Option<Failure>> {
    std::fs::create_dir_all(&run.folder).map_err(|e| Error::io("creating", &run.folder, e))?;
    let log = run.folder.join("train.log");
    let file = std::fs::File::create(&log).map_err(|e| Error::io("writing", &log, e))?;
    let program = std::env::current_exe().context("finding this program failed")?;
    let mut command = Command::new(&program);
    command.arg("train").stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    if RunFolder::open(&run.folder).is_ok_and(|folder| folder.found_checkpoint().is_some()) {
        command.arg("--resume").arg(&run.folder);
    } else {
        command.args(run.arguments(&args.data)?).arg("--overwrite").arg("--out").arg(&run.folder);
    }
    let status = wait(command, &program, interrupt)?;
    if status.success() {
        return Ok(None);
    }
    let said = read_text(&log, RECORDS).unwrap_or_default();
    let why = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let why = format!("{}: {}", shown(&run.folder), why.map_or(status.to_string(), str::to_owned));
    if status.code() == Some(STOPPED.into()) {
        return Err(ChildFailure { code: status.code(), message: format!("{why}; the same command goes on") }.into());
    }
    Ok(Some(failure(&run.folder, status.code(), why)))
}

/// Runs a command to its end, and passes on to it, once, that it is to stop. A terminal's Ctrl-C does not reach it
/// besides: a second would end it at once.
fn wait(mut command: Command, program: &Path, interrupt: &Interrupt) -> Result<ExitStatus> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|e| Error::io("starting", program, e))?;
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait().map_err(|e| Error::io("waiting for", program, e))? {
            return Ok(status);
        }
        if interrupt.is_asked() && !is_told {
            signals::terminate(&child);
            is_told = true;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The record of a run that is complete.
fn read_record(folder: &Path) -> std::result::Result<RunRecord, Failure> {
    let missing = || RunError::NoRecord { path: folder.to_owned() }.into();
    let found = RunFolder::open(folder).and_then(|folder| folder.read_record());
    found
        .and_then(|record| record.ok_or_else(missing))
        .map_err(|why| failure(folder, Some(code_of(&why).into()), advice::line(&why)))
}

fn failure(folder: &Path, code: Option<i32>, why: String) -> Failure {
    Failure { run: folder.file_name().map(shown).unwrap_or_default(), code, why }
}

/// Writes `table.md` and `table.json`, where these are of all runs, and returns the first.
fn conclude(
    args: &ExperimentArgs,
    out: &Path,
    records: &[(RowOptions, RunRecord)],
    failed: &[Failure],
    targets: &[f64],
) -> Result<String> {
    let rows = Row::collect(records);
    let reached = costs_to_reach(&rows, targets);
    let text = table(&rows, &reached) + &failures(failed);
    if !args.concludes() {
        return Ok(text);
    }
    write_atomically(&out.join("table.md"), text.as_bytes())?;
    let json = serde_json::json!({ "rows": rows, "targets": reached, "failed": failed });
    write_atomically(&out.join("table.json"), format!("{json:#}\n").as_bytes())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_without_running_them() {
        let count = |text: &str| count_runs(text, Path::new("x.toml")).map_err(|why| why.to_string());
        let grid = "[[grid]]\nseed = [0, 1, 2]\nbudget = [0.5, 1]\n";
        assert_eq!(count(grid), Ok(6));
        assert_eq!(count(&format!("{grid}{grid}")), Ok(6), "the same ones");
        for (text, fragment) in [
            ("[[grid]]\nseed = 0\nsed = 1", "--sed"),
            ("\n[[grid]\n", "x.toml, line 2"),
            ("[control]\nseed = 1\n[[grid]]\n", "seed in control"),
            ("", "grid"),
        ] {
            let why = count(text).unwrap_err();
            assert!(why.contains("x.toml") && why.contains(fragment), "{text:?}: {why}");
        }
    }
}
