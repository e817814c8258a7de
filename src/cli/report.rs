//! `gpu-subset report`: a page about some runs, and its charts as files.

use super::advice;
use super::device::DeviceArgs;
use super::output::{say, show};
use super::reading::{open_given, open_own, say_notes};
use super::values::parse_resize;
use crate::checkpoint;
use crate::data::{Dataset, ReadOptions};
use crate::device::Gpu;
use crate::error::{Error, Result, RunError, shown};
use crate::files::{RECORDS, TEXT, read_regular, read_text, remove, write_atomically};
use crate::report::{Chart, History, Labelled, NetworkDrawing, TestEvaluation, charts, is_page, page};
use crate::run::{Config, RunFolder, RunRecord, Weights};
use clap::Args;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct ReportArgs {
    /// Run folders, complete or in progress
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Folder for report.html and plots/ [default: the run folder of one run, report/ for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Data set to evaluate on; by default the one each run was made on
    #[arg(long, value_name = "digits|DIR")]
    data: Option<String>,
    /// Bring images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_resize)]
    resize: Option<(u32, u32)>,
    /// Curves and configuration alone: no confusion matrix, no mistakes, no device
    #[arg(long, conflicts_with_all = ["data", "resize", "backend", "adapter"])]
    no_evaluation: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let out = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out,
        (None, [run]) => run,
        (None, _) => Path::new("report"),
    };
    let folders = args.runs.iter().map(|run| RunFolder::open(run)).collect::<Result<Vec<_>>>()?;
    let (path, plots) = (out.join("report.html"), out.join("plots"));
    let is_ours = check_ours(&path)?;
    let mut evaluator = Evaluator::new(args)?;
    let named = names(&args.runs).into_iter().zip(&folders);
    let runs = named.map(|(name, folder)| history(name, folder, &mut evaluator)).collect::<Result<Vec<_>>>()?;
    let charts = charts(&runs);
    let html = page(&runs, &charts)?;
    if !is_ours {
        check_free(&charts, &plots)?;
    }
    fs::create_dir_all(&plots).map_err(|e| Error::io("creating", &plots, e))?;
    charts.iter().try_for_each(|chart| write_plots(chart, &plots))?;
    write_atomically(&path, html.as_bytes())?;
    let drawn = charts.iter().filter(|chart| !chart.is_empty()).count();
    show!("report   {}", shown(&path))?;
    show!("plots    {} ({drawn} charts, SVG and PNG)", shown(&plots))?;
    Ok(())
}

/// Whether there is an older report, which is replaced; somebody else's file of that name is not.
fn check_ours(path: &Path) -> Result<bool> {
    match read_regular(path, RECORDS) {
        // a folder, a pipe
        Err(e) if e.kind() == ErrorKind::InvalidInput => {
            Err(Error::usage(format!("{}: not a report of this program; choose another --out", path.display())))
        }
        Ok(bytes) if !is_page(&bytes) => {
            Err(Error::usage(format!("{}: not a report of this program; choose another --out", path.display())))
        }
        read => Ok(read.is_ok()),
    }
}

/// Removes the report of a run that is replaced, and its charts, if there is one.
pub(super) fn remove_report(folder: &Path) -> Result<()> {
    let page = folder.join("report.html");
    if !read_regular(&page, RECORDS).is_ok_and(|bytes| is_page(&bytes)) {
        return Ok(());
    }
    let plots = folder.join("plots");
    charts(&[]).iter().flat_map(|chart| chart.files(&plots)).try_for_each(|path| remove(&path))?;
    remove(&page)
}

/// Where no report of ours is, charts are not ours either.
fn check_free(charts: &[Chart], plots: &Path) -> Result<()> {
    match charts.iter().flat_map(|chart| chart.files(plots)).find(|path| path.exists()) {
        Some(path) => {
            Err(Error::usage(format!("{}: not a chart of this program; choose another --out", path.display())))
        }
        None => Ok(()),
    }
}

/// The last parts of the paths where they tell the runs apart, or else all of them.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let last = |run: &PathBuf| {
        let full = fs::canonicalize(run).unwrap_or_else(|_| run.clone());
        full.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    let short: Vec<String> = runs.iter().map(last).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let name =
        |(name, run): (&String, &PathBuf)| if is_unique(name) { name.clone() } else { run.display().to_string() };
    short.iter().zip(runs).map(name).collect()
}

fn history(name: String, folder: &RunFolder, evaluator: &mut Evaluator<'_>) -> Result<History> {
    let path = folder.config();
    let config = read_text(&path, TEXT).map_err(|e| Error::unreadable(&path, e))?;
    let (record, steps) = (folder.read_record()?, folder.read_steps()?);
    let stages = match (&record, folder.found_checkpoint()) {
        (Some(record), _) => record.stages.clone(),
        (None, Some(path)) => checkpoint::load_stages(&path)?,
        (None, None) => Vec::new(),
    };
    let (evaluation, network) = match evaluator.evaluate(folder, record.as_ref()) {
        Ok(Some((found, drawing))) => (Ok(found), Some(drawing)),
        Ok(None) => (Err("--no-evaluation".to_owned()), drawing(&name, folder, record.as_ref())),
        // what the user asked for by name has to be there; what a run needs may be missing
        Err(why) if evaluator.args.data.is_some() => return Err(why),
        Err(why) => {
            let why = advice::line(&why);
            say!("note: {}: no evaluation: {why}", shown(&name));
            (Err(why), drawing(&name, folder, record.as_ref()))
        }
    };
    Ok(History { name, config, record, steps, stages, network, evaluation })
}

