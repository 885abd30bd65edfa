//! The memory of processes, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};

/// What a process has now, in megabytes of 10^6 bytes.
pub fn resident(process: i32) -> Result<f64> {
    field(process, "VmRSS:")
}

/// The most that it ever had.
pub fn highest(process: i32) -> Result<f64> {
    field(process, "VmHWM:")
}

fn field(process: i32, name: &str) -> Result<f64> {
    let file = format!("/proc/{process}/status");
    let status = fs::read_to_string(&file).with_context(|| file.clone())?;
    let line = status.lines().find_map(|it| it.strip_prefix(name));
    let kib =
        line.and_then(|it| it.trim().strip_suffix(" kB")).with_context(|| format!("{name} of {file}"))?;
    Ok(kib.parse::<f64>()? * 1024.0 / 1e6)
}
