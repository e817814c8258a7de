//! Which options were given, so that one of another method is refused without a list of all.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use std::collections::BTreeSet;

/// The options that the command line has, by their ids. Has to be flattened before those that it is asked about.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(BTreeSet<String>);

impl Given {
    /// The first option of a group that was given, with its dashes.
    pub(super) fn first_of<G: Args>(&self) -> Option<String> {
        self.first_but::<G>(&[])
    }

    /// The first of a group that was given, others than these, with its dashes.
    pub(super) fn first_but<G: Args>(&self, allowed: &[&str]) -> Option<String> {
        let is_found = |(id, _): &(String, String)| self.has(id) && !allowed.contains(&id.as_str());
        options_of::<G>().into_iter().find(is_found).map(|(_, long)| format!("--{long}"))
    }

    /// Whether the option of this id was given.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}

/// Ids and long names of the options of a group.
pub(super) fn options_of<G: Args>() -> Vec<(String, String)> {
    let command = G::augment_args(Command::new("options"));
    let options =
        command.get_arguments().filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?.to_owned())));
    options.collect()
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        Ok(Self(matches.ids().map(clap::Id::as_str).filter(is_given).map(str::to_owned).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
