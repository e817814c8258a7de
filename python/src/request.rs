//! What a run is asked to do, from the options that Python passes.

use gpu_subset::data::Dataset;
use gpu_subset::error::{Error, Result, UsageError};
use gpu_subset::kernels::augment::Augmentation;
use gpu_subset::model::Description;
use gpu_subset::run::{ClassWeights, Config, Run, RunBuilder, Schedule};
use gpu_subset::shape::Shape;
use gpu_subset::subset::{StageOptions, SubsetSize};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pythonize::depythonize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A network by name or file, or one of the caller's own.
#[derive(Clone, Debug)]
pub(crate) enum Network {
    /// A built-in network, or a TOML file.
    Named(String),
    /// A description.
    Own(Description),
}

impl Network {
    /// The description; of the network that suits a shape, where none is asked for.
    pub(crate) fn description(network: Option<&Self>, shape: Shape) -> Result<Description> {
        match network {
            None => Description::suiting(shape),
            Some(Self::Named(name)) => Description::open(name),
            Some(Self::Own(description)) => Ok(description.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(NetworkVisitor)
    }
}

/// Tells them apart, so that an error says what is wrong with a description.
struct NetworkVisitor;

impl<'de> Visitor<'de> for NetworkVisitor {
    type Value = Network;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a network, the path of a TOML file, or a dict with a list of layers")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Network, E> {
        Ok(Network::Named(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Network, A::Error> {
        Description::deserialize(MapAccessDeserializer::new(map)).map(Network::Own)
    }
}

/// What examples count, by class.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Classes {
    /// `balanced`.
    Named(String),
    /// A factor for each class.
    Given(Vec<f64>),
}

/// Epochs beyond which no budget is raised: a step of one example costs less.
const MOST_STRETCH: f64 = 1e9;

/// What a run is told; what is left out has the library's default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Request {
    schedule: Option<String>,
    method: Option<String>,
    settings: Map<String, Value>,
    model: Option<Network>,
    init: Option<String>,
    budget: Option<f64>,
    subset: Option<String>,
    held_out: Option<String>,
    subset_passes: Option<f64>,
    full_passes: Option<f64>,
    patience: u64,
    weight_decay: Option<f64>,
    label_smoothing: f64,
    class_weight: Option<Classes>,
    augment: Option<Augmentation>,
    seed: u64,
    /// Whether a budget that pays for no step becomes one that does.
    stretch: bool,
}

impl Request {
    /// The resolved configuration of the run on its data.
    pub(crate) fn config(&self, data: &Dataset) -> Result<Config> {
        self.builder(data)?.config()
    }

    /// The same with twice the budget, where this one was refused since it pays for no step, and may be raised.
    pub(crate) fn raised(&self, refused: &Error) -> Option<Self> {
        let budget = self.budget.filter(|epochs| self.stretch && *epochs < MOST_STRETCH)?;
        let is_short = matches!(refused, Error::Usage(UsageError::Budget { .. }));
        is_short.then(|| Self { budget: Some(2.0 * budget), ..self.clone() })
    }

    /// The run.
    fn builder<'a>(&self, data: &'a Dataset) -> Result<RunBuilder<'a>> {
        let options = StageOptions {
            subset_passes: self.subset_passes,
            full_passes: self.full_passes,
            patience: self.patience,
            ..StageOptions::default()
        };
        let schedule = schedule(self.schedule.as_deref(), self.method.as_deref(), &self.settings)?;
        let mut run = Run::by(data, schedule).stages(options).label_smoothing(self.label_smoothing).seed(self.seed);
        run = match &self.model {
            Some(Network::Named(name)) => run.model(name),
            Some(Network::Own(description)) => run.network(description.clone()),
            None => run,
        };
        if let Some(path) = &self.init {
            run = run.init(path);
        }
        if let Some(epochs) = self.budget {
            run = run.budget(epochs);
        }
        if let Some(lambda) = self.weight_decay {
            run = run.weight_decay(lambda);
        }
        if let Some(size) = &self.subset {
            run = run.subset(sized(size)?);
        }
        if let Some(size) = &self.held_out {
            run = run.held_out(sized(size)?);
        }
        if let Some(by) = self.augment {
            run = run.augment(by, None);
        }
        Ok(match &self.class_weight {
            Some(Classes::Given(weights)) => run.class_weights(ClassWeights::Given(weights.clone())),
            Some(Classes::Named(name)) => run.class_weights(ClassWeights::open(name, &data.classes)?),
            None => run,
        })
    }
}

fn sized(size: &str) -> Result<SubsetSize> {
    size.parse().map_err(|why| Error::usage(format!("{size}: {why}")))
}

/// Schedule and method by name, with other values of some of the method's settings, the parts of whose names stand
/// between dots.
fn schedule(schedule: Option<&str>, method: Option<&str>, settings: &Map<String, Value>) -> Result<Schedule> {
    let schedule = schedule.map(str::parse).transpose()?;
    let method = method.map(str::parse).transpose()?;
    let usual = Schedule::of(schedule, method)?;
    usual.with_settings(|method| changed(method, settings), |rule| changed(rule, settings))
}

/// The same of a method by itself, or of the sweep.
pub(crate) fn method(name: &str, settings: &Map<String, Value>) -> Result<Schedule> {
    match name {
        "sweep" => schedule(Some(name), None, settings),
        _ => schedule(None, Some(name), settings),
    }
}

/// Choices with other values of some keys.
fn changed<T: Serialize + DeserializeOwned>(choices: T, settings: &Map<String, Value>) -> Result<T> {
    if settings.is_empty() {
        return Ok(choices);
    }
    let refused = |key: &str, why: &dyn fmt::Display| Error::usage(format!("settings, {key}: {why}"));
    let mut all = serde_json::to_value(&choices).map_err(|e| refused("", &e))?;
    for (key, value) in settings {
        let found = key.split('.').try_fold(&mut all, |within, part| within.get_mut(part));
        match found {
            Some(found) if key != "name" => *found = value.clone(),
            _ => return Err(refused(key, &"no setting of this method")),
        }
    }
    serde_json::from_value(all).map_err(|e| refused(&settings.keys().cloned().collect::<Vec<_>>().join(", "), &e))
}

/// Options as Python has them.
pub(crate) fn asked<T: DeserializeOwned>(options: &Bound<'_, PyAny>) -> PyResult<T> {
    depythonize(options).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Arrays that do not go together.
pub(crate) fn arrays(why: String) -> Error {
    UsageError::Arrays { why }.into()
}
