//! How an app is told that a sign-in has ended (OpenID Connect Back-Channel Logout), and how
//! often it is tried.

use std::time::Duration;

/// How long a logout token counts. Section 2.4 asks for two minutes at most.
pub const TOKEN_LIFE: Duration = Duration::from_secs(120);

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The app knows.
    Told,
    /// The app read it and says no: once more would say the same.
    Refused,
    /// It may work later. Why it didn't, without a word of the app's own.
    Failed(String),
}

impl Attempt {
    /// What a status means (section 2.8; some frameworks answer 204 where it asks for 200).
    pub fn of_status(status: u16) -> Self {
        match status {
            200 | 204 => Self::Told,
            400 => Self::Refused,
            other => Self::Failed(format!("it answered with status {other}")),
        }
    }
}

/// How patiently an app is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many attempts there are.
    pub attempts: u32,
    /// The pause before the second one; each further pause is four times the last.
    pub pause: Duration,
}

impl Patience {
    /// The pause after the attempt with this number, from 1 on; `None` when it was the last.
    /// `dice` moves it by up to a fifth, so that what failed together doesn't come back together.
    pub fn pause_after(&self, attempt: u32, dice: u8) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let longer = 4_u32.saturating_pow(attempt.saturating_sub(1));
        let tenths = 800 + u32::from(dice) * 400 / 255;
        Some(self.pause.saturating_mul(longer).saturating_mul(tenths) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_patience_lasts_for_about_a_day() {
        let usual = Patience { attempts: 8, pause: Duration::from_secs(15) };
        let all = |dice| -> u64 {
            (1..20).map_while(|n| usual.pause_after(n, dice)).map(|pause| pause.as_secs()).sum()
        };
        assert_eq!((1..20).map_while(|n| usual.pause_after(n, 0)).count(), 7);
        assert!((18..20).contains(&(all(0) / 3600)), "{}", all(0));
        assert!((27..28).contains(&(all(255) / 3600)), "{}", all(255));
        assert_eq!(usual.pause_after(1, 127).unwrap().as_secs(), 14);
    }

    #[test]
    fn a_pause_never_overflows() {
        let patient = Patience { attempts: u32::MAX, pause: Duration::from_secs(3600) };
        assert!(patient.pause_after(1000, 255).is_some());
    }

    #[test]
    fn only_a_clear_no_is_final() {
        assert_eq!(Attempt::of_status(200), Attempt::Told);
        assert_eq!(Attempt::of_status(204), Attempt::Told);
        assert_eq!(Attempt::of_status(400), Attempt::Refused);
        for status in [201, 301, 302, 401, 403, 404, 429, 500, 501, 503] {
            assert!(matches!(Attempt::of_status(status), Attempt::Failed(_)), "{status}");
        }
    }
}
