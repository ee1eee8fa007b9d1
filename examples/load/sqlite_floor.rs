//! `load sqlite-floor`: the guarded update of a refresh by the bare driver. One thread, one
//! connection, one commit with `synchronous=FULL` for each batch.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, params};

use crate::figures::{Figures, times};

const UPDATE: &str = "UPDATE token_families SET generation = ?1, key_id = ?2, issued_at = ?3, \
     given_at = ?4, given_to = ?5, parent = ?6, parent_key_id = ?7, parent_given_at = ?8, \
     known_callers = ?9, written_at = ?10, row_version = ?11 \
     WHERE id = ?12 AND row_version = ?13 AND ended_at IS NULL";

#[derive(Debug, clap::Args)]
pub struct SqliteFloor {
    /// A database that `load seed` filled; no server may use it meanwhile
    #[arg(long)]
    file: PathBuf,
    /// Updates to a commit
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How many of the families are used
    #[arg(long, default_value_t = 1_000_000)]
    families: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl SqliteFloor {
    pub fn run(self) -> anyhow::Result<()> {
        let connection = Connection::open(&self.file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Whoever holds the newest generation of a family, in a random order.
        let mut families: Vec<(Vec<u8>, i64, i64)> = connection
            .prepare("SELECT id, generation, row_version FROM token_families WHERE ended_at IS NULL ORDER BY random() LIMIT ?1")?
            .query_map([i64::try_from(self.families)?], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        ensure!(!families.is_empty(), "the database holds no families");

        let mut times = times()?;
        let mut update = connection.prepare(UPDATE)?;
        let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
        let mut commit = connection.prepare("COMMIT")?;
        let start = Instant::now();
        let span = Duration::from_secs_f64(self.seconds);
        let (mut place, mut updates) = (0, 0_u64);
        while start.elapsed() < span {
            let begun = Instant::now();
            begin.execute([])?;
            for _ in 0..self.batch {
                let now = 1_800_000_000_000_i64 + i64::try_from(updates)?;
                let (id, generation, version) =
                    families.get_mut(place).context("no such family")?;
                let rows = update.execute(params![
                    *generation + 1,
                    1,
                    now,
                    now,
                    [1_u8; 8],
                    *generation,
                    1,
                    now,
                    [2_u8; 8],
                    now,
                    *version + 1,
                    &*id,
                    *version,
                ])?;
                ensure!(rows == 1, "a guarded update found no row");
                (*generation, *version) = (*generation + 1, *version + 1);
                updates += 1;
                place = (place + 1) % families.len();
            }
            commit.execute([])?;
            times.record(u64::try_from(begun.elapsed().as_micros())?.max(1))?;
        }
        let took = start.elapsed();
        let what = format!("guarded updates by the bare driver, {} to a commit", self.batch);
        let mut figures = Figures::new(&what, 1, took, &times);
        figures.done = updates;
        figures.per_second = updates as f64 / took.as_secs_f64();
        figures.print(self.json)
    }
}
