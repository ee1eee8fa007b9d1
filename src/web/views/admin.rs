//! The administrators' pages.

mod client_details;
mod clients;

use askama::Template;

use super::form::{Choice, Faults};
use super::page::{AppFace, Badge, Page};
use super::spark::Spark;
use super::stem::{Knot, Stem};
use super::table::{Caption, Column, Empty, Head, Pager};
use super::words::When;
pub use client_details::ClientDetailsForm;
pub use clients::{
    AdminClientFormView, AdminClientSecretView, AdminClientsView, ClientDoubt, ClientRow,
};

/// A link with its words; the path begins with the base.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where to.
    pub href: String,
    /// The words.
    pub text: String,
}

/// A number that an administrator looks at first.
#[derive(Clone, Debug)]
pub struct Figure {
    /// "Refreshes per minute".
    pub title: String,
    /// "3,204".
    pub big: String,
    /// Its course.
    pub spark: Option<Spark>,
    /// "last hour: 2,789 to 3,398".
    pub note: String,
}

/// What has become of an alarm.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// When it was raised, in Unix milliseconds, where nobody has read it: the form says which
    /// alarm is meant.
    pub unread: Option<i64>,
    /// Who read it, and when: [`When::stamp`].
    pub read: Option<(String, When)>,
    /// What the person says of it.
    pub said: Option<String>,
}

/// A session that raised an alarm.
#[derive(Clone, Debug)]
pub struct AlarmLine {
    /// The session's id.
    pub id: String,
    /// "Ada Fern, Meadow Notes".
    pub title: String,
    /// When, exact.
    pub when: When,
    /// "generation 39 used twice".
    pub detail: String,
    /// Who read it.
    pub reading: Reading,
}

/// One line of the health.
#[derive(Clone, Debug)]
pub struct HealthLine {
    /// "Database".
    pub name: String,
    /// "Reachable".
    pub badge: Badge,
    /// "PostgreSQL 17, commit in 1.9 ms".
    pub text: String,
}

/// An app with its sessions.
#[derive(Clone, Debug)]
pub struct BusyApp {
    /// Its name.
    pub name: String,
    /// "8,211".
    pub sessions: String,
    /// From [`super::meter_widths`].
    pub width: String,
}

/// `GET /admin`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin.html")]
pub struct AdminView {
    /// The page.
    pub page: Page,
    /// As of when: [`When::clock_seconds`].
    pub as_of: When,
    /// "2 sessions raised an alarm that nobody has read", when some did.
    pub alarm: Option<String>,
    /// The recovery that is open.
    pub recovery: Option<RecoveryNotice>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// The latest alarms.
    pub alarms: Vec<AlarmLine>,
    /// All in all.
    pub well: Badge,
    /// Line by line.
    pub health: Vec<HealthLine>,
    /// The busiest apps.
    pub busiest: Vec<BusyApp>,
}

/// What administrators are told while a recovery is open.
#[derive(Clone, Debug)]
pub struct RecoveryNotice {
    /// When it closes by itself: [`When::event`].
    pub closes: When,
    /// Who opened it.
    pub by: String,
    /// When it was opened: [`When::event`].
    pub opened: When,
    /// The beginning of the time that was lost: [`When::exact`].
    pub since: When,
    /// Its end: [`When::exact`].
    pub until: When,
}

/// A line of the sessions table.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The session's id.
    pub id: String,
    /// The person's name.
    pub name: String,
    /// The name to sign in with.
    pub username: String,
    /// The app.
    pub app: AppFace,
    /// [`super::Device::head`].
    pub device: String,
    /// [`super::Device::detail`].
    pub device_detail: Option<String>,
    /// The latest address.
    pub ip: String,
    /// When it began: [`When::stamp`].
    pub began: When,
    /// When it was last refreshed: [`When::stamp`].
    pub refreshed: When,
    /// "5,218".
    pub generation: String,
    /// Its state.
    pub badge: Badge,
    /// Whether it can be revoked, so that it has a box to tick.
    pub live: bool,
}

/// `GET /admin/sessions`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_sessions.html")]
pub struct AdminSessionsView {
    /// The page.
    pub page: Page,
    /// What was searched for.
    pub q: String,
    /// The person that the list is about, by username, or nothing.
    pub user: String,
    /// The apps to choose from.
    pub clients: Vec<Choice>,
    /// The states to choose from: [`AdminSessionsView::states`].
    pub states: Vec<Choice>,
    /// The sort parameter as it came, or nothing.
    pub sort: String,
    /// Whether any filter is on.
    pub filtered: bool,
    /// The words above the table.
    pub caption: Caption,
    /// From [`AdminSessionsView::COLUMNS`].
    pub heads: Vec<Head>,
    /// The sessions.
    pub rows: Vec<SessionRow>,
    /// "Revoke all 3 that match…", when a filter is on.
    pub all: Option<String>,
    /// The links under the table.
    pub pager: Pager,
    /// What stands there when no session does.
    pub empty: Empty,
}

