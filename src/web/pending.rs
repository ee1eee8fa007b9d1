//! What somebody asked for before they had to sign in: sealed into a parameter, so that it
//! survives the sign-in, in every tab its own, without a row.

use super::state::AppState;
use crate::domain::time::Timestamp;

/// How long a sign-in may take.
const LIFE_MILLIS: i64 = 60 * 60 * 1000;

/// Seals a path (with its query) of ours to come back to.
pub fn seal(state: &AppState, path: &str, now: Timestamp) -> String {
    state.keyring.forms().seal_text("pending", &format!("{} {path}", now.as_millis()))
}

/// Opens it: `None` when it isn't ours or has grown too old.
pub fn open(state: &AppState, sealed: &str, now: Timestamp) -> Option<String> {
    let text = state.keyring.forms().open_text("pending", sealed)?;
    let (at, path) = text.split_once(' ')?;
    let at: i64 = at.parse().ok()?;
    let age = now.as_millis().saturating_sub(at);
    // Only our own paths are sealed; a second look costs nothing.
    (age <= LIFE_MILLIS && path.starts_with('/') && !path.starts_with("//"))
        .then(|| path.to_owned())
}
