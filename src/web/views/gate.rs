//! The pages at the gate: one card, one thing to read, one thing to do.

use askama::Template;

use super::form::Faults;
use super::page::{AppFace, Page, Viewer};
use super::scopes::ScopeBlock;
use super::words::When;

/// How the sign-in page stands.
#[derive(Clone, Debug)]
pub enum LoginState {
    /// Nothing was tried yet.
    Fresh,
    /// The name or the password was wrong; a sentence about the tries that are left, if that is to be said.
    Wrong {
        /// "You have 3 tries left before a short wait."
        tries: Option<String>,
    },
    /// Too many tries: until when, by the clock, and about how long that is.
    Throttled {
        /// [`When::clock`].
        until: When,
        /// [`super::words::about`].
        about: String,
    },
    /// Something else came back, such as a form that had grown too old.
    Again {
        /// The sentence.
        text: String,
    },
}

/// `GET, POST /login`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/login.html")]
pub struct LoginView {
    /// The page.
    pub page: Page,
    /// The app that asks, if one does.
    pub app: Option<AppFace>,
    /// The sealed request that sign-in goes on with.
    pub request: Option<String>,
    /// What was typed.
    pub username: String,
    /// Whether to stay signed in was ticked.
    pub stay: bool,
    /// How long that lasts: "30 days".
    pub stay_for: String,
    /// How the page stands.
    pub state: LoginState,
}

impl LoginView {
    /// The sentence at the fields, when the last try was wrong.
    pub fn fault(&self) -> bool {
        matches!(self.state, LoginState::Wrong { .. })
    }

    /// Whether there were too many tries.
    pub fn throttled(&self) -> bool {
        matches!(self.state, LoginState::Throttled { .. })
    }

    /// The link that tries again, with the request kept.
    pub fn again(&self) -> String {
        let path = format!("{}/login", self.page.base);
        super::table::href(&path, &[("request", self.request.as_deref().unwrap_or_default())])
    }
}

/// What a person should know of an app that nobody has checked.
#[derive(Clone, Debug)]
pub struct Unreviewed {
    /// When it came: [`When::full_date`].
    pub since: When,
    /// The host of its metadata document, where it has one.
    pub host: Option<String>,
    /// Whether the answer goes to a program on the person's own computer.
    pub this_computer: bool,
}

/// `GET, POST /login/again`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/login_again.html")]
pub struct LoginAgainView {
    /// The page.
    pub page: Page,
    /// The app that asks.
    pub app: AppFace,
    /// Who is asked.
    pub who: Viewer,
    /// The sealed request.
    pub request: String,
    /// The host that cancelling leads back to.
    pub back_to: String,
    /// How the page stands.
    pub state: LoginState,
}

impl LoginAgainView {
    /// Whether the last try was wrong.
    pub fn fault(&self) -> bool {
        matches!(self.state, LoginState::Wrong { .. })
    }

    /// Whether there were too many tries.
    pub fn throttled(&self) -> bool {
        matches!(self.state, LoginState::Throttled { .. })
    }

    /// The link that tries again.
    pub fn again(&self) -> String {
        let path = format!("{}/login/again", self.page.base);
        super::table::href(&path, &[("request", &self.request)])
    }
}

/// One of the accounts that a browser is signed in to.
#[derive(Clone, Debug)]
pub struct AccountLine {
    /// The public id of its sign-in.
    pub session: String,
    /// Whose it is.
    pub who: Viewer,
}

/// `GET, POST /login/accounts`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/login_accounts.html")]
pub struct LoginAccountsView {
    /// The page.
    pub page: Page,
    /// The app that asks, if one does.
    pub app: Option<AppFace>,
    /// The sealed request, if there is one.
    pub request: Option<String>,
    /// The accounts, the one that the browser acts for first.
    pub accounts: Vec<AccountLine>,
    /// Whether there may be one more.
    pub has_room: bool,
}