/// The network of a run that is complete, which takes no device.
fn drawing(name: &str, folder: &RunFolder, record: Option<&RunRecord>) -> Option<NetworkDrawing> {
    let weights = record.map(|_| Weights::load(&folder.weights()))?;
    let say_why = |why: &Error| say!("note: {}: no drawing of the network: {}", shown(name), advice::line(why));
    weights.inspect_err(say_why).ok().map(|weights| NetworkDrawing::new(&weights.model))
}

/// The chart's files; those of an older report go where there is nothing to draw.
fn write_plots(chart: &Chart, folder: &Path) -> Result<()> {
    let [svg, png] = chart.files(folder);
    if chart.is_empty() {
        return [svg, png].iter().try_for_each(|path| remove(path));
    }
    write_atomically(&svg, chart.svg()?.as_bytes())?;
    write_atomically(&png, &chart.png()?)
}

/// Where a data set comes from, and the size its images are brought to.
type DataSource = (String, Option<(u32, u32)>);

/// Evaluates runs on their test sets, one device and one data set after another.
struct Evaluator<'a> {
    args: &'a ReportArgs,
    gpu: Option<Gpu>,
    data: Option<(DataSource, Dataset)>,
}

impl<'a> Evaluator<'a> {
    /// An adapter that the user asked for has to be there, too.
    fn new(args: &'a ReportArgs) -> Result<Self> {
        let mut evaluator = Self { args, gpu: None, data: None };
        if args.device.backend.is_some() || args.device.adapter.is_some() {
            evaluator.open_gpu()?;
        }
        Ok(evaluator)
    }

    /// The data of a run, or what the user asked for in its place.
    fn open_data(&mut self, folder: &RunFolder, config: &Config) -> Result<()> {
        let resize = self.args.resize.or(config.resize);
        let source = (self.args.data.clone().unwrap_or_else(|| config.data.clone()), resize);
        let is_open = |(known, data): &(DataSource, Dataset)| {
            *known == source && (self.args.data.is_some() || data.sha256 == config.data_sha256)
        };
        if !self.data.as_ref().is_some_and(is_open) {
            let data = match &self.args.data {
                Some(data) => {
                    // a run in the middle may need training examples
                    let is_test_enough = folder.record().exists();
                    open_given(data, ReadOptions { resize, is_test_enough, ..ReadOptions::default() }, Some(config))?
                }
                None => open_own(folder.path(), config, self.args.resize)?,
            };
            say_notes(&data);
            self.data = Some((source, data));
        }
        Ok(())
    }

    fn open_gpu(&mut self) -> Result<Gpu> {
        if self.gpu.is_none() {
            self.gpu = Some(self.args.device.open()?);
        }
        Ok(self.gpu.clone().expect("opened above"))
    }

    /// None where the user wants none.
    fn evaluate(
        &mut self,
        folder: &RunFolder,
        record: Option<&RunRecord>,
    ) -> Result<Option<(TestEvaluation, NetworkDrawing)>> {
        let args = self.args;
        if args.no_evaluation {
            return Ok(None);
        }
        if record.is_none() && folder.found_checkpoint().is_none() {
            return Err(RunError::NoWeights.into());
        }
        let config = Config::load(&folder.config())?;
        self.open_data(folder, &config)?;
        let gpu = self.open_gpu()?;
        let Some((_, data)) = &self.data else { unreachable!("opened above") };
        let is_other = data.sha256 != config.data_sha256;
        if is_other && record.is_none() {
            return Err(Error::usage(format!(
                "{}: in progress, so its weights go with the data it is made on; leave --data out",
                folder.path().display()
            )));
        }
        let (mut weights, which) = match record {
            Some(record) => (Weights::load(&folder.weights())?, record.weights.clone()),
            None => Weights::of_checkpoint(folder, &config, data)?,
        };
        let is_alike = data.shape == weights.signature.input && data.classes == weights.signature.classes;
        let matched = (!is_alike).then(|| weights.matched(data.clone())).transpose()?;
        let data = matched.as_ref().unwrap_or(data);
        weights.find_moments(&gpu, &data.train, config.memory)?;
        let mut objective = weights.objective(&gpu, &data.test, config.memory)?;
        let logits = objective.logits(&gpu.upload("theta", &weights.theta)?)?;
        let test = Labelled { shape: data.shape, images: data.test.images.view(), labels: &data.test.labels };
        let found = TestEvaluation::new(which, weights.model.parameters(), &data.classes, &logits, test)?;
        let other_data = is_other.then(|| format!("{}, {}", data.name, data.sha256));
        Ok(Some((TestEvaluation { other_data, ..found }, NetworkDrawing::new(&weights.model))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_what_tells_them_apart() {
        let names = names(&["a/x", "b/x", "b/y"].map(PathBuf::from));
        assert_eq!(names, ["a/x", "b/x", "y"]);
    }

    #[test]
    fn only_a_report_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        assert!(!check_ours(&path).unwrap());
        fs::write(&path, page(&[], &[]).unwrap()).unwrap();
        assert!(check_ours(&path).unwrap());
        fs::write(&path, "<p>mine</p>").unwrap();
        assert!(matches!(check_ours(&path), Err(Error::Usage(_))));
        let plots = folder.path().join("plots");
        let charts = charts(&[]);
        check_free(&charts, &plots).unwrap();
        fs::create_dir(&plots).unwrap();
        fs::write(plots.join("mine.png"), "").unwrap();
        check_free(&charts, &plots).unwrap();
        fs::write(plots.join(charts[0].name).with_extension("png"), "").unwrap();
        assert!(matches!(check_free(&charts, &plots), Err(Error::Usage(_))));
    }
}
