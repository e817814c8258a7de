//! Ctrl-C and SIGTERM. Until there is something to save they end the process; after that they ask for an end, and only
//! the second ends it at once.

use super::output::say;
use crate::device::Interrupt;
#[cfg(unix)]
use nix::sys::signal::{Signal, kill};
#[cfg(unix)]
use nix::unistd::Pid;
#[cfg(unix)]
use signal_hook::consts::{SIGINT, SIGTERM};
#[cfg(unix)]
use signal_hook::iterator::Signals;
use std::process::Child;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The exit code of a process that was told to stop.
pub(super) const STOPPED: u8 = 130;

/// What a signal asks to come to an end, once there is something to save.
static HELD: OnceLock<Interrupt> = OnceLock::new();

/// Whether another process says what there is to say, and when it is over.
static IS_LED: AtomicBool = AtomicBool::new(false);

/// A process that is led ends so long after a signal if nobody has told it that it is over.
const LINGERS: Duration = Duration::from_secs(20);

/// Heeds signals from now on. A closed terminal (SIGHUP) is not among them, so that `nohup` does what it is for.
pub(super) fn watch() {
    if let Err(e) = listen() {
        tracing::warn!("Ctrl-C will end the process without a word: {e}");
    }
}

#[cfg(unix)]
fn listen() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = std::thread::Builder::new().name("signals".to_owned());
    listener.spawn(move || signals.forever().for_each(|_| on_signal())).map(drop)
}

#[cfg(not(unix))]
fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(on_signal)
}

/// There is something to save from now on: a signal asks for an end, and whoever has the interrupt sees to it.
pub(super) fn hold() -> Interrupt {
    HELD.get_or_init(Interrupt::default).clone()
}

/// The same of a process that another leads: that one saves what there is and says so.
pub(super) fn hold_led() -> Interrupt {
    IS_LED.store(true, Ordering::Relaxed);
    hold()
}

fn on_signal() {
    if IS_LED.load(Ordering::Relaxed) {
        return on_signal_while_led();
    }
    match HELD.get() {
        Some(interrupt) if !interrupt.is_asked() => {
            interrupt.ask();
            say!("stopping; again to stop at once");
        }
        held => {
            if held.is_none() {
                say!("error: stopped before there was anything to save");
            }
            end();
        }
    }
}

fn on_signal_while_led() {
    let interrupt = hold();
    if interrupt.is_asked() {
        return;
    }
    interrupt.ask();
    let ending = std::thread::Builder::new().name("ending".to_owned()).spawn(|| {
        std::thread::sleep(LINGERS);
        end()
    });
    if ending.is_err() {
        end();
    }
}

/// Ends the process as a signal would: what the C library does at an exit would meet a driver at work.
#[cfg(unix)]
pub(super) fn end() -> ! {
    signal_hook::low_level::exit(STOPPED.into())
}

#[cfg(not(unix))]
pub(super) fn end() -> ! {
    std::process::exit(STOPPED.into())
}

/// Asks a process of ours to stop, as the shell would.
#[cfg(unix)]
pub(super) fn terminate(child: &Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        kill(Pid::from_raw(id), Signal::SIGTERM).ok(); // it may have come to its end
    }
}

/// Ctrl-C reaches all processes of a console by itself.
#[cfg(not(unix))]
pub(super) fn terminate(_: &Child) {}