impl AdminSessionsView {
    /// The columns; "-created" is how the list is sorted by itself.
    pub const COLUMNS: [Column; 8] = [
        Column::plain("Person"),
        Column::plain("App"),
        Column::plain("Device"),
        Column::plain("IP address"),
        Column::sorted("Signed in", "created").extra(),
        Column::sorted("Last refreshed", "rotated"),
        Column::plain("Generation").extra().end(),
        Column::plain("State"),
    ];

    /// The values and words of the `state` parameter.
    pub const STATES: [(&'static str, &'static str); 8] = [
        ("", "All states"),
        ("active", "Active or quiet"),
        ("quiet", "Quiet"),
        ("alarm", "Alarm raised"),
        ("reuse", "Token reuse"),
        ("revoked", "Revoked"),
        ("signed_out", "Signed out"),
        ("expired", "Expired"),
    ];

    /// The states to choose from, with the one that was asked for chosen.
    pub fn states(chosen: &str) -> Vec<Choice> {
        Choice::list(&Self::STATES, chosen)
    }

    /// The value of a filter, for the form that revokes what matches.
    pub fn chosen(choices: &[Choice]) -> &str {
        choices
            .iter()
            .find(|choice| choice.chosen)
            .map(|choice| choice.value.as_str())
            .unwrap_or_default()
    }

    /// The app that is chosen.
    pub fn client(&self) -> &str {
        Self::chosen(&self.clients)
    }

    /// The state that is chosen.
    pub fn state(&self) -> &str {
        Self::chosen(&self.states)
    }

    /// The link to the page without any filter.
    pub fn plain(&self) -> String {
        format!("{}/admin/sessions", self.page.base)
    }
}

/// A session that is about to be revoked.
#[derive(Clone, Debug)]
pub struct RevokeThing {
    /// The session's id, sent back; nothing when the filter is sent instead.
    pub id: String,
    /// The app.
    pub app: AppFace,
    /// "Basil Rowe, Orchard Mail".
    pub title: String,
    /// What stands between dots: the device, the address.
    pub facts: Vec<String>,
}

/// `GET, POST /admin/sessions/revoke`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_revoke.html")]
pub struct AdminRevokeView {
    /// The page.
    pub page: Page,
    /// "2 sessions".
    pub count: String,
    /// How long access tokens that are out may still be taken: "10 minutes".
    pub within: String,
    /// The sessions, or the first of them.
    pub things: Vec<RevokeThing>,
    /// "and 112 more", when not all are listed.
    pub more: Option<String>,
    /// What is sent along where all that match are meant: `all`, `q`, `user`, `client`, `state`.
    pub carried: Vec<(&'static str, String)>,
    /// The reasons: [`AdminRevokeView::reasons`].
    pub reasons: Vec<Choice>,
    /// The note typed.
    pub note: String,
    /// Whether the browsers that these sessions came from may be signed out too.
    pub offer_browsers: bool,
    /// Whether that is ticked.
    pub browsers: bool,
    /// What is to be put right, by [`Faults::REVOKE`].
    pub faults: Faults,
    /// Where "Cancel" and the crumb lead.
    pub back: String,
}

impl AdminRevokeView {
    /// The values and words of the `reason` field.
    pub const REASONS: [(&'static str, &'static str); 4] = [
        ("lost", "Device lost or stolen"),
        ("left", "Person left or changed role"),
        ("suspicious", "Looks suspicious"),
        ("other", "Other"),
    ];

    /// The reasons, with one chosen.
    pub fn reasons(chosen: &str) -> Vec<Choice> {
        Choice::list(&Self::REASONS, chosen)
    }
}

/// One of the two callers of a forked session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// 'A' or 'B'.
    pub letter: char,
    /// "First to use token 39".
    pub title: String,
    /// The address.
    pub ip: String,
    /// Whether this session hadn't seen that network before.
    pub ip_new: bool,
    /// The program.
    pub with: String,
    /// Whether this session hadn't seen that program before.
    pub with_new: bool,
    /// "14:07:31 to 14:18:02, 2 refreshes".
    pub seen: String,
}

