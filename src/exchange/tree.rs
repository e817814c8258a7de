//! What goes to all ranks and what comes from all, along a binomial tree.

use super::message::Message;
use super::ranks::Exchange;
use crate::error::Result;

/// ⌈log₂ n⌉: messages one after another from rank 0 to the last to be told, and the ranks that it tells itself.
pub fn depth(ranks: usize) -> u32 {
    ranks.next_power_of_two().trailing_zeros()
}

/// The distance to the rank that this one is told by, if any: its lowest bit. It tells those that are nearer.
fn distance(rank: usize, ranks: usize) -> usize {
    if rank == 0 { ranks.next_power_of_two() } else { 1 << rank.trailing_zeros() }
}

/// The ranks that a rank tells, the nearest first: each stands for itself and all up to the next one.
fn children(rank: usize, ranks: usize) -> impl DoubleEndedIterator<Item = usize> {
    let bits = distance(rank, ranks).trailing_zeros();
    (0..bits).map(move |bit| rank + (1 << bit)).filter(move |&child| child < ranks)
}

/// What rank 0 says, on all ranks.
///
/// # Errors
/// As [`Exchange::send`].
///
/// # Panics
/// When rank 0 says nothing.
pub fn broadcast(exchange: &dyn Exchange, said: Option<Message>) -> Result<Message> {
    let (rank, ranks) = (exchange.rank(), exchange.ranks());
    let message = match rank {
        0 => said.expect("rank 0 says something"),
        _ => Message::of(exchange.receive(rank - distance(rank, ranks))?),
    };
    children(rank, ranks).rev().try_for_each(|child| exchange.send(child, message.words()))?;
    Ok(message)
}

/// What all ranks answer, joined in the order of ranks along the tree, on rank 0. On the others nothing.
///
/// # Errors
/// As [`Exchange::send`], and what reading an answer says.
pub fn gather<T>(
    exchange: &dyn Exchange,
    own: T,
    to: impl Fn(&T) -> Message,
    from: impl Fn(&Message) -> Result<T>,
    join: impl Fn(T, T) -> T,
) -> Result<Option<T>> {
    let (rank, ranks) = (exchange.rank(), exchange.ranks());
    let mut all = own;
    for child in children(rank, ranks) {
        all = join(all, from(&Message::of(exchange.receive(child)?))?);
    }
    if rank == 0 {
        return Ok(Some(all));
    }
    exchange.send(rank - distance(rank, ranks), to(&all).words())?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ranks::Alone;

    #[test]
    fn every_rank_is_told_once_and_by_one_that_was_told_before() {
        for ranks in 1..70 {
            let mut told_by = vec![None; ranks];
            for rank in 0..ranks {
                for child in children(rank, ranks) {
                    assert_eq!(told_by[child].replace(rank), None, "{child} of {ranks}");
                    assert_eq!(child - distance(child, ranks), rank);
                }
            }
            assert!(told_by[0].is_none() && told_by[1..].iter().all(Option::is_some), "{ranks}: {told_by:?}");
        }
    }

    #[test]
    fn answers_are_joined_in_the_order_of_ranks() {
        fn joined(rank: usize, ranks: usize) -> Vec<usize> {
            children(rank, ranks).fold(vec![rank], |all, child| [all, joined(child, ranks)].concat())
        }
        for ranks in 1..40 {
            assert_eq!(joined(0, ranks), (0..ranks).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_is_alone_hears_itself() {
        let said = Message::new(&1, &[]);
        assert_eq!(broadcast(&Alone, Some(said.clone())).unwrap(), said);
        let of = |_: &Message| unreachable!();
        assert_eq!(gather(&Alone, 3, |_| unreachable!(), of, |_, _| unreachable!()).unwrap(), Some(3));
    }
}
