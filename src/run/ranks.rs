//! How a run begins on several ranks. Rank 0 is the one that was asked for it: the others have its configuration from
//! it, build the same run on their own devices, and then do what it asks for.

use super::config::Config;
use crate::error::{RankError, Result};
use crate::files::hex;
use crate::training::{RankAnswer, Request, Team};
use sha2::{Digest, Sha256};

/// What rank 0 says of the run that begins.
pub struct Invitation {
    /// What to do.
    pub config: Config,
    program: String,
}

impl Invitation {
    /// Tells the others, on rank 0. They are [ready](Invitation::ready) at the same time.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank); so for the others.
    pub fn send(team: &Team, config: &Config) -> Result<()> {
        if team.is_alone() {
            return Ok(());
        }
        let config = toml::to_string(config).expect("a configuration is plain data");
        team.ask(&Request::Begin { config, program: program() }, &[])
    }

    /// What rank 0 says, on the others: nothing where it came to no run.
    ///
    /// # Errors
    /// As [`Invitation::send`].
    pub fn receive(team: &Team) -> Result<Option<Self>> {
        match team.hear()? {
            (Request::Begin { config, program }, _) => {
                let config = toml::from_str(&config).map_err(|e| RankError::Message { why: e.to_string() })?;
                Ok(Some(Self { config, program }))
            }
            (Request::End, _) => Ok(None),
            (other, _) => Err(RankError::Message { why: format!("{other:?} before a run begins") }.into()),
        }
    }

    /// Whether this rank runs the same program.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank), where it does not.
    pub fn check(&self, team: &Team) -> Result<()> {
        if self.program == program() {
            return Ok(());
        }
        Err(RankError::OtherProgram { rank: team.rank(), host: team.host().to_owned() }.into())
    }

    /// Whether all ranks have built the run: the error of the first that has not, on rank 0; and what is to be said of
    /// them, in the order of ranks. The others know of themselves alone.
    ///
    /// # Errors
    /// Those of ranks.
    pub fn ready(team: &Team, own: Result<Vec<String>>) -> Result<Vec<String>> {
        if team.is_alone() {
            return own;
        }
        let answer = own.map(|said| RankAnswer { said, ..RankAnswer::default() });
        Ok(team.join(answer)?.map_or(Vec::new(), |all| all.said))
    }
}

/// SHA-256 of the program's file: ranks that compute differently must not meet.
fn program() -> String {
    let program = std::env::current_exe().and_then(std::fs::read);
    let digest = program.map(|program| hex(&Sha256::digest(program)));
    digest.unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned()) // where the file is gone
}
