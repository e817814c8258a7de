//! Fetching from a server on this machine, which may cut off, refuse, or have another file.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

const NAME: &str = "images.gz";

/// How the server answers a request.
#[derive(Clone, Copy)]
enum Answer {
    Whole,
    /// So many bytes of what was asked for, of which it announces all.
    Cut(usize),
    /// The whole file, whatever part was asked for.
    NoRanges,
    /// Another file of the same length.
    Other,
    /// Another file, of ten bytes.
    Short,
    Missing,
}

/// A server that gives these answers, one a request; its address, and the ranges that were asked for.
fn serve(content: &[u8], answers: &[Answer]) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/folder/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (content, answers, log) = (content.to_vec(), answers.to_vec(), Arc::clone(&asked));
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut range = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                let of_range = line.strip_prefix("range: bytes=").and_then(|rest| rest.strip_suffix('-'));
                range = range.or(of_range.map(|from| from.parse::<usize>().unwrap()));
            }
            log.lock().unwrap().push(range);
            let from = range.filter(|_| !matches!(answer, Answer::NoRanges)).unwrap_or(0);
            let mut body = content[from..].to_vec();
            body.truncate(if matches!(answer, Answer::Short) { 10 } else { body.len() });
            let status = match (answer, from) {
                (Answer::Missing, _) => "404 Not Found",
                (_, 0) => "200 OK",
                _ => "206 Partial Content",
            };
            let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            if from > 0 {
                head += &format!("Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
            }
            match answer {
                Answer::Cut(count) => body.truncate(count),
                Answer::Other => body[0] ^= 1,
                _ => {}
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            _ = stream.shutdown(Shutdown::Both);
        }
    });
    (address, asked)
}

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|i| (i * i % 251) as u8).collect()
}

fn remote(content: &[u8]) -> RemoteFile {
    let sha256 = hex(&Sha256::digest(content)).leak();
    RemoteFile { name: NAME, bytes: content.len() as u64, sha256 }
}

fn fetch_into(folder: &Path, file: &RemoteFile, mirrors: &[&str]) -> Fetched {
    let mirrors: Vec<String> = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    fetch(&agent(None), file, &mirrors, folder, &mut |_| {}).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_was_cut_off_goes_on_where_it_ended() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let file = remote(&content);
    let (address, asked) = serve(&content, &[Answer::Cut(70_000), Answer::Cut(50_000), Answer::Whole]);
    assert_eq!(fetch_into(folder.path(), &file, &[&address]), Fetched::From(format!("{address}{NAME}")));
    assert_eq!(*asked.lock().unwrap(), [None, Some(70_000), Some(120_000)]);
    assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), content);
    assert_eq!(names(folder.path()), [NAME]);
    assert_eq!(fetch_into(folder.path(), &file, &[]), Fetched::Already);
}

#[test]
fn what_an_earlier_process_left_is_gone_on_with() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let partial = folder.path().join(format!("{NAME}.partial"));
    fs::write(&partial, &content[..1000]).unwrap();
    let (address, asked) = serve(&content, &[Answer::Cut(0)]);
    let Fetched::Not(faults) = fetch_into(folder.path(), &remote(&content), &[&address]) else { panic!("cut off") };
    assert!(faults[0].contains("cut off after 1000 of 200000 bytes"), "{faults:?}");
    assert_eq!((fs::read(&partial).unwrap().len(), &asked.lock().unwrap()[..]), (1000, &[Some(1000)][..]));
    // a server that knows no ranges begins anew
    let (address, _) = serve(&content, &[Answer::NoRanges]);
    assert!(matches!(fetch_into(folder.path(), &remote(&content), &[&address]), Fetched::From(_)));
    assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), content);
    // and what was wrong already is fetched once more
    fs::remove_file(folder.path().join(NAME)).unwrap();
    fs::write(&partial, vec![7; 150_000]).unwrap();
    let (address, asked) = serve(&content, &[Answer::Whole, Answer::Whole]);
    assert!(matches!(fetch_into(folder.path(), &remote(&content), &[&address]), Fetched::From(_)));
    assert_eq!(*asked.lock().unwrap(), [Some(150_000), None]);
}

#[test]
fn the_next_mirror_is_tried_where_one_has_another_file_or_none() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let file = remote(&content);
    let (other, _) = serve(&content, &[Answer::Other]);
    let (missing, _) = serve(&content, &[Answer::Missing]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let (short, _) = serve(&content, &[Answer::Short]);
    let mirrors = [other.as_str(), &missing, &closed, &short];
    let Fetched::Not(faults) = fetch_into(folder.path(), &file, &mirrors) else { panic!("none of them has it") };
    assert!(faults.len() == 4 && faults[3].contains("a file of 10 bytes in place of 200000"), "{faults:?}");
    assert!(faults[0].contains(&format!("in place of {}", file.sha256)), "{faults:?}");
    assert!(faults[1].contains("HTTP status 404") && faults[2].starts_with(&closed), "{faults:?}");
    assert!(names(folder.path()).is_empty(), "nothing that is wrong stays");
    assert_eq!(super::missing(&[file], folder.path()), [folder.path().join(NAME)]);

    let (other, _) = serve(&content, &[Answer::Other]);
    let (whole, _) = serve(&content, &[Answer::Whole]);
    assert_eq!(fetch_into(folder.path(), &file, &[&other, &whole]), Fetched::From(format!("{whole}{NAME}")));
}
