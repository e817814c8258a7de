//! A message: a head, which serde writes, and arrays of words after it.

use crate::error::{RankError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A head and arrays of words: lengths in front, then the head as JSON, then the arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    words: Vec<u32>,
}

/// Words in front: the bytes of the head, and the number of arrays.
const FRONT: usize = 2;

impl Message {
    /// Of a head and arrays.
    ///
    /// # Panics
    /// When the head cannot be written as JSON, or something has 2³² words.
    pub fn new(head: &impl Serialize, arrays: &[&[u32]]) -> Self {
        let head = serde_json::to_vec(head).expect("a head has names for all that it holds");
        let count = |of: usize| u32::try_from(of).expect("an array is counted by a word");
        let all = arrays.iter().map(|array| array.len()).sum::<usize>();
        let mut words = Vec::with_capacity(FRONT + arrays.len() + head.len().div_ceil(4) + all);
        words.extend([count(head.len()), count(arrays.len())]);
        words.extend(arrays.iter().map(|array| count(array.len())));
        words.extend(head.chunks(4).map(|bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            u32::from_le_bytes(word)
        }));
        arrays.iter().for_each(|array| words.extend_from_slice(array));
        Self { words }
    }

    /// Of words that were sent.
    pub fn of(words: Vec<u32>) -> Self {
        Self { words }
    }

    /// All of it.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The head, and the arrays in their order.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank) when it is no message of this kind.
    pub fn parts<H: DeserializeOwned>(&self) -> Result<(H, Vec<&[u32]>)> {
        let broken = |why: &str| RankError::Message { why: why.to_owned() };
        let (front, rest) = self.words.split_at_checked(FRONT).ok_or_else(|| broken("it is too short"))?;
        let (bytes, arrays) = (front[0] as usize, front[1] as usize);
        let (lens, rest) = rest.split_at_checked(arrays).ok_or_else(|| broken("lengths are missing"))?;
        let (head, mut rest) = rest.split_at_checked(bytes.div_ceil(4)).ok_or_else(|| broken("its head is cut off"))?;
        let head: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).take(bytes).collect();
        let head = serde_json::from_slice(&head).map_err(|e| broken(&e.to_string()))?;
        let mut parts = Vec::with_capacity(arrays);
        for &len in lens {
            let (part, after) = rest.split_at_checked(len as usize).ok_or_else(|| broken("an array is cut off"))?;
            parts.push(part);
            rest = after;
        }
        Ok((head, parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        for (head, arrays) in
            [("", vec![]), ("abcd", vec![vec![]]), ("ünevenly", vec![vec![1, u32::MAX], vec![7; 257]])]
        {
            let views: Vec<&[u32]> = arrays.iter().map(|array: &Vec<u32>| &array[..]).collect();
            let sent = Message::new(&head, &views);
            let arrived = Message::of(sent.words().to_vec());
            let (found, parts): (String, _) = arrived.parts().unwrap();
            assert_eq!((&found[..], parts), (head, views));
        }
    }

    #[test]
    fn a_message_that_is_cut_off_anywhere_is_refused() {
        let whole = Message::new(&"a head", &[&[1, 2, 3], &[4]]);
        for len in 0..whole.words().len() {
            let cut = Message::of(whole.words()[..len].to_vec());
            assert!(cut.parts::<String>().is_err(), "{len} words");
        }
        assert!(whole.parts::<u8>().unwrap_err().to_string().contains("message"), "a head of another kind");
    }
}
