//! So many in a span of time, and no more: an allowance that refills steadily, in one number.

use std::time::Duration;

use super::time::Timestamp;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many at once, after a time without any. At least one.
    pub count: u32,
    /// In this time all of it is there again.
    pub within: Duration,
}

impl Allowance {
    /// Takes one. `whole_at` is when all of the allowance would be there again, as the last one
    /// left it; the new value, or how long to wait for the next.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, whole_at: Timestamp, now: Timestamp) -> Result<Timestamp, Duration> {
        let each = self.within / self.count.max(1);
        let after = whole_at.max(now).plus(each);
        let spent = after.since(now);
        // Division leaves a rest; it is no reason to refuse the last one.
        match spent.checked_sub(self.within) {
            Some(missing) if !missing.is_zero() => Err(missing),
            _ => Ok(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOURLY: Allowance = Allowance { count: 4, within: Duration::from_secs(3600) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn four_at_once_and_then_one_each_quarter_of_an_hour() {
        let mut whole = Timestamp::default();
        for _ in 0..4 {
            whole = HOURLY.take(whole, at(10_000)).unwrap();
        }
        assert_eq!(HOURLY.take(whole, at(10_000)), Err(Duration::from_secs(900)));
        assert_eq!(HOURLY.take(whole, at(10_600)), Err(Duration::from_secs(300)));
        whole = HOURLY.take(whole, at(10_900)).unwrap();
        assert!(HOURLY.take(whole, at(10_900)).is_err());
        assert!(HOURLY.take(whole, at(20_000)).is_ok());
    }

    proptest! {
        /// However the tries lie, no span as long as the allowance's gives more than twice its
        /// count (a full allowance and its refill), and who waits as told gets the next one.
        #[test]
        fn never_more_than_allowed(
            count in 1_u32..20,
            gaps in proptest::collection::vec(0_i64..400, 1..200),
        ) {
            let allowance = Allowance { count, within: Duration::from_secs(600) };
            let (mut whole, mut now, mut taken) = (Timestamp::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                match allowance.take(whole, at(now)) {
                    Ok(next) => {
                        whole = next;
                        taken.push(now);
                    }
                    Err(wait) => {
                        let then = at(now).plus(wait);
                        prop_assert!(allowance.take(whole, then).is_ok());
                    }
                }
            }
            for first in &taken {
                let span = taken.iter().filter(|t| *t >= first && **t < first + 600).count();
                prop_assert!(span <= 2 * count as usize);
            }
        }
    }
}
