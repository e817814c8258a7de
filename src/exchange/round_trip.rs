//! What an exchange costs: a round trip of a vector, down the tree and up again.

use super::message::Message;
use super::ranks::Exchange;
use super::tree::{broadcast, depth, gather};
use crate::error::{RankError, Result};
use std::time::Instant;

/// A vector goes from rank 0 to all, and all of them come back added up: the seconds that it took. On rank 0; the
/// others [answer](answer_round_trips).
///
/// # Errors
/// [`Error::Rank`](crate::error::Error::Rank), where what comes back is not the sum as well; so for all here.
pub fn round_trip(exchange: &dyn Exchange, words: usize) -> Result<f64> {
    let vector: Vec<u32> = (0..words).map(|i| (i % 1000) as u32).collect();
    let start = Instant::now();
    let said = broadcast(exchange, Some(Message::new(&true, &[&vector])))?;
    let all = answered(exchange, &said)?.unwrap_or_default();
    let seconds = start.elapsed().as_secs_f64();
    let ranks = exchange.ranks() as u32;
    if all.len() != words || all.iter().zip(&vector).any(|(sum, value)| *sum != ranks * value) {
        return Err(RankError::Message { why: "a sum over ranks is not their sum".to_owned() }.into());
    }
    Ok(seconds)
}

fn answered(exchange: &dyn Exchange, said: &Message) -> Result<Option<Vec<u32>>> {
    let read = |message: &Message| {
        let (_, parts) = message.parts::<bool>()?;
        Ok(parts.first().map_or(Vec::new(), |part| part.to_vec()))
    };
    let join = |mut left: Vec<u32>, right: Vec<u32>| {
        left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
        left
    };
    gather(exchange, read(said)?, |own| Message::new(&true, &[own]), read, join)
}

/// Answers round trips until rank 0 says that it is over.
///
/// # Errors
/// As [`round_trip`].
pub fn answer_round_trips(exchange: &dyn Exchange) -> Result<()> {
    loop {
        let said = broadcast(exchange, None)?;
        if !said.parts::<bool>()?.0 {
            return Ok(());
        }
        answered(exchange, &said)?;
    }
}

/// Says that it is over.
///
/// # Errors
/// As [`round_trip`].
pub fn end_round_trips(exchange: &dyn Exchange) -> Result<()> {
    broadcast(exchange, Some(Message::new(&false, &[]))).map(drop)
}

/// t = 2 ⌈log₂ n⌉ (α + bytes/β): messages follow one another down the tree and up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExchangeCost {
    /// Seconds of a message of no length.
    pub alpha: f64,
    /// Bytes a second.
    pub beta: f64,
}

impl ExchangeCost {
    /// Messages one after another of a round trip on so many ranks.
    pub fn messages(ranks: usize) -> f64 {
        2.0 * f64::from(depth(ranks))
    }

    /// By least squares of the relative errors, from (bytes, seconds) of round trips on so many ranks.
    pub fn fit(ranks: usize, measured: &[(f64, f64)]) -> Self {
        let messages = Self::messages(ranks);
        // Σ ((α + γ b) / s − 1)², s being a message's seconds, γ = 1/β: two linear equations
        let of = |f: &dyn Fn(f64, f64) -> f64| measured.iter().map(|&(b, t)| f(b, t / messages)).sum::<f64>();
        let (aa, ab, bb) = (of(&|_, s| s.powi(-2)), of(&|b, s| b / (s * s)), of(&|b, s| (b / s).powi(2)));
        let (a, b) = (of(&|_, s| 1.0 / s), of(&|b, s| b / s));
        let determinant = aa * bb - ab * ab;
        let (alpha, gamma) = ((a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant);
        Self { alpha: alpha.max(0.0), beta: 1.0 / gamma }
    }

    /// Seconds of a round trip of so many bytes on so many ranks.
    pub fn seconds(&self, ranks: usize, bytes: f64) -> f64 {
        Self::messages(ranks) * (self.alpha + bytes / self.beta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_what_the_times_were_made_of() {
        let cost = ExchangeCost { alpha: 2e-5, beta: 1.25e9 };
        for ranks in [2, 3, 8, 1000] {
            let measured: Vec<_> = [4.0, 4e3, 1e5, 1e7].map(|bytes| (bytes, cost.seconds(ranks, bytes))).to_vec();
            let found = ExchangeCost::fit(ranks, &measured);
            assert!((found.alpha / cost.alpha - 1.0).abs() < 1e-6, "{found:?}");
            assert!((found.beta / cost.beta - 1.0).abs() < 1e-6, "{found:?}");
        }
        assert_eq!([2, 3, 4, 5, 8, 1024].map(ExchangeCost::messages), [2.0, 4.0, 4.0, 6.0, 6.0, 20.0]);
    }
}
