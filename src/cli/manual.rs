//! `gpu-subset completions` and `gpu-subset man`: what is known of the options, for shells and for `man`.

use super::output::{show, written};
use crate::error::Error;
use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell; `eval "$(gpu-subset completions bash)"` in its start file
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args)]
pub(super) struct ManArgs {
    /// Folder to write them into, one like ~/.local/share/man/man1; it is made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(&script).and_then(|()| stdout.flush()))?;
    Ok(())
}

pub(super) fn pages(args: &ManArgs, command: Command) -> Result<()> {
    let failed = |error| Error::io("writing", &args.folder, error);
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), &args.folder).map_err(failed)?;
    show!("{}", args.folder.display())?;
    Ok(())
}
