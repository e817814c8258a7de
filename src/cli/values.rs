//! Values of options that the standard library does not read.

use crate::cost::Units;
use crate::subset::SubsetSize;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, ValueEnum};
use serde::Serialize;
use std::any::TypeId;
use std::str::FromStr;

/// Yes or no, where the default is not the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(super) fn is_on(self) -> bool {
        self == Self::On
    }
}

/// A parser of the values of an enum of the library, by the names that files have for them, each with its help.
pub(super) fn named<T>(values: &'static [(T, &'static str)]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Serialize + Send + Sync + 'static,
{
    let possible = values.iter().map(|(value, help)| PossibleValue::new(name_of(value)).help(*help));
    let of_name = |name: String| values.iter().find(|(value, _)| name_of(value) == name).map(|(value, _)| *value);
    PossibleValuesParser::new(possible).map(move |name| of_name(name).expect("one of the possible values"))
}

/// What files call a value of an enum.
pub(super) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("an enum without fields, not {other:?}"),
    }
}

/// A value as the command line has it.
pub(super) fn value_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

/// The same command, where what follows an option that takes a number is its value, whatever it begins with: a negative
/// one is named as such and not as another option.
pub(super) fn with_negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|arg| if is_number(&arg) { arg.allow_hyphen_values(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// Whether an option takes a number, or what is made of numbers.
fn is_number(arg: &Arg) -> bool {
    let numbers = [
        TypeId::of::<f64>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<(u32, u32)>(),
        TypeId::of::<Bytes>(),
        TypeId::of::<SubsetSize>(),
    ];
    numbers.iter().any(|number| arg.get_value_parser().type_id() == *number)
}

/// A whole number from 0 up that `config.toml` can hold.
pub(super) fn whole() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(..=i64::MAX as u64)
}

/// A number from 0 up.
pub(super) fn non_negative(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0).ok_or_else(|| "not a number from 0 up".to_owned())
}

/// A number from 0 up and below 1.
pub(super) fn below_one(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..1.0).contains(x)).ok_or_else(|| "not a number from 0 up, below 1".to_owned())
}

/// A number above 0 and at most 1.
pub(super) fn probability(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| *x > 0.0 && *x <= 1.0).ok_or_else(|| "not a number above 0, up to 1".to_owned())
}

/// A budget as people read it.
pub(super) fn epochs(budget: Units, examples: usize) -> String {
    format!("{} epochs", (1e4 * budget.passes(examples)).round() / 1e4)
}

/// A size in bytes: `512MiB`, `2GiB`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text[digits.len()..].to_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" | "kb" => 1 << 10,
            "m" | "mib" | "mb" => 1 << 20,
            "g" | "gib" | "gb" => 1 << 30,
            _ => 0,
        };
        let bytes = digits
            .trim()
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(unit))
            .filter(|bytes| (1..=i64::MAX as u64).contains(bytes));
        bytes.map(Self).ok_or_else(|| format!("{text:?} is not a size like 512MiB or 2GiB"))
    }
}

/// `32x32` as height and width.
pub(super) fn parse_resize(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    sides.ok_or_else(|| format!("{text:?} is not HEIGHTxWIDTH, such as 32x32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_sides_are_read() {
        assert_eq!("512MiB".parse::<Bytes>().unwrap().0, 512 << 20);
        assert_eq!("2g".parse::<Bytes>().unwrap().0, 2 << 30);
        assert_eq!("4096".parse::<Bytes>().unwrap().0, 4096);
        for text in [
            "",
            "MiB",
            "0",
            "1.5GiB",
            "-1",
            "99999999999999999999",
            "99999999999GiB",
            "18446744073709551615",
            "3 parsecs",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!(parse_resize("32x24"), Ok((32, 24)));
        assert!(parse_resize("32").is_err() && parse_resize("ax3").is_err());
    }
}
