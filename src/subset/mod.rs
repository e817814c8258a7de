//! Subset pretraining (Spörer, Bermeitinger, Hrycej, Limacher, Handschuh, *Efficient Neural Network Training via Subset
//! Pretraining*, arXiv 2410.16523): sampling, the overdetermination ratio, the plan of a run, and the run that follows
//! it.

mod incident;
mod kept;
mod observer;
mod once;
mod overdetermination;
mod plan;
mod preparation;
mod problems;
mod progress;
mod record;
mod running;
mod sampling;
mod screening;
mod serving;
mod sets;
mod stopping;
mod trainer;

pub use incident::Incident;
pub use observer::Observer;
pub(crate) use once::Once;
pub use overdetermination::{WELL_ABOVE_ONE, overdetermination};
pub use plan::{Plan, StageOptions, StagePlan, Validation};
pub use progress::{Progress, ProgressScalars, ProgressVectors};
pub use record::{HeldOut, StageKind, StageReport, StepRecord};
pub use sampling::{Sampling, Subset, SubsetSize};
pub use screening::{Screening, ScreeningReport};
pub use sets::{Finished, StartOptions, TrainingSets};
pub use stopping::{StopReason, StopRules, reason_to_stop};
pub use trainer::Trainer;
