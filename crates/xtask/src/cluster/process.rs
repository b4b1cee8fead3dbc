//! Signals to server processes.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::Shutdown;

fn pid_of(id: u32) -> Result<Pid> {
    Pid::from_raw(i32::try_from(id)?).context("process id 0")
}

/// Asks a postmaster to end.
pub fn signal(id: u32, how: Shutdown) -> Result<()> {
    let signal = match how {
        Shutdown::Fast => Signal::INT,
        Shutdown::Immediate => Signal::QUIT,
    };
    kill_process(pid_of(id)?, signal).with_context(|| format!("signalling process {id}"))
}

/// Ends a process without a chance to clean up.
pub fn kill(id: u32) -> Result<()> {
    kill_process(pid_of(id)?, Signal::KILL).with_context(|| format!("killing process {id}"))
}

/// Kills a postmaster and every child it has. The postmaster is held still meanwhile, so that it
/// neither starts new children nor tells the living about the dead.
pub fn kill_family(postmaster: u32) -> Result<()> {
    kill_process(pid_of(postmaster)?, Signal::STOP)?;
    wait_still(postmaster)?;
    let children = children_of(postmaster)?;
    for &child in &children {
        // A child may have ended by itself since.
        let _ = kill(child);
    }
    kill(postmaster)?;
    for child in children {
        wait_gone(child)?;
    }
    Ok(())
}

/// Waits until a stopped process stands still: until then it may be in the middle of starting a child.
fn wait_still(id: u32) -> Result<()> {
    let begin = Instant::now();
    while stat(id).is_some_and(|(state, _)| !matches!(state, 'T' | 'Z')) {
        if begin.elapsed() > Duration::from_secs(30) {
            bail!("process {id} does not stop");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits until a process runs no more (it may remain as an entry nobody has collected).
pub fn wait_gone(id: u32) -> Result<()> {
    let begin = Instant::now();
    while test_kill_process(pid_of(id)?).is_ok() && !is_zombie(id) {
        if begin.elapsed() > Duration::from_secs(30) {
            bail!("process {id} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Its first thread may have ended while others still hold its memory: those of a build do.
fn is_zombie(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
    threads <= 1 && stat(id).is_some_and(|(state, _)| state == 'Z')
}

fn children_of(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc is needed to find a server's processes")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse().ok()) else { continue };
        if stat(id).is_some_and(|(_, ppid)| ppid == parent) {
            children.push(id);
        }
    }
    Ok(children)
}

/// State letter and parent of a process. The name before them may hold any character, also `)`.
fn stat(id: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