/// What an administrator should know of a session, and do.
#[derive(Clone, Debug)]
pub struct AlarmBox {
    /// "Someone has a copy of this session’s token".
    pub heading: String,
    /// What happened.
    pub text: String,
    /// What to ask.
    pub points: Vec<String>,
    /// Where to look.
    pub links: Vec<Link>,
    /// Who read it.
    pub reading: Reading,
}

/// `GET /admin/sessions/{id}`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_session.html")]
pub struct AdminSessionView {
    /// The page.
    pub page: Page,
    /// The session's id.
    pub id: String,
    /// "Ada Fern, Meadow Notes".
    pub title: String,
    /// Its state.
    pub badge: Badge,
    /// "Refreshed", "Signed out by Perennial on": what the time is of.
    pub line: String,
    /// The time: [`When::exact`].
    pub when: When,
    /// Whether it can be revoked.
    pub live: bool,
    /// The alarm, if there is one.
    pub alarm: Option<AlarmBox>,
    /// The two callers, if the session forked.
    pub callers: Option<[Caller; 2]>,
    /// Its history.
    pub stem: Stem,
    /// The person: to `/admin/users/{id}`.
    pub person: Link,
    /// The email address.
    pub email: String,
    /// The app: to `/admin/clients/{id}`.
    pub app: Link,
    /// "public client".
    pub app_kind: String,
    /// The device, in words.
    pub device: String,
    /// The scope.
    pub scope: String,
    /// "30 days without use, 365 days in all".
    pub lifetime: String,
    /// When it ends whatever happens: [`When::exact`].
    pub ends: Option<When>,
    /// How it refreshes: "resumable, retry window 30 seconds".
    pub rotation: String,
    /// The sign-in of the browser that it came from, in words.
    pub browser: Option<String>,
}

impl AdminSessionView {
    /// The path of the list of sessions.
    pub fn sessions_href(&self) -> String {
        format!("{}/admin/sessions", self.page.base)
    }
}

/// A line of the people table.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// What stands in the path of the person's page.
    pub id: String,
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
    /// "Administrator" or "Person".
    pub role: &'static str,
    /// "3".
    pub sessions: String,
    /// When last signed in: [`When::stamp`].
    pub seen: Option<When>,
    /// May sign in, or not.
    pub badge: Badge,
}

/// `GET /admin/users`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_users.html")]
pub struct AdminUsersView {
    /// The page.
    pub page: Page,
    /// What was searched for.
    pub q: String,
    /// The states to choose from: [`AdminUsersView::states`].
    pub states: Vec<Choice>,
    /// Whether any filter is on.
    pub filtered: bool,
    /// The words above the table.
    pub caption: Caption,
    /// From [`AdminUsersView::COLUMNS`].
    pub heads: Vec<Head>,
    /// The people.
    pub rows: Vec<UserRow>,
    /// The links under the table.
    pub pager: Pager,
}

impl AdminUsersView {
    /// The link to the page without any filter.
    pub fn plain(&self) -> String {
        format!("{}/admin/users", self.page.base)
    }

    /// The columns.
    pub const COLUMNS: [Column; 5] = [
        Column::plain("Person"),
        Column::plain("Role"),
        Column::plain("Sessions").end(),
        Column::plain("Last signed in"),
        Column::plain("State"),
    ];

    /// The values and words of the `state` parameter.
    pub const STATES: [(&'static str, &'static str); 4] =
        [("", "All"), ("active", "Active"), ("disabled", "Disabled"), ("admin", "Administrators")];

    /// The states to choose from, with the one that was asked for chosen.
    pub fn states(chosen: &str) -> Vec<Choice> {
        Choice::list(&Self::STATES, chosen)
    }
}

/// A session on a person's page.
#[derive(Clone, Debug)]
pub struct UserSession {
    /// The session's id.
    pub id: String,
    /// The app.
    pub app: AppFace,
    /// "Orchard Mail on Windows".
    pub title: String,
    /// Its state.
    pub badge: Badge,
    /// What stands between dots: the generation, the address, the time.
    pub facts: Vec<String>,
    /// Whether it can be revoked.
    pub live: bool,
}