impl LoginAccountsView {
    /// The link that signs in with another account.
    pub fn another(&self) -> String {
        let path = format!("{}/login", self.page.base);
        let request = self.request.as_deref().unwrap_or_default();
        super::table::href(&path, &[("another", "1"), ("request", request)])
    }
}

/// An answer to an app that a form hands over: `response_mode=form_post`.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/form_post.html")]
pub struct FormPostView {
    /// The page.
    pub page: Page,
    /// The app.
    pub app: AppFace,
    /// The host that the answer goes to.
    pub back_to: String,
    /// The redirect URI.
    pub action: String,
    /// The names and values of the answer.
    pub parameters: Vec<(&'static str, String)>,
}

/// `GET, POST /consent`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/consent.html")]
pub struct ConsentView {
    /// The page.
    pub page: Page,
    /// The app that asks.
    pub app: AppFace,
    /// Who is asked.
    pub who: Viewer,
    /// What it asks for.
    pub scopes: Vec<ScopeBlock>,
    /// Whether some of it was allowed before, so that something new is asked.
    pub again: bool,
    /// The sealed request.
    pub request: String,
    /// The host that either answer leads back to.
    pub back_to: String,
    /// Where nobody has checked the app.
    pub unreviewed: Option<Unreviewed>,
}

impl ConsentView {
    /// Whether the answer goes to a program on the person's own computer, of an app that nobody
    /// has checked.
    pub fn this_computer(&self) -> bool {
        self.unreviewed.as_ref().is_some_and(|doubt| doubt.this_computer)
    }
}

/// `GET /signed-out`, after `POST /logout`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOutView {
    /// The page.
    pub page: Page,
    /// "This browser is still signed in as Ada Fern.", where it is.
    pub others: Option<String>,
    /// The app that somebody may want to go back to.
    pub back: Option<GoBack>,
}

/// A way back to an app.
#[derive(Clone, Debug)]
pub struct GoBack {
    /// Its address, one that the app has registered.
    pub address: String,
    /// The app's name.
    pub name: String,
}

/// `GET /oauth/logout`, where the person is asked first
#[derive(Clone, Debug, Template)]
#[template(path = "pages/logout.html")]
pub struct LogoutView {
    /// The page.
    pub page: Page,
    /// The app that asks, if one says who it is.
    pub app: Option<AppFace>,
    /// Who would be signed out.
    pub who: Viewer,
    /// The id of that sign-in.
    pub account: String,
    /// The sealed request.
    pub request: String,
    /// The names of other apps that stay signed in unless they are named too: "Fern Mail, Moss".
    pub apps: String,
    /// Why the app's request leads nowhere afterwards.
    pub developer: Option<DeveloperFacts>,
}

impl LogoutView {
    /// What is said of the other apps.
    pub fn apps_hint(&self) -> String {
        format!("{}. Phones and other computers stay signed in.", self.apps)
    }
}

/// `GET /logout`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/sign_out.html")]
pub struct SignOutView {
    /// The page.
    pub page: Page,
    /// Who would be signed out: every account of the browser.
    pub who: Vec<AccountLine>,
}

/// What an app's developers need to know of an error.
#[derive(Clone, Debug)]
pub struct DeveloperFacts {
    /// The code of the protocol.
    pub error: String,
    /// The description.
    pub description: String,
    /// The client, if it said who it is.
    pub client: Option<String>,
    /// What it sent that was wrong.
    pub sent: Option<String>,
    /// When, exact.
    pub when: When,
}

/// An error that a person can read, whatever its status.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/error.html")]
pub struct ErrorView {
    /// The page.
    pub page: Page,
    /// What happened, in a few words.
    pub heading: String,
    /// The name of the app that the sentence begins with, if it is about one.
    pub app: Option<String>,
    /// What happened, in a sentence or two.
    pub lead: String,
    /// Whose mistake it is.
    pub whose: String,
    /// What to do.
    pub what: String,
    /// The reference that stands in the log.
    pub reference: String,
    /// The link that the button follows: its path below the base, and its words.
    pub go: Option<(&'static str, &'static str)>,
    /// What the app's developers need.
    pub developer: Option<DeveloperFacts>,
}

