//! The lines of the audit log in words.

use super::names::Names;
use super::views::{Badge, Tone};
use crate::storage::audit::AuditLine;

/// What happened, with its colour and icon.
pub fn badge(action: &str) -> Badge {
    let (tone, icon, text) = match action {
        "user.signed_in" => (Tone::Good, "check", "Signed in"),
        "user.signed_out" => (Tone::Plain, "out", "Signed out"),
        "user.sign_in_failed" => (Tone::Warn, "alert", "Sign-in failed"),
        "user.added" => (Tone::Note, "user", "Person added"),
        "user.password_changed" => (Tone::Note, "key", "Password changed"),
        "user.profile_changed" => (Tone::Note, "pencil", "Details changed"),
        "user.disabled" => (Tone::Warn, "x", "Account disabled"),
        "user.enabled" => (Tone::Good, "check", "Account enabled"),
        "user.removed" => (Tone::Warn, "trash", "Account removed"),
        "session.started" => (Tone::Good, "sprout", "Session started"),
        "session.ended" => (Tone::Plain, "cut", "Session ended"),
        "session.token_reuse" => (Tone::Bad, "fork", "Token reuse"),
        "session.code_reuse" => (Tone::Bad, "fork", "Code used twice"),
        "session.other_clients_token" => (Tone::Warn, "alert", "Another app’s token"),
        "session.reissued_after_stranger" => (Tone::Bad, "fork", "Asked again after a stranger"),
        "session.alarm_read" => (Tone::Note, "check", "Alarm read"),
        "session.was_me" => (Tone::Note, "user", "Said it was them"),
        "session.was_not_me" => (Tone::Bad, "alert", "Said it wasn’t them"),
        "consent.granted" => (Tone::Note, "check", "App allowed"),
        "consent.withdrawn" => (Tone::Plain, "x", "Access taken back"),
        "client.added" => (Tone::Note, "plus", "App registered"),
        "client.updated" => (Tone::Note, "pencil", "App changed"),
        "client.secret_rotated" => (Tone::Note, "key", "New client secret"),
        "client.registered" => (Tone::Warn, "plus", "App registered itself"),
        "client.document_read" => (Tone::Warn, "plus", "App’s document read"),
        "client.reviewed" => (Tone::Good, "check", "App reviewed"),
        "client.expired" => (Tone::Plain, "clock", "Unused app removed"),
        "registration_token.added" => (Tone::Note, "plus", "Initial access token made"),
        "registration_token.removed" => (Tone::Plain, "trash", "Initial access token removed"),
        "client.removed" => (Tone::Warn, "trash", "App removed"),
        "scope.added" => (Tone::Note, "plus", "Scope described"),
        "scope.updated" => (Tone::Note, "pencil", "Scope described anew"),
        "scope.removed" => (Tone::Warn, "trash", "Scope description removed"),
        "logout.told" => (Tone::Plain, "check", "App told of a sign-out"),
        "logout.failed" => (Tone::Warn, "clock", "App not told yet of a sign-out"),
        "logout.refused" => (Tone::Bad, "alert", "App refused to be told of a sign-out"),
        "logout.given_up" => (Tone::Bad, "alert", "App not told of a sign-out"),
        "browsers.signed_out" => (Tone::Plain, "out", "Browsers signed out"),
        "key.made" => (Tone::Note, "key", "Next key published"),
        "key.rotated" => (Tone::Good, "key", "Key in use"),
        "key.removed" => (Tone::Plain, "key", "Old key removed"),
        "key.compromised" => (Tone::Bad, "key", "Key given up"),
        "recovery.opened" => (Tone::Warn, "alert", "Recovery opened"),
        "recovery.closed" => (Tone::Good, "check", "Recovery closed"),
        other => return Badge::new(Tone::Plain, "info", sentence(other)),
    };
    Badge::new(tone, icon, text)
}

/// An action without words of its own: `key.turned` as "Key turned".
fn sentence(action: &str) -> String {
    super::views::words::capital(&action.replace(['.', '_'], " "))
}

/// Who did it.
pub fn actor(line: &AuditLine, names: &Names) -> String {
    match (line.actor_kind.as_str(), line.actor_id.as_deref()) {
        ("user", Some(id)) => id.parse().map_or_else(|_| id.to_owned(), |id| names.person(id)),
        ("client", Some(id)) => names.app(id),
        ("operator", _) => "The command line".to_owned(),
        ("system", _) => "Perennial".to_owned(),
        _ => "Somebody".to_owned(),
    }
}

/// On whom or what.
pub fn target(line: &AuditLine, names: &Names) -> String {
    let person = line.user_id.map(|id| names.person(id));
    let app = line.client_id.as_deref().map(|id| names.app(id));
    match (line.target_kind.as_deref(), line.target_id.as_deref()) {
        (Some("client"), Some(id)) => match person {
            Some(person) => format!("{}, {person}", names.app(id)),
            None => names.app(id),
        },
        (Some("scope" | "key"), Some(id)) => id.to_owned(),
        _ => match (person, app) {
            (Some(person), Some(app)) => format!("{person}, {app}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => line.target_id.clone().unwrap_or_else(|| "–".to_owned()),
        },
    }
}

/// What a line says to the person whom it concerns; `None` where it is nothing to them.
pub fn to_person(line: &AuditLine, names: &Names) -> Option<String> {
    let app = || line.client_id.as_deref().map_or_else(|| "an app".to_owned(), |id| names.app(id));
    let by_self =
        line.actor_kind == "user" && line.actor_id == line.user_id.map(|id| id.to_string());
    Some(match line.action.as_str() {
        "user.signed_in" => "Signed in".to_owned(),
        "user.signed_out" if by_self => "Signed out".to_owned(),
        "user.signed_out" => "Signed out of a browser by an administrator".to_owned(),
        "user.sign_in_failed" => "Somebody tried to sign in with a wrong password".to_owned(),
        "user.added" => "Account made".to_owned(),
        "user.password_changed" if by_self => "Password changed".to_owned(),
        "user.password_changed" => "Password changed by an administrator".to_owned(),
        "user.profile_changed" if by_self => "Your details changed".to_owned(),
        "user.profile_changed" => "Your details changed by an administrator".to_owned(),
        "user.disabled" => "Account disabled by an administrator".to_owned(),
        "user.enabled" => "Account enabled by an administrator".to_owned(),
        "session.started" => format!("Signed in to {}", app()),
        "session.ended" => format!("Signed out of {}", app()),
        "session.token_reuse" => {
            format!("Signed out of {} by us: its sign-in key was used from two places", app())
        }
        "session.code_reuse" => {
            format!("Signed out of {} by us: the code it signed in with was used twice", app())
        }
        "session.reissued_after_stranger" => format!("Somebody else may have used {}", app()),
        "session.was_me" => format!("Said that it was you who used {}", app()),
        "session.was_not_me" => format!("Said that it wasn’t you who used {}", app()),
        "consent.granted" => format!("Allowed {} to use this account", app()),
        "consent.withdrawn" => format!("Took back what {} was allowed", app()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_action_is_still_a_sentence() {
        assert_eq!(badge("key.turned").text, "Key turned");
        assert_eq!(badge("session.token_reuse").text, "Token reuse");
    }
}
