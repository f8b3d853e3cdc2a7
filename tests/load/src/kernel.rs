//! What the kernel says of a process: its CPU time, its memory, its sockets.

use std::collections::HashMap;
use std::fs::read_to_string;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// Ticks per second of `/proc/PID/stat`: 100 on every Linux that a user meets (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process and all its children, ended ones too, have used.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let mut ticks = ticks(pid).unwrap_or_default().1;
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for child in folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some((parent, own)) = self::ticks(child)
            && parent == pid
        {
            ticks += own;
        }
    }
    ticks as f64 / TICKS_PER_SECOND
}

/// The parent of a process, and its user, system and ended children's time (`man 5 proc`).
fn ticks(pid: u32) -> Option<(u32, u64)> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold spaces; what follows it begins with the third field.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let times = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok());
    Some((fields.get(1)?.parse().ok()?, times.sum()))
}

/// Bytes of a process: its own pages, and its share of those that others use as well.
pub(crate) fn pss_bytes(pid: u32) -> anyhow::Result<u64> {
    let rollup = read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no Pss")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// The most that a process has had in memory, in bytes.
pub(crate) fn peak_rss_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// Bytes of a process, when they no longer change: allocators give memory back a while after it was freed.
pub(crate) fn settled_pss_bytes(pid: u32) -> anyhow::Result<u64> {
    let mut lowest = pss_bytes(pid)?;
    let mut quiet = 0;
    for _ in 0..60 {
        services::pause(Duration::from_millis(500));
        let now = pss_bytes(pid)?;
        quiet = if now.abs_diff(lowest) * 200 < lowest { quiet + 1 } else { 0 };
        lowest = now;
        if quiet >= 6 {
            break;
        }
    }
    Ok(lowest)
}

/// Files that a process holds open, sockets among them.
pub(crate) fn open_files(pid: u32) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Kernel memory of a server's open connections, in bytes: what waits to be sent, by the port
/// of the peer.
pub(crate) fn send_memory(port: u16) -> anyhow::Result<HashMap<u16, u64>> {
    let output = Command::new("ss")
        .args(["-tmnHO", "state", "established", &format!("sport = :{port}")])
        .output()
        .context("run ss")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(socket_memory).collect())
}

/// `0 0 127.0.0.1:80 127.0.0.1:4000 skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0)`: `r`, `t`,
/// `f` and `w` are what is held.
fn socket_memory(line: &str) -> Option<(u16, u64)> {
    let peer = line.split_whitespace().nth(3)?.rsplit(':').next()?.parse().ok()?;
    let (_, memory) = line.split_once("skmem:(")?;
    let held = |part: &str| {
        let number = part.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        let name = &part[..part.len() - number.len()];
        ["r", "f", "w"].contains(&name).then(|| number.parse::<u64>().ok())?
    };
    Some((peer, memory.trim_end_matches(')').split(',').filter_map(held).sum()))
}
