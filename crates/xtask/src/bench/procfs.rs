//! What Linux says about a process: CPU time and memory, from /proc.

use anyhow::{Context, Result};
use std::fs;

/// User plus system seconds of a process and all its threads, in steps of 10 ms.
pub fn cpu_s(pid: u32) -> Result<f64> {
    let fields = stat(pid)?;
    Ok((ticks(&fields, 11)? + ticks(&fields, 12)?) / TICKS_PER_SECOND)
}

/// User plus system seconds of the children a process has waited for: for a postmaster, of every
/// session and worker that has ended.
pub fn reaped_cpu_s(pid: u32) -> Result<f64> {
    let fields = stat(pid)?;
    Ok((ticks(&fields, 13)? + ticks(&fields, 14)?) / TICKS_PER_SECOND)
}

/// Milliseconds the main thread has run, in nanosecond steps where the kernel keeps them.
pub fn running_ms(pid: u32) -> Result<f64> {
    let exact = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok();
    let ns = exact.and_then(|s| s.split_whitespace().next()?.parse::<f64>().ok());
    match ns {
        Some(ns) => Ok(ns / 1e6),
        None => Ok(cpu_s(pid)? * 1e3),
    }
}

/// Bytes of a field of `status` that is given in kB, such as `VmHWM` or `RssAnon`.
pub fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_status(&text, field).with_context(|| format!("no {field} in the status of process {pid}"))
}

/// Process ids whose parent is `parent`.
pub fn children(parent: u32) -> Result<Vec<u32>> {
    let pids = fs::read_dir("/proc")?
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| stat(pid).is_ok_and(|f| f.get(1) == Some(&parent.to_string())))
        .collect();
    Ok(pids)
}

/// First model name of the processors, their number, and the load averages.
pub fn machine() -> (String, usize, String) {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU".into(), |(_, name)| name.to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    (model, std::thread::available_parallelism().map_or(1, usize::from), load)
}

/// Bytes of memory of the machine.
pub fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    parse_status(&text, "MemTotal").unwrap_or(4 << 30)
}

/// USER_HZ, which Linux fixes at 100 for user space on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The fields of `stat` after the command, which may hold blanks and parentheses: state is field 0.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("no command in stat")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], i: usize) -> Result<f64> {
    Ok(fields.get(i).context("stat is too short")?.parse()?)
}

fn parse_status(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_process() {
        let me = std::process::id();
        assert!(running_ms(me).unwrap() >= 0.0 && cpu_s(me).unwrap() >= 0.0);
        assert!(reaped_cpu_s(me).unwrap() >= 0.0);
        assert!(status_bytes(me, "VmHWM").unwrap() > 0);
        let parent = stat(me).unwrap()[1].parse().unwrap();
        assert!(children(parent).unwrap().contains(&me));
        assert!(status_bytes(me, "NoSuchField").is_err());
    }
}