/// `GET /admin/users/{id}`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_user.html")]
pub struct AdminUserView {
    /// The page.
    pub page: Page,
    /// What stands in the paths.
    pub id: String,
    /// The name.
    pub name: String,
    /// The first name.
    pub first_name: String,
    /// The email address.
    pub email: String,
    /// Whether it was found to be theirs.
    pub email_verified: bool,
    /// What else they say of themselves: what, in a word, then the text, and whether it was
    /// found to be so.
    pub said: Vec<(&'static str, String, bool)>,
    /// The name to sign in with.
    pub username: String,
    /// Whether the person looks after the site.
    pub is_admin: bool,
    /// Whether the person may not sign in.
    pub disabled: bool,
    /// Whether this is the administrator who looks at the page, who can't disable themselves.
    pub is_self: bool,
    /// Since when: [`When::full_date`].
    pub member_since: When,
    /// When last signed in: [`When::exact`].
    pub last_signed_in: Option<When>,
    /// When the password was changed: [`When::full_date`].
    pub password_changed: Option<When>,
    /// The latest sessions.
    pub sessions: Vec<UserSession>,
}

impl AdminUserView {
    /// The path of the list of people.
    pub fn people(&self) -> String {
        format!("{}/admin/users", self.page.base)
    }

    /// The path of this person.
    pub fn own(&self) -> String {
        format!("{}/admin/users/{}", self.page.base, segment(&self.id))
    }

    /// The link to all of the person's sessions.
    pub fn all_sessions(&self) -> String {
        super::table::href(
            &format!("{}/admin/sessions", self.page.base),
            &[("user", &self.username)],
        )
    }

    /// The state, in a word.
    pub fn badge(&self) -> Badge {
        if self.disabled { Badge::disabled() } else { Badge::active() }
    }
}

/// A page that asks once more before something that can't be undone, or ends sessions.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/confirm.html")]
pub struct ConfirmView {
    /// The page.
    pub page: Page,
    /// "Disable Willow Dean?"
    pub heading: String,
    /// What it does.
    pub lead: String,
    /// What it does, in points.
    pub points: Vec<String>,
    /// Where the form goes, with the base.
    pub action: String,
    /// The words of the button.
    pub button: String,
    /// Where "Cancel" and the crumb lead, with the words of the crumb.
    pub back: Link,
}

impl ConfirmView {
    /// `GET /admin/users/{id}/disable`; the form posts to the same path.
    pub fn disable_user(page: Page, id: &str, name: &str, sessions: u64) -> Self {
        let user = format!("{}/admin/users/{}", page.base, segment(id));
        Self {
            heading: format!("Disable {name}?"),
            lead: "Nothing is deleted, and it can be undone.".to_owned(),
            points: vec![
                format!("{} end at once.", words_count(sessions)),
                "Signing in is refused until the person is enabled again.".to_owned(),
            ],
            action: format!("{user}/disable"),
            button: format!("Disable {name}"),
            back: Link { href: user, text: name.to_owned() },
            page,
        }
    }

    /// `GET /account/alarms/{id}`; the form posts below that path.
    pub fn shut_out(page: Page, id: &str, app: &str) -> Self {
        Self {
            heading: "Sign out everywhere else?".to_owned(),
            lead: format!(
                "If it wasn’t you who used {app}, somebody has a copy of its sign-in key, or \
                 knows your password."
            ),
            points: vec![
                format!("{app} is signed out wherever it is, here too."),
                "All your other browsers and apps are signed out. This browser stays.".to_owned(),
                "Then you choose a new password.".to_owned(),
            ],
            action: format!("{}/account/alarms/{}/shut-out", page.base, segment(id)),
            button: "Sign out everywhere else".to_owned(),
            back: Link { href: format!("{}/account", page.base), text: "Your account".to_owned() },
            page,
        }
    }

    /// `GET /admin/clients/{id}/remove`; the form posts to the same path.
    pub fn remove_client(page: Page, id: &str, name: &str, sessions: u64) -> Self {
        let client = format!("{}/admin/clients/{}", page.base, segment(id));
        Self {
            heading: format!("Remove {name}?"),
            lead: "This can’t be undone.".to_owned(),
            points: vec![
                format!("{} end at once.", words_count(sessions)),
                format!("The client ID {id} stops working."),
            ],
            action: format!("{client}/remove"),
            button: format!("Remove {name}"),
            back: Link { href: client, text: name.to_owned() },
            page,
        }
    }

    /// `GET /admin/keys/rotate`; the form posts to the same path.
    pub fn rotate_keys(page: Page) -> Self {
        Self {
            heading: "Replace the signing keys?".to_owned(),
            lead: "Nobody is signed out. It can’t be undone.".to_owned(),
            points: vec![
                "New keys are published ten minutes before they sign, so that apps and APIs have \
                 them by then."
                    .to_owned(),
                "The keys in use now go on proving what they signed, and are published for a day \
                 after that."
                    .to_owned(),
            ],
            action: format!("{}/admin/keys/rotate", page.base),
            button: "Replace the signing keys".to_owned(),
            back: Link { href: format!("{}/admin/keys", page.base), text: "Keys".to_owned() },
            page,
        }
    }

