//! The only place that asks the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// A clock that all parts of one server share. On Postgres it goes by the database's clock,
/// so that all nodes agree: the difference is measured and added.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// What to add to the machine's clock, in milliseconds.
    correction: Arc<AtomicI64>,
    /// What a test moved it by, in milliseconds.
    travelled: Arc<AtomicI64>,
    /// Where it stands still, but for travels.
    stands_at: Option<i64>,
}

impl Clock {
    /// A clock that goes by the machine's.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still and moves by [`Clock::travel`] alone, for tests whose outcome
    /// must not depend on how long they take.
    pub fn standing() -> Self {
        Self { stands_at: Some(machine_millis()), ..Self::default() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let base = self.stands_at.unwrap_or_else(|| {
            machine_millis().saturating_add(self.correction.load(Ordering::Relaxed))
        });
        Timestamp::from_millis(base.saturating_add(self.travelled.load(Ordering::Relaxed)))
    }

    /// Goes by another clock, which showed `theirs` just now. Returns how far they are apart.
    pub fn follow(&self, theirs: Timestamp) -> Duration {
        let difference = theirs.as_millis().saturating_sub(machine_millis());
        self.correction.store(difference, Ordering::Relaxed);
        Duration::from_millis(difference.unsigned_abs())
    }

    /// Moves the clock on, for tests that would otherwise wait.
    pub fn travel(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.travelled.fetch_add(millis, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn machine_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
