//! `gpu-subset data fetch`

use super::download::{Fetched, agent, fetch, length, missing};
use super::output::{say, show};
use super::published::{CIFAR_10, CIFAR_100, FASHION_MNIST, KMNIST, MNIST, PublishedSet, RemoteFile};
use crate::data::unpack;
use crate::error::{Error, IoError, Result};
use crate::files::remove;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs;
use std::path::{Path, PathBuf};
use ureq::{Agent, Proxy};

#[derive(Args)]
pub(super) struct FetchArgs {
    /// Which one
    #[arg(value_enum)]
    set: SetName,
    /// Folder to put it into, which --data then names; it is made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Fetch from this address, a folder that holds the files, in place of the published ones
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SetName {
    /// Handwritten digits, 28×28, grey: 60,000 and 10,000 (11 MB)
    Mnist,
    /// Clothes, 28×28, grey: 60,000 and 10,000 (30 MB)
    FashionMnist,
    /// Cursive Japanese characters, 28×28, grey: 60,000 and 10,000 (20 MB)
    Kmnist,
    /// Photographs of 10 classes, 32×32, in colour: 50,000 and 10,000 (170 MB)
    #[value(name = "cifar-10")]
    Cifar10,
    /// Photographs of 100 classes, 32×32, in colour: 50,000 and 10,000 (169 MB)
    #[value(name = "cifar-100")]
    Cifar100,
}

impl SetName {
    fn published(self) -> &'static PublishedSet {
        match self {
            Self::Mnist => &MNIST,
            Self::FashionMnist => &FASHION_MNIST,
            Self::Kmnist => &KMNIST,
            Self::Cifar10 => &CIFAR_10,
            Self::Cifar100 => &CIFAR_100,
        }
    }
}

pub(super) fn run(args: &FetchArgs) -> anyhow::Result<()> {
    let (set, folder) = (args.set.published(), args.folder.as_path());
    fs::create_dir_all(folder).map_err(|e| Error::io("creating", folder, e))?;
    let is_there = |(name, bytes): &(&str, u64)| length(&folder.join(name)) == Some(*bytes);
    if set.unpacked.is_empty() || !set.unpacked.iter().all(is_there) {
        let published = || set.mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
        let mirrors = if args.mirror.is_empty() { published() } else { args.mirror.clone() };
        let agent = agent(Proxy::try_from_env());
        set.files.iter().try_for_each(|file| fetch_one(&agent, file, &mirrors, set, folder))?;
        if !set.unpacked.is_empty() {
            unpack_all(set, folder)?;
        }
    }
    show!("{}", folder.display())?;
    Ok(())
}

/// Fetches a file and says how that went.
fn fetch_one(agent: &Agent, file: &RemoteFile, mirrors: &[String], set: &PublishedSet, folder: &Path) -> Result<()> {
    let bar = ProgressBar::with_draw_target(Some(file.bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:24} {bytes} of {total_bytes} {msg} eta {eta}");
    bar.set_style(style.expect("a constant template"));
    bar.set_message(file.name);
    if bar.is_hidden() {
        say!("{}: {} bytes", file.name, file.bytes);
    }
    let fetched = fetch(agent, file, mirrors, folder, &mut |have| bar.set_position(have));
    bar.finish_and_clear();
    match fetched? {
        Fetched::Already => say!("{}: there already", file.name),
        Fetched::From(address) => say!("{}: fetched from {address}", file.name),
        Fetched::Not(faults) => {
            let path = folder.join(file.name);
            return Err(IoError::Fetch { path, faults, missing: missing(set.files, folder) }.into());
        }
    }
    Ok(())
}

/// Unpacks the archives, which are needed no more.
fn unpack_all(set: &PublishedSet, folder: &Path) -> Result<()> {
    for file in set.files {
        let archive = folder.join(file.name);
        say!("unpacking {}", archive.display());
        unpack(&archive, folder)?;
        remove(&archive)?;
    }
    Ok(())
}
