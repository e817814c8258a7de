//! The program as its users run it.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub fn gpu_subset() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-subset"));
    command.stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    gpu_subset().args(arguments).output().unwrap()
}

/// A run that fails with this code, one line on stderr that holds every fragment, and no panic.
#[track_caller]
pub fn refused(arguments: &[&str], code: i32, fragments: &[&str]) {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: one line that says what is wrong: {stderr}");
    for fragment in fragments {
        assert!(stderr.contains(fragment), "{arguments:?}: {fragment:?} not in {stderr}");
    }
    assert!(!stderr.contains("panicked") && !stderr.contains("stack backtrace"), "{stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}: nothing on stdout");
}

pub fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Starts a training into `out`, and ends it with this signal after its tenth step; how it ended.
///
/// On a machine that is busy the signal can come when the run is complete: then it is started anew, five times at most.
#[cfg(unix)]
pub fn stopped(options: &[&str], out: &Path, signal: &str) -> Option<i32> {
    for _ in 0..5 {
        let code = signalled(options, out, signal);
        if !out.join("run.json").exists() {
            let left: Vec<_> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            // between two renames there is only the checkpoint before the latest
            let kept = ["checkpoint.safetensors", "checkpoint.previous.safetensors"];
            assert!(left.iter().any(|name| kept.iter().any(|kept| name == kept)), "stopped in the middle: {left:?}");
            return code;
        }
        fs::remove_dir_all(out).unwrap();
    }
    panic!("each of five runs was complete before the signal came");
}

#[cfg(unix)]
fn signalled(options: &[&str], out: &Path, signal: &str) -> Option<i32> {
    use std::time::{Duration, Instant};
    let mut command = gpu_subset();
    command.args(options).args(["--out", out.to_str().unwrap()]).stderr(Stdio::null()).stdout(Stdio::null());
    let (mut child, start) = (command.spawn().unwrap(), Instant::now());
    while !fs::read_to_string(out.join("steps.jsonl")).is_ok_and(|steps| steps.lines().count() >= 10) {
        assert!(start.elapsed() < Duration::from_secs(120), "no tenth iteration");
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = format!("kill {signal} {}", child.id()); // the shell's own: a bare Debian has no other
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    child.wait().unwrap().code()
}
