//! A file of events, as TensorBoard reads them: records of a length, a protobuf `Event` and a check sum of each
//! (`tensorflow/core/lib/io/record_writer.h`, `tensorflow/core/util/event.proto`).

use super::columns::LoggedStep;
use crate::error::{Error, Result};
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Added to a check sum that is turned, so that one of data with check sums in it is none of these.
const MASK: u32 = 0xa282_ead8;

/// What an event file begins with.
const VERSION: &str = "brain.Event:2";

/// `tensorflow.Event`
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The events of a run that is going on.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    /// When the run began, in seconds since 1970. Times count from there without the pauses between resumed parts.
    start: u64,
}

impl EventFile {
    /// An empty one, in the place of one that is there.
    ///
    /// # Errors
    /// [`Error::Io`]; so for the others.
    pub(super) fn new(path: PathBuf, start: u64) -> Result<Self> {
        let file = File::create(&path).map_err(|e| Error::io("writing", &path, e))?;
        let mut events = Self { path, file, start };
        let first = Event { wall_time: start as f64, file_version: Some(VERSION.to_owned()), ..Event::default() };
        events.write(&first)?;
        Ok(events)
    }

    /// Appends the scalars of a step.
    pub(super) fn append(&mut self, step: &LoggedStep<'_>) -> Result<()> {
        self.scalars(step, step.scalars())
    }

    /// Appends those of a stage that has ended with a step.
    pub(super) fn append_end(&mut self, step: &LoggedStep<'_>) -> Result<()> {
        self.scalars(step, step.scalars_of_stage())
    }

    fn scalars(&mut self, step: &LoggedStep<'_>, scalars: Vec<(&'static str, f64)>) -> Result<()> {
        let value = |(tag, value): (&str, f64)| SummaryValue { tag: tag.to_owned(), simple_value: Some(value as f32) };
        let summary = Summary { value: scalars.into_iter().map(value).collect() };
        self.write(&Event {
            wall_time: self.start as f64 + step.step.wall_seconds,
            step: i64::try_from(step.number).unwrap_or(i64::MAX),
            file_version: None,
            summary: Some(summary),
        })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let written = self.file.write_all(&framed(&event.encode_to_vec()));
        written.map_err(|e| Error::io("writing", &self.path, e))
    }
}

/// A record: length, its check sum, data, their check sum.
fn framed(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    [&len[..], &masked(&len).to_le_bytes(), data, &masked(data).to_le_bytes()].concat()
}

fn masked(data: &[u8]) -> u32 {
    CRC_32C.checksum(data).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The events of a file, each checked as a reader does.
    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut rest = bytes;
        let mut events = Vec::new();
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let len = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + len];
            assert_eq!((word(8), word(12 + len)), (masked(&rest[..8]), masked(data)));
            events.push(Event::decode(data).unwrap());
            rest = &rest[16 + len..];
        }
        events
    }

    #[test]
    fn records_are_those_of_tensorflow() {
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        // what the RecordWriter of TensorBoard 2.21 makes of "abc"
        let expected = [3, 0, 0, 0, 0, 0, 0, 0, 176, 153, 73, 14, 97, 98, 99, 110, 87, 241, 33];
        assert_eq!(framed(b"abc"), expected);
    }

    #[test]
    fn an_event_is_the_protobuf_of_its_fields() {
        let value = SummaryValue { tag: "a".to_owned(), simple_value: Some(0.5) };
        let event =
            Event { wall_time: 1.0, step: 3, file_version: None, summary: Some(Summary { value: vec![value] }) };
        let expected = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 3][..], // 1: a double, 2: a number
            &[0x2a, 10, 0x0a, 8],                               // 5: a summary of ten bytes, in it 1: a value of eight
            &[0x0a, 1, b'a', 0x15, 0, 0, 0, 0x3f],              // 1: a text, 2: a float
        ];
        assert_eq!(event.encode_to_vec(), expected.concat());
    }

    #[test]
    fn a_file_begins_with_its_version_and_is_replaced_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let step = serde_json::from_str(
            r#"{"stage":"full","examples":10,"iteration":1,"loss":null,"gradient_norm":0.5,"step_norm":0.1,
            "step_length":1.0,"evaluations":16,"restarted":false,"inner_iterations":0,
            "held_out":{"loss":0.25,"accuracy":0.5},"units":3.0,"cost_epochs":0.05,"wall_seconds":1.5}"#,
        )
        .unwrap();
        let stage = serde_json::from_str(
            r#"{"stage":"full","examples":10,"overdetermination":1,"iterations":1,"passes":1,"loss":0.5,
            "gradient_reduction":0.1,"test_accuracy":0.75,"test_loss":2.0,"stopped":"it was enough"}"#,
        )
        .unwrap();
        for _ in 0..2 {
            let mut events = EventFile::new(path.clone(), 100).unwrap();
            events.append(&LoggedStep { number: 7, step: &step, stage: None }).unwrap();
            events.append_end(&LoggedStep { number: 7, step: &step, stage: Some(&stage) }).unwrap();
        }
        let found = read(&fs::read(&path).unwrap());
        assert_eq!((found.len(), found[0].file_version.as_deref()), (3, Some(VERSION)));
        assert_eq!((found[1].wall_time, found[1].step, found[2].step), (101.5, 7, 7));
        let scalars = |event: &Event| -> Vec<(String, Option<f32>)> {
            let values = &event.summary.as_ref().unwrap().value;
            values.iter().map(|value| (value.tag.clone(), value.simple_value)).collect()
        };
        let of_step = scalars(&found[1]);
        assert!(of_step.contains(&("loss/held-out".to_owned(), Some(0.25))), "{of_step:?}");
        assert!(
            of_step.iter().all(|(tag, _)| tag != "loss/with weight decay" && !tag.ends_with("test")),
            "{of_step:?}"
        );
        let of_stage = [("loss/test", 2.0), ("accuracy/test", 0.75)];
        assert_eq!(scalars(&found[2]), of_stage.map(|(tag, value)| (tag.to_owned(), Some(value))));
    }
}
