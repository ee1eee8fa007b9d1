//! What a run measured, as text and as JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The figures of one run. Times are microseconds.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// What was done.
    pub what: String,
    /// How many did it at once.
    pub clients: usize,
    /// For how long.
    pub seconds: f64,
    /// How often it was done well.
    pub done: u64,
    /// How often a second.
    pub per_second: f64,
    /// Half took no longer than this.
    pub p50_us: u64,
    /// Ninety-nine of a hundred took no longer than this.
    pub p99_us: u64,
    /// None took longer than this.
    pub max_us: u64,
    /// How often it went wrong.
    pub errors: u64,
    /// The first few of what went wrong.
    pub first_errors: Vec<String>,
}

impl Figures {
    /// From what was recorded, in microseconds.
    pub fn new(what: &str, clients: usize, span: Duration, times: &Histogram<u64>) -> Self {
        let seconds = span.as_secs_f64();
        Self {
            what: what.to_owned(),
            clients,
            seconds,
            done: times.len(),
            per_second: times.len() as f64 / seconds,
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
            max_us: times.max(),
            errors: 0,
            first_errors: Vec::new(),
        }
    }

    /// Prints them.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!(
            "{}: {:.0} a second with {} at once for {:.1} s; p50 {} µs, p99 {} µs, max {} µs; {} errors",
            self.what,
            self.per_second,
            self.clients,
            self.seconds,
            self.p50_us,
            self.p99_us,
            self.max_us,
            self.errors
        );
        for error in &self.first_errors {
            println!("  {error}");
        }
        Ok(())
    }
}

/// An empty record of times from 1 µs to a minute.
pub fn times() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
