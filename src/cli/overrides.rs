//! `train --config FILE --set KEY=VALUE`: values of a configuration, in the types that it has them in.

use super::nearest::meant;
use crate::error::{Error, Result, one_line};
use crate::run::Config;
use std::str::FromStr;
use toml::{Table, Value};

/// A key of a configuration, its parts between dots, and what it is to be.
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// As it was given.
    text: String,
    path: Vec<String>,
    value: String,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.split_once('=').filter(|(key, _)| key.split('.').all(|part| !part.trim().is_empty()));
        let Some((key, value)) = parsed else {
            return Err("expected KEY=VALUE, such as seed=3 or plan.rule.momentum=0.9".to_owned());
        };
        let path = key.split('.').map(|part| part.trim().to_owned()).collect();
        Ok(Self { text: text.to_owned(), path, value: value.trim().to_owned() })
    }
}

impl Override {
    /// A configuration with this value in it.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has no such key, or the value is of another type.
    pub(super) fn apply(&self, config: &Config) -> Result<Config> {
        let table = Table::try_from(config).map_err(|why| self.refused(&why.to_string()))?;
        let with = |value: Value| -> Result<Config> {
            let mut table = Value::Table(table.clone());
            *self.place(&mut table)? = value;
            table.try_into().map_err(|why: toml::de::Error| self.refused(why.message()))
        };
        let text = || Value::String(self.value.clone());
        match self.literal() {
            None => with(text()),
            // what looks like a number may be a name
            Some(value) => with(value).or_else(|why| with(text()).map_err(|_| why)),
        }
    }

    /// The value, where it is one of TOML: a word is not.
    fn literal(&self) -> Option<Value> {
        let mut table = format!("value = {}", self.value).parse::<Table>().ok()?;
        table.remove("value").filter(|_| table.is_empty())
    }

    /// Where the value belongs. Tables that are not there are made: whether the configuration has such is asked of it.
    fn place<'a>(&self, root: &'a mut Value) -> Result<&'a mut Value> {
        let mut at = root;
        for part in &self.path {
            at = match at {
                Value::Table(table) => table.entry(part.as_str()).or_insert_with(|| Value::Table(Table::new())),
                Value::Array(values) => {
                    let count = values.len();
                    let index = part.parse::<usize>().ok().filter(|&index| index < count);
                    let why = || self.refused(&format!("{part} is none of the {count} entries, which count from 0"));
                    &mut values[index.ok_or_else(why)?]
                }
                _ => return Err(self.refused(&format!("unknown field `{part}`: what it is of has no fields"))),
            };
        }
        Ok(at)
    }

    fn refused(&self, why: &str) -> Error {
        let meant = meant(why).map_or(String::new(), |name| format!("; did you mean {name}?"));
        Error::usage(format!("--set {}: {}{meant}", self.text, one_line(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::run::Run;

    fn set(text: &str) -> std::result::Result<Config, String> {
        let config = Run::sweep(&Dataset::digits().unwrap()).config().unwrap();
        text.parse::<Override>()?.apply(&config).map_err(|why| why.to_string())
    }

    #[test]
    fn a_value_has_the_type_of_its_key() {
        assert_eq!(set("seed=3").unwrap().seed, 3);
        assert_eq!(set("weight_decay = 1").unwrap().weight_decay, 1.0);
        assert_eq!(set("data=7").unwrap().data, "7");
        assert_eq!(set("data=a=b").unwrap().data, "a=b");
        assert_eq!(set("label_smoothing=0.1").unwrap().label_smoothing, 0.1, "a key that was left out");
        assert_eq!(set("sampling=uniform").unwrap().sampling, crate::subset::Sampling::Uniform);
        let nested = set("plan.rule.momentum=0.5").unwrap();
        let digits = Dataset::digits().unwrap();
        assert_ne!(nested.plan, Run::sweep(&digits).config().unwrap().plan);
        assert_eq!(set("model.layer.0.channels=9").unwrap().model.name, "digits-1k");
        assert_eq!(set("augment.crop=2").unwrap().augment.unwrap().crop, 2);
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_may_be_meant() {
        for (text, fragments) in [
            ("sed=3", &["--set sed=3: unknown field `sed`", "did you mean seed?"][..]),
            ("plan.buget=3", &["unknown field `buget`", "did you mean budget?"]),
            ("plan.rule.momentun=0.5", &["did you mean momentum?"]),
            ("plan.rule.batches.importance.leest=0.5", &["did you mean least?"]),
            ("plan.validation.evry=1", &["did you mean every?"]),
            ("augment.corp=2", &["did you mean crop?"]),
            ("seed=many", &["--set seed=many: invalid type", "u64"]),
            ("seed.x=1", &["has no fields"]),
            ("model.layer.9.channels=9", &["9 is none of the 3 entries"]),
            ("model.layer.0.chanels=9", &["chanels", "did you mean channels?"]),
            ("sampling=unifrom", &["did you mean uniform?"]),
            ("seed", &["KEY=VALUE"]),
            ("=3", &["KEY=VALUE"]),
            ("seed=1\nmemory = 2", &["invalid type"]),
        ] {
            let why = set(text).unwrap_err();
            assert!(fragments.iter().all(|fragment| why.contains(fragment)), "{text}: {why}");
        }
    }
}
