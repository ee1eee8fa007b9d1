//! A person's own pages.

use askama::Template;

use super::form::Faults;
use super::page::{AppFace, Badge, Page, Tone};
use super::scopes::{ScopeGroup, ScopeLine, third_person};
use super::words::When;

/// A session that two may have held, told to its person.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// The session's id, for the forms.
    pub id: String,
    /// When the alarm was raised, in Unix milliseconds: the forms say which alarm they answer.
    pub raised: i64,
    /// "We signed you out of Meadow Notes on your iPhone".
    pub heading: String,
    /// When, at the start of the sentence: [`When::on_capital`].
    pub when: When,
    /// The rest of the sentence and what to do.
    pub text: String,
    /// From where it was used, as far as it is known: "First from 203.0.113.24, with curl 8".
    pub places: Vec<String>,
    /// What they are asked, until they answer.
    pub question: &'static str,
    /// Whether the person said that it wasn't them.
    pub disowned: bool,
}

/// A card of the overview.
#[derive(Clone, Debug)]
pub struct Tease {
    /// "4 sessions".
    pub heading: String,
    /// A sentence.
    pub text: String,
}

/// `GET /account`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/account.html")]
pub struct AccountView {
    /// The page.
    pub page: Page,
    /// The first name.
    pub first_name: String,
    /// What the person should know.
    pub alarms: Vec<Alarm>,
    /// The sessions.
    pub sessions: Tease,
    /// The connected apps.
    pub apps: Tease,
    /// The password.
    pub security: Tease,
    /// The display name.
    pub name: String,
    /// The email address.
    pub email: String,
    /// Whether it was found to be theirs.
    pub email_verified: bool,
    /// The telephone number; "" where there is none.
    pub phone: String,
    /// Whether it was found to be theirs.
    pub phone_verified: bool,
    /// The name to sign in with.
    pub username: String,
    /// Since when: [`When::full_date`].
    pub member_since: When,
}

/// A session that lives: an app on a device, or a browser at this site.
#[derive(Clone, Debug)]
pub struct SessionThing {
    /// What stands in the path of the form that ends it.
    pub id: String,
    /// The icon's name in the sprite, from [`super::Device`].
    pub icon: &'static str,
    /// "Meadow Notes on iPhone", or "Firefox on Linux" for this site itself.
    pub title: String,
    /// "You are here", "Quiet for 41 days".
    pub badge: Option<Badge>,
    /// What stands between dots: "This website", the address.
    pub facts: Vec<String>,
    /// When it was last used: [`When::on`].
    pub active: When,
    /// When it began: [`When::on`].
    pub began: When,
    /// When it ends by itself: [`When::date`].
    pub ends: Option<When>,
}

/// A session that ended.
#[derive(Clone, Debug)]
pub struct EndedThing {
    /// The icon's name in the sprite.
    pub icon: &'static str,
    /// "Meadow Notes on iPhone".
    pub title: String,
    /// "Signed out by you".
    pub badge: Badge,
    /// When: [`When::on_capital`].
    pub when: When,
    /// Why, where it isn't plain.
    pub why: Option<String>,
}

/// `GET /account/sessions`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/account_sessions.html")]
pub struct AccountSessionsView {
    /// The page.
    pub page: Page,
    /// The browser that looks at the page, and the apps that were signed in from it.
    pub here: Vec<SessionThing>,
    /// Whether the first of those is this very browser, which signs out by the button above.
    pub others: Vec<SessionThing>,
    /// What ended lately.
    pub ended: Vec<EndedThing>,
}

impl AccountSessionsView {
    /// "3 sessions".
    pub fn others_count(&self) -> String {
        super::words::count(self.others.len() as u64, "session", "sessions")
    }
}

/// One thing that an app may do, in the third person.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The icon's name in the sprite.
    pub icon: &'static str,
    /// Whether it is drawn with care.
    pub care: bool,
    /// "Reads your notes".
    pub text: String,
}

impl Tick {
    /// The line of a scope, said of an app that has it.
    pub fn of(line: &ScopeLine) -> Self {
        let text = match line.group {
            ScopeGroup::Away => "Keeps access while you are away".to_owned(),
            ScopeGroup::Undescribed => format!("{}, which nobody has described", line.sentence),
            _ => third_person(&line.sentence),
        };
        Self {
            icon: if line.group.care() { line.group.icon() } else { "check" },
            care: line.group.care(),
            text,
        }
    }
}

/// An app that a person allowed.
#[derive(Clone, Debug)]
pub struct AppThing {
    /// What stands in the path of the form that removes it.
    pub client_id: String,
    /// Its name and letter.
    pub face: AppFace,
    /// Where it lives: the host of its redirect URI.
    pub host: String,
    /// When it was last used: [`When::on`]; `None` when not yet.
    pub used: Option<When>,
    /// What it may do.
    pub ticks: Vec<Tick>,
}

/// `GET /account/apps`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/account_apps.html")]
pub struct AccountAppsView {
    /// The page.
    pub page: Page,
    /// The apps that the person allowed.
    pub apps: Vec<AppThing>,
    /// The names of those that need no consent here.
    pub organisation: Vec<String>,
}

/// One thing that happened to an account.
#[derive(Clone, Debug)]
pub struct EventLine {
    /// When: [`When::event`].
    pub when: When,
    /// What.
    pub text: String,
}

/// `GET /account/security`, `POST /account/security/password`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/account_security.html")]
pub struct AccountSecurityView {
    /// The page.
    pub page: Page,
    /// The name to sign in with, for password managers.
    pub username: String,
    /// When the password was changed: [`When::full_date`].
    pub changed: Option<When>,
    /// The shortest password.
    pub shortest: usize,
    /// Whether to sign out everywhere else is ticked.
    pub everywhere: bool,
    /// What is to be put right, by [`Faults::PASSWORD`].
    pub faults: Faults,
    /// What happened lately.
    pub events: Vec<EventLine>,
}

impl SessionThing {
    /// The badge of the browser that looks at the page.
    pub fn here() -> Badge {
        Badge::new(Tone::Good, "check", "You are here")
    }
}
