//! The ranks of a run: what rank 0, which alone knows method and plan, asks of all, and what they answer.
//!
//! A loss is a mean over examples, and so is whatever is derived from it: each rank takes it over its share, and the
//! shares' means are added up by what they count. Points come from rank 0, so ranks stay together whatever their
//! devices make of the same program.

use super::answer::RankAnswer;
use super::request::Request;
use crate::batch::Share;
use crate::device::lock;
use crate::error::{RankError, Result};
use crate::exchange::{Alone, Exchange, Message, broadcast, depth, gather};
use serde::{Deserialize, Serialize};
use std::ops::Sub;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What exchanges have taken on rank 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes that it sent and received.
    pub bytes: u64,
    /// Seconds in which it did nothing else: it sends, or waits for others.
    pub seconds: f64,
}

impl Sub for Traffic {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, seconds: self.seconds - before.seconds }
    }
}

/// The ranks of a run, this one among them.
#[derive(Clone)]
pub struct Team {
    exchange: Arc<dyn Exchange>,
    host: String,
    traffic: Arc<Mutex<Traffic>>,
}

impl Team {
    /// No other rank.
    pub fn alone() -> Self {
        Self::new(Arc::new(Alone))
    }

    /// All ranks of an exchange.
    pub fn new(exchange: Arc<dyn Exchange>) -> Self {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self { exchange, host, traffic: Arc::default() }
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.ranks() == 1
    }

    /// Which this one is.
    pub fn rank(&self) -> usize {
        self.exchange.rank()
    }

    /// How many there are.
    pub fn ranks(&self) -> usize {
        self.exchange.ranks()
    }

    /// What connects them.
    pub fn exchange(&self) -> &Arc<dyn Exchange> {
        &self.exchange
    }

    /// The machine that it is on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// This rank's share of a list.
    pub fn share(&self) -> Share {
        Share { of: self.rank(), among: self.ranks() }
    }

    /// What exchanges have taken so far, where there are others.
    pub fn traffic(&self) -> Option<Traffic> {
        (!self.is_alone()).then(|| *lock(&self.traffic))
    }

    /// Words that went to each rank that rank 0 talks to, or came from each.
    fn count(&self, words: usize, since: Instant) {
        let mut traffic = lock(&self.traffic);
        traffic.bytes += 4 * words as u64 * u64::from(depth(self.ranks()));
        traffic.seconds += since.elapsed().as_secs_f64();
    }

    /// Asks all for something, on rank 0.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank), as all here.
    pub(crate) fn ask(&self, request: &Request, vectors: &[Vec<f32>]) -> Result<()> {
        let start = Instant::now();
        let words: Vec<&[u32]> = vectors.iter().map(|vector| bytemuck::cast_slice(vector)).collect();
        let said = broadcast(&*self.exchange, Some(Message::new(request, &words)))?;
        self.count(said.words().len(), start);
        Ok(())
    }

    /// What is asked for, and the vectors beside it, on the others.
    pub(crate) fn hear(&self) -> Result<(Request, Vec<Vec<f32>>)> {
        let said = broadcast(&*self.exchange, None)?;
        let (request, parts) = said.parts()?;
        Ok((request, parts.into_iter().map(|part| bytemuck::cast_slice(part).to_vec()).collect()))
    }

    /// What all answer, on rank 0; on the others nothing. An error of any rank is one of rank 0, which hears all first.
    pub(crate) fn join(&self, own: Result<RankAnswer>) -> Result<Option<RankAnswer>> {
        let start = Instant::now();
        let answer = match &own {
            Ok(answer) => answer.clone(),
            Err(error) => RankAnswer::failed(error, self.rank(), &self.host),
        };
        let all = gather(&*self.exchange, answer, RankAnswer::message, RankAnswer::read, RankAnswer::join)?;
        let Some(all) = all else { return Ok(None) };
        self.count(all.vector.len(), start);
        own?; // with its type
        match all.failed {
            Some(failed) => Err(RankError::from(failed).into()),
            None => Ok(Some(all)),
        }
    }

    /// The same on rank 0.
    pub(crate) fn joined(&self, own: Result<RankAnswer>) -> Result<RankAnswer> {
        self.join(own).map(|all| all.expect("rank 0 has what all answer"))
    }

    /// Tells the others that it is over.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank).
    pub fn end(&self) -> Result<()> {
        self.ask(&Request::End, &[])
    }
}
