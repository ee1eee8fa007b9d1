//! What comes next for a request: which page, which answer. A pure rule over who is signed in in
//! this browser, what the request asks for, and what the person has done since it arrived.

use super::Checked;
use crate::domain::id::UserId;
use crate::domain::time::Timestamp;
use crate::protocol::oauth_error::Code;

/// Somebody who is signed in, in the browser that asks.
#[derive(Clone, Debug)]
pub struct Present {
    /// Who.
    pub user: UserId,
    /// What the app calls them.
    pub subject: String,
    /// When they last proved who they are.
    pub signed_in_at: Timestamp,
    /// Whether the browser acts for them.
    pub is_active: bool,
    /// Whether `login_hint` is a name of theirs.
    pub is_named: bool,
}

/// What the person has done about a request so far. It travels sealed: a fresh visit of the
/// request's address begins a new round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// When the request arrived. A sign-in after that is one for this request.
    pub began: Timestamp,
    /// With which account they go on.
    pub chosen: Option<UserId>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The sign-in page.
    SignIn,
    /// The page on which the person says with which account they go on.
    Choose,
    /// The password of this person once more.
    Again(UserId),
    /// The consent page, for this person.
    Consent(UserId),
    /// The code.
    Grant(UserId),
    /// An error for the app.
    Refuse(Code, &'static str),
}

/// Says what comes next. `allowed`: whether this person need not be asked for consent.
///
/// # Errors
/// What `allowed` says.
pub fn next<E>(
    checked: &Checked,
    present: &[Present],
    round: Round,
    allowed: impl FnOnce(UserId) -> Result<bool, E>,
    now: Timestamp,
) -> Result<Next, E> {
    let prompt = checked.asked.prompt;
    let person = match person(checked, present, round) {
        Ok(person) => person,
        Err(next) => return Ok(next),
    };
    let too_long_ago = checked
        .asked
        .max_age
        .is_some_and(|most| most.is_zero() || now.since(person.signed_in_at) > most);
    let for_this_request = person.signed_in_at > round.began;
    if (prompt.wants_login() || too_long_ago) && !for_this_request {
        return Ok(if prompt.is_silent() {
            Next::Refuse(Code::LoginRequired, "the person signed in longer ago than max_age allows")
        } else {
            Next::Again(person.user)
        });
    }
    if prompt.wants_consent() {
        return Ok(Next::Consent(person.user));
    }
    Ok(match (allowed(person.user)?, prompt.is_silent()) {
        (true, _) => Next::Grant(person.user),
        (false, false) => Next::Consent(person.user),
        (false, true) => Next::Refuse(
            Code::ConsentRequired,
            "the person has not allowed all of this yet, and prompt is none",
        ),
    })
}

/// Who the request goes on with, or what to do about there being nobody.
fn person<'a>(
    checked: &Checked,
    present: &'a [Present],
    round: Round,
) -> Result<&'a Present, Next> {
    let (prompt, about_somebody) = (checked.asked.prompt, checked.asked.is_about_somebody());
    let chosen = round.chosen.and_then(|user| present.iter().find(|person| person.user == user));
    if prompt.wants_account() && chosen.is_none() && !present.is_empty() {
        return Err(Next::Choose);
    }
    let will_do = |person: &&Present| checked.asked.is_about(&person.subject);
    let found = match chosen {
        // They had their choice: asking again would go on for ever.
        Some(other) if !will_do(&other) => {
            return Err(Next::Refuse(
                Code::LoginRequired,
                "the person who signed in is not the one that the request is about",
            ));
        }
        Some(chosen) => Some(chosen),
        None if about_somebody => present.iter().find(will_do),
        None => {
            let named = present.iter().find(|person| person.is_named);
            named.or_else(|| present.iter().find(|person| person.is_active))
        }
    };
    found.ok_or(match (prompt.is_silent(), present.is_empty() || about_somebody) {
        (false, true) => Next::SignIn,
        (false, false) => Next::Choose,
        (true, true) if about_somebody => Next::Refuse(
            Code::LoginRequired,
            "the person that the request is about is not signed in here, and prompt is none",
        ),
        (true, true) => {
            Next::Refuse(Code::LoginRequired, "nobody is signed in here, and prompt is none")
        }
        (true, false) => Next::Refuse(
            Code::AccountSelectionRequired,
            "the person has not said with which account, and prompt is none",
        ),
    })
}
