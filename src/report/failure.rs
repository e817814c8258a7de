//! Runs that came to nothing, beside the table of those that did not.

use serde::Serialize;

/// A run that came to nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// Name of its folder.
    pub run: String,
    /// The code that its process ended with; none where a signal ended it.
    pub code: Option<i32>,
    /// What it said.
    pub why: String,
}

/// Markdown; nothing where there are none.
pub fn failures(failures: &[Failure]) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let mut text = "\n| came to nothing | exit code | why |\n|---|---|---|\n".to_owned();
    for Failure { run, code, why } in failures {
        let code = code.map_or("–".to_owned(), |code| code.to_string());
        text += &format!("| {run} | {code} | {} |\n", why.replace('|', "\\|"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_row_and_none_is_nothing() {
        assert_eq!(failures(&[]), "");
        let failure = Failure { run: "seed-1".to_owned(), code: Some(6), why: "a|b is not finite".to_owned() };
        assert!(failures(&[failure]).ends_with("| seed-1 | 6 | a\\|b is not finite |\n"));
    }
}
