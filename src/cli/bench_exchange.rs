//! `gpu-subset bench exchange`, under `mpirun` or `srun`

use super::output::show;
use super::ranks::Ranks;
use crate::error::Error;
use crate::exchange::{ExchangeCost, answer_round_trips, end_round_trips, round_trip};
use anyhow::Result;
use serde::Serialize;

/// Words of a vector: from a number to the parameters of a large network.
const WORDS: [usize; 6] = [1, 1000, 10_000, 43_000, 300_000, 3_000_000];

/// Round trips before those that are timed.
const WARM_UP: usize = 3;

/// A vector's way to all ranks and back.
#[derive(Serialize)]
struct RoundTrip {
    bytes: usize,
    seconds: f64,
    modelled: f64,
}

/// What exchanges cost.
#[derive(Serialize)]
struct Exchanges {
    ranks: usize,
    alpha: f64,
    beta: f64,
    round_trips: Vec<RoundTrip>,
}

pub(super) fn run(repetitions: usize, json: bool) -> Result<()> {
    let mut ranks = Ranks::join()?;
    let exchange = ranks.team().exchange().clone();
    if ranks.team().is_alone() {
        return Err(Error::usage("bench exchange: one rank has nobody to exchange with; start it with mpirun").into());
    }
    if ranks.are_led() {
        answer_round_trips(&*exchange)?;
        ranks.end_quietly();
        return Ok(());
    }
    let median = |words: usize| {
        let times = (0..WARM_UP + repetitions).map(|_| round_trip(&*exchange, words));
        let mut times: Vec<f64> = times.skip(WARM_UP).collect::<crate::error::Result<_>>()?;
        times.sort_by(f64::total_cmp);
        crate::error::Result::Ok((4.0 * words as f64, times[times.len() / 2]))
    };
    let measured = WORDS.into_iter().map(median).collect::<crate::error::Result<Vec<_>>>();
    end_round_trips(&*exchange)?;
    ranks.end_quietly();
    let measured = measured?;
    let count = exchange.ranks();
    let cost = ExchangeCost::fit(count, &measured);
    let round_trips = measured.iter().map(|&(bytes, seconds)| RoundTrip {
        bytes: bytes as usize,
        seconds,
        modelled: cost.seconds(count, bytes),
    });
    let found = Exchanges { ranks: count, alpha: cost.alpha, beta: cost.beta, round_trips: round_trips.collect() };
    if json {
        return Ok(show!("{}", serde_json::to_string_pretty(&found)?)?);
    }
    show!("{count} ranks: a vector to all of them and back, added up")?;
    show!("{:>12} {:>12} {:>12}", "bytes", "median, ms", "model, ms")?;
    for RoundTrip { bytes, seconds, modelled } in &found.round_trips {
        show!("{bytes:>12} {:>12.3} {:>12.3}", 1e3 * seconds, 1e3 * modelled)?;
    }
    let (microseconds, rate) = (1e6 * found.alpha, 1e-9 * found.beta);
    Ok(show!("a message: α = {microseconds:.1} µs, β = {rate:.2} GB/s; a round trip is {} of them", {
        ExchangeCost::messages(count)
    })?)
}