    /// `GET /admin/keys/secret/rotate`; the form posts to the same path.
    pub fn rotate_secret(page: Page) -> Self {
        Self {
            heading: "Replace the token secret?".to_owned(),
            lead: "Nobody is signed out. It can’t be undone.".to_owned(),
            points: vec![
                "A new secret comes into use after ten minutes, when every node has it.".to_owned(),
                "Each session moves to it at its next refresh. The old one is removed when no \
                 session needs it any more."
                    .to_owned(),
            ],
            action: format!("{}/admin/keys/secret/rotate", page.base),
            button: "Replace the token secret".to_owned(),
            back: Link { href: format!("{}/admin/keys", page.base), text: "Keys".to_owned() },
            page,
        }
    }

    /// `GET /admin/clients/{id}/new-secret`; the form posts to the same path.
    pub fn new_secret(page: Page, id: &str, name: &str) -> Self {
        let client = format!("{}/admin/clients/{}", page.base, segment(id));
        Self {
            heading: format!("Make a new secret for {name}?"),
            lead: "The secret in use now stops working at once.".to_owned(),
            points: vec![
                "People stay signed in, but the app can’t refresh until it has the new secret."
                    .to_owned(),
                "The new secret is shown once, on the next page.".to_owned(),
            ],
            action: format!("{client}/new-secret"),
            button: "Make a new secret".to_owned(),
            back: Link { href: client, text: name.to_owned() },
            page,
        }
    }
}

fn words_count(sessions: u64) -> String {
    if sessions == 0 {
        "No sessions".to_owned()
    } else {
        super::words::count(sessions, "session", "sessions")
    }
}

/// An id as one segment of a path.
pub fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%5F", "_")
        .replace("%2E", ".")
}

/// A line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// When: [`When::stamp`].
    pub when: When,
    /// What.
    pub badge: Badge,
    /// By whom.
    pub by: String,
    /// On whom or what.
    pub on: String,
    /// From which address.
    pub from: Option<String>,
    /// More about it.
    pub details: Option<String>,
}

/// `GET /admin/audit`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_audit.html")]
pub struct AuditView {
    /// The page.
    pub page: Page,
    /// What was searched for.
    pub q: String,
    /// The kinds to choose from: [`AuditView::events`].
    pub events: Vec<Choice>,
    /// From which day, `YYYY-MM-DD` or nothing.
    pub from: String,
    /// To which day.
    pub to: String,
    /// Whether any filter is on.
    pub filtered: bool,
    /// How long the log is kept: "400 days".
    pub kept: String,
    /// The words above the table.
    pub caption: Caption,
    /// The events.
    pub rows: Vec<AuditRow>,
    /// The links under the table.
    pub pager: Pager,
}

impl AuditView {
    /// The values and words of the `event` parameter.
    pub const EVENTS: [(&'static str, &'static str); 7] = [
        ("", "Everything"),
        ("sign_in", "Signing in"),
        ("session", "Sessions"),
        ("reuse", "Token reuse"),
        ("client", "Apps"),
        ("user", "People"),
        ("key", "Keys"),
    ];

    /// The kinds to choose from, with the one that was asked for chosen.
    pub fn events(chosen: &str) -> Vec<Choice> {
        Choice::list(&Self::EVENTS, chosen)
    }
}

/// A signing key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its id, as in tokens.
    pub id: String,
    /// "ES256".
    pub algorithm: String,
    /// Its state.
    pub badge: Badge,
    /// When it was made: [`When::full_date`].
    pub made: When,
    /// When the next one takes over: "26 November 2026".
    pub rotates: String,
}

/// A token secret.
#[derive(Clone, Debug)]
pub struct SecretLine {
    /// "Secret 3".
    pub name: String,
    /// Its state.
    pub badge: Badge,
    /// "since 1 September 2026, 17,540 sessions".
    pub text: String,
}

/// `GET /admin/keys`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_keys.html")]
pub struct AdminKeysView {
    /// The page.
    pub page: Page,
    /// Whether keys are replaced by age.
    pub by_itself: bool,
    /// The signing keys.
    pub keys: Vec<KeyRow>,
    /// The token secrets.
    pub secrets: Vec<SecretLine>,
    /// The fingerprint of the root secret, if it is to be shown.
    pub fingerprint: Option<String>,
}