impl ErrorView {
    /// There is no such page.
    pub fn not_found(page: Page, reference: String) -> Self {
        Self {
            page,
            heading: "There is no such page".to_owned(),
            app: None,
            lead: "The address may have been typed wrongly, or what stood here is gone.".to_owned(),
            whose: "Nobody’s, most likely. Nothing was changed.".to_owned(),
            what: "Check the address, or start from your account.".to_owned(),
            reference,
            go: Some(("/account", "Go to your account")),
            developer: None,
        }
    }

    /// The page is for administrators.
    pub fn not_allowed(page: Page, reference: String) -> Self {
        Self {
            page,
            heading: "This page is for administrators".to_owned(),
            app: None,
            lead: "You are signed in, but this account can’t look after the site.".to_owned(),
            whose: "Nobody’s. Nothing was changed.".to_owned(),
            what: "If you need this page, ask the people who run this site.".to_owned(),
            reference,
            go: Some(("/account", "Go to your account")),
            developer: None,
        }
    }

    /// A form came back too old, or from elsewhere.
    pub fn stale_form(page: Page, reference: String) -> Self {
        Self {
            page,
            heading: "That form had grown too old".to_owned(),
            app: None,
            lead: "We couldn’t tell that the form came from this browser, so we did nothing with it.".to_owned(),
            whose: "Nobody’s, most likely. It happens when a page was open for long, or cookies were cleared.".to_owned(),
            what: "Go back, load the page again, and send the form once more.".to_owned(),
            reference,
            go: Some(("/account", "Go to your account")),
            developer: None,
        }
    }

    /// The sign-in that a form belongs to is over or unknown.
    pub fn request_gone(page: Page, reference: String) -> Self {
        Self {
            page,
            heading: "This sign-in has run out".to_owned(),
            app: None,
            lead: "It was left open for too long, or was finished in another window.".to_owned(),
            whose: "Nobody’s. Nothing was changed.".to_owned(),
            what: "Go back to the app and start signing in again.".to_owned(),
            reference,
            go: Some(("/account", "Go to your account")),
            developer: None,
        }
    }

    /// The set-up link is used, wrong or out of date.
    pub fn setup_closed(page: Page, reference: String) -> Self {
        Self {
            page,
            heading: "This set-up link doesn’t work any more".to_owned(),
            app: None,
            lead: "It works once, and ends when an administrator exists.".to_owned(),
            whose: "Nobody’s. Nothing was changed.".to_owned(),
            what: "If you are the administrator, sign in. If there is none yet, restart the server: it prints a new link."
                .to_owned(),
            reference,
            go: Some(("/login", "Sign in")),
            developer: None,
        }
    }
}

/// A failure of the server, or its database out of reach.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/error_server.html")]
pub struct ErrorServerView {
    /// The page.
    pub page: Page,
    /// Whether it is only busy (503) rather than broken (500).
    pub busy: bool,
    /// The reference that stands in the log.
    pub reference: String,
}

/// `GET, POST /setup`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/setup.html")]
pub struct SetupView {
    /// The page.
    pub page: Page,
    /// The address that people will sign in at.
    pub issuer: String,
    /// The one-time link's secret.
    pub link: String,
    /// What was typed.
    pub display_name: String,
    /// What was typed.
    pub email: String,
    /// What was typed.
    pub username: String,
    /// The shortest password.
    pub shortest: usize,
    /// What is to be put right, by [`Faults::SETUP`].
    pub faults: Faults,
}

impl SetupView {
    /// What is said of the password.
    pub fn password_hint(&self) -> String {
        format!(
            "At least {} characters. Four words you will remember make a good one.",
            self.shortest
        )
    }
}
