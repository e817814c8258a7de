//! What somebody may have meant who wrote a name that there is not.

/// No more similar than this, and it is another name.
const SIMILAR: f64 = 0.75;

/// The name that is meant by a message of serde about one it does not know, "unknown field `a`, expected one of `b`,
/// `c`": what is nearest to it, if anything is near.
pub(super) fn meant(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}

/// The nearest of these names, if any is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.map(|other| (strsim::jaro_winkler(name, other), other));
    let best = similar.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_found_and_another_name_is_not() {
        let message = "unknown field `buget`, expected one of `kind`, `budget`, `validation`, `rule`";
        assert_eq!(meant(message), Some("budget"));
        assert_eq!(meant("unknown variant `adma`, expected `adam` or `sgd`"), Some("adam"));
        assert_eq!(meant("unknown field `colour`, expected one of `kind`, `budget`"), None);
        assert_eq!(meant("unknown field `a`, there are no fields"), None);
        assert_eq!(meant("invalid type: `buget`, expected `budget`"), None);
    }
}
