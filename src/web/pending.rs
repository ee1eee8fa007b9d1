//! What somebody asked for before they had to sign in: sealed into a parameter, so that it
//! survives the sign-in, in every tab its own, without a row.

use super::state::AppState;
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::protocol::authorize::Round;

/// How long a sign-in may take.
const LIFE_MILLIS: i64 = 60 * 60 * 1000;

/// What is to be gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The path, with its query, to come back to.
    pub path: String,
    /// What the person has done about it so far.
    pub round: Round,
}

impl Pending {
    /// A path of ours, asked for now.
    pub fn new(path: &str, now: Timestamp) -> Self {
        Self { path: path.to_owned(), round: Round { began: now, chosen: None } }
    }

    /// The same, with this account from here on.
    #[must_use]
    pub fn with(&self, user: UserId) -> Self {
        Self { path: self.path.clone(), round: Round { chosen: Some(user), ..self.round } }
    }

    /// As a parameter.
    pub fn seal(&self, state: &AppState) -> String {
        let chosen = self.round.chosen.map_or_else(|| "-".to_owned(), |user| user.to_string());
        let text = format!("{} {chosen} {}", self.round.began.as_millis(), self.path);
        state.keyring.forms().seal_text("pending", &text)
    }

    /// Opens it: `None` when it isn't ours or has grown too old.
    pub fn open(state: &AppState, sealed: &str, now: Timestamp) -> Option<Self> {
        let text = state.keyring.forms().open_text("pending", sealed)?;
        let mut parts = text.splitn(3, ' ');
        let (began, chosen, path) = (parts.next()?, parts.next()?, parts.next()?);
        let began = Timestamp::from_millis(began.parse().ok()?);
        let age = now.as_millis().saturating_sub(began.as_millis());
        // Only our own paths are sealed; a second look costs nothing.
        (age <= LIFE_MILLIS && path.starts_with('/') && !path.starts_with("//")).then(|| Self {
            path: path.to_owned(),
            round: Round { began, chosen: chosen.parse().ok() },
        })
    }
}
