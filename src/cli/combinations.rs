//! Every combination of the values of a grid, one after another.

use crate::report::RowOptions;
use std::collections::BTreeMap;

/// Runs of a grid, at most: more is a slip, and would not end.
const MOST: usize = 10_000;

/// The combinations of a grid, the last option's values fastest.
pub(super) struct Combinations {
    options: Vec<(String, Vec<String>)>,
    /// Which value of each option comes next; none at the end.
    next: Option<Vec<usize>>,
}

impl Combinations {
    /// Of a grid's options, or why it has none.
    pub(super) fn new(grid: &BTreeMap<String, toml::Value>) -> Result<Self, String> {
        let mut options = Vec::new();
        for (key, values) in grid {
            let values = match values {
                toml::Value::Array(values) => values.iter().map(plain).collect::<Option<Vec<_>>>(),
                value => plain(value).map(|value| vec![value]),
            };
            let values = values.ok_or_else(|| format!("{key} is neither a value nor a list of values"))?;
            options.push((key.clone(), values));
        }
        let count = options.iter().try_fold(1, |count: usize, (_, values)| count.checked_mul(values.len()));
        match count {
            Some(0) => Ok(Self { options, next: None }),
            Some(1..=MOST) => Ok(Self { next: Some(vec![0; options.len()]), options }),
            _ => {
                let count = count.map_or("more runs than can be counted".to_owned(), |count| format!("{count} runs"));
                Err(format!("a grid of {count}, and {MOST} are the most: give it fewer options or values to cross"))
            }
        }
    }
}

/// A value as the command line takes it.
pub(super) fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Some(value.to_string()),
        _ => None,
    }
}

impl Iterator for Combinations {
    type Item = RowOptions;

    fn next(&mut self) -> Option<RowOptions> {
        let at = self.next.as_mut()?;
        let row = self.options.iter().zip(&*at).map(|((key, values), &i)| (key.clone(), values[i].clone())).collect();
        let room = self.options.iter().zip(&*at).rposition(|((_, values), &i)| i + 1 < values.len());
        match room {
            Some(option) => {
                at[option] += 1;
                at[option + 1..].fill(0);
            }
            None => self.next = None,
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> BTreeMap<String, toml::Value> {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_last_option_changes_fastest() {
        let rows = Combinations::new(&grid("a = [1, 2]\nb = \"x\"\nc = [3, 4, 5]")).unwrap();
        let values = rows.map(|row| row.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(" "));
        assert_eq!(values.collect::<Vec<_>>(), ["1 x 3", "1 x 4", "1 x 5", "2 x 3", "2 x 4", "2 x 5"]);
        assert_eq!(Combinations::new(&grid("a = [1, 2]\nb = []")).unwrap().count(), 0);
        assert_eq!(Combinations::new(&grid("")).unwrap().count(), 1);
    }

    #[test]
    fn a_grid_that_would_not_end_is_refused_at_once() {
        for options in [14, 30, 64, 1000] {
            let text: String = (0..options).map(|i| format!("a{i} = [1, 2]\n")).collect();
            let why = Combinations::new(&grid(&text)).err().unwrap();
            assert!(why.contains("10000 are the most"), "{why}");
        }
    }
}
