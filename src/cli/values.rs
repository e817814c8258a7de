//! Options whose values are names that the library has for them, with a line of help each.

use crate::subset::{Name, Sampling};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// `--schedule`
pub(super) fn schedule() -> impl TypedValueParser<Value = Name> {
    one_of(&Name::NAMES, |name| match name {
        Name::Sweep => "One small disjoint subset after another, a K-FAC step on each, within --budget",
        Name::Paper => "One subset to its minimum, then the full set for a short adaptation",
        Name::Growing => {
            "Nested subsets up to the full set, each four times the one before and started from where that ended"
        }
        Name::Full => "The full set alone, as a whole",
        Name::Minibatch => "Mini-batches of the full set, within --budget",
    })
}

/// `--sampling`
pub(super) fn sampling() -> impl TypedValueParser<Value = Sampling> {
    one_of(&Sampling::NAMES, |sampling| match sampling {
        Sampling::Balanced => {
            "Class by class, so that class sizes differ by at most one while every class has examples left"
        }
        Sampling::Uniform => "Each example as likely as any other",
    })
}

fn one_of<T: Copy + Send + Sync + 'static>(
    names: &'static [(T, &'static str)],
    help: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values = names.iter().map(|&(value, name)| PossibleValue::new(name).help(help(value)));
    PossibleValuesParser::new(values).map(|text| {
        let found = names.iter().find(|(_, name)| *name == text);
        found.expect("the parser takes these alone").0
    })
}
