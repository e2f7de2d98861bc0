//! What the kernel knows of a process.

use std::net::SocketAddr;

use anyhow::Context as _;

/// Nanoseconds of processor that the threads of a process took.
pub(super) fn cpu(id: u32) -> anyhow::Result<u64> {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end while we look.
        let Ok(line) = std::fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let ran = line.split_whitespace().next().context("schedstat")?;
        all += ran.parse::<u64>()?;
    }
    Ok(all)
}

/// Bytes of a process that are in memory.
pub(super) fn resident(id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kilobytes = line.context("VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<u64>()? * 1_024)
}

/// Datagrams that the kernel dropped because a socket on one of those ports was full.
pub(super) fn dropped(ports: &[SocketAddr]) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let table = table + &std::fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    let rows = table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let port = words.get(1)?.rsplit(':').next()?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let ours = ports.iter().any(|p| p.port() == port);
        ours.then(|| words.last()?.parse::<u64>().ok()).flatten()
    });
    rows.sum()
}
