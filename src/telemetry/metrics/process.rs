//! Metrics of the process from the operating system.

use crate::telemetry::instruments::{BUILD, UPTIME};
use gatewright_sdk::metrics::{Observed, observe as series};
use std::sync::Arc;
use std::time::Instant;

pub(super) fn observe() -> Vec<Arc<Observed>> {
    let start = Instant::now();
    let version = vec![("service.version", env!("CARGO_PKG_VERSION").into())];
    let mut held = vec![series(&UPTIME, [], move || start.elapsed().as_secs_f64()), series(&BUILD, version, || 1.0)];
    held.extend(system::observe());
    held
}

#[cfg(target_os = "linux")]
mod system {
    use crate::telemetry::instruments::{CPU_TIME, DESCRIPTOR_LIMIT, DESCRIPTORS, MEMORY, THREADS};
    use gatewright_sdk::metrics::{Observed, number, observe as series};
    use procfs::process::{LimitValue, Process, Stat};
    use std::sync::Arc;

    /// Each reads its file when collected; values that cannot be read are reported as NaN.
    pub fn observe() -> Vec<Arc<Observed>> {
        vec![
            series(&CPU_TIME, [("cpu.mode", "user".into())], || stat(|stat| seconds(stat.utime))),
            series(&CPU_TIME, [("cpu.mode", "system".into())], || stat(|stat| seconds(stat.stime))),
            series(&MEMORY, [], || of(|me| Ok(number(me.statm()?.resident.saturating_mul(procfs::page_size()))))),
            series(&THREADS, [], || stat(|stat| stat.num_threads as f64)),
            series(&DESCRIPTORS, [], || of(|me| Ok(number(u64::try_from(me.fd_count()?).unwrap_or(u64::MAX))))),
            series(&DESCRIPTOR_LIMIT, [], || {
                of(|me| match me.limits()?.max_open_files.soft_limit {
                    LimitValue::Value(limit) => Ok(number(limit)),
                    LimitValue::Unlimited => Ok(f64::INFINITY),
                })
            }),
        ]
    }

    fn of(read: impl Fn(&Process) -> procfs::ProcResult<f64>) -> f64 {
        Process::myself().and_then(|me| read(&me)).unwrap_or(f64::NAN)
    }

    fn stat(read: impl Fn(&Stat) -> f64) -> f64 {
        of(|me| me.stat().map(|stat| read(&stat)))
    }

    fn seconds(ticks: u64) -> f64 {
        number(ticks) / number(procfs::ticks_per_second())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub fn observe() -> [std::sync::Arc<gatewright_sdk::metrics::Observed>; 0] {
        []
    }
}
