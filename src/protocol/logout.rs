//! OpenID Connect RP-Initiated Logout: what an app's request to sign somebody out means. Only
//! to a registered address does it send anybody, and only where the app is known by a genuine
//! ID token, or else after the person has said yes.

use super::authorize::with_query;
use super::id_token::{self, Hint};
use super::subject;
use crate::crypto::keyring::Keyring;
use crate::domain::client::{Client, ClientId};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::storage::{Connection, Result, clients};

/// Those that may stand once only. `logout_hint` and `ui_locales` are taken and not needed: who
/// is signed in here stands in the session, and the pages have one language.
const SINGLE: [&str; 6] = [
    "id_token_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "logout_hint",
    "ui_locales",
];

/// A request that can be gone on with.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The app that asks, where it says so.
    pub app: Option<Client>,
    /// The genuine ID token that it shows.
    pub hint: Option<Hint>,
    /// Where the person goes afterwards.
    pub back: Option<Back>,
    /// Why they go nowhere although the app asks for it; for its developers.
    pub problem: Option<&'static str>,
}

/// A registered address, and what the app wants back with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// The address.
    pub uri: String,
    /// The app's state.
    pub state: Option<String>,
}

impl Back {
    /// The whole address to send the browser to.
    pub fn location(&self) -> String {
        match &self.state {
            Some(state) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                with_query(&self.uri, &query.append_pair("state", state).finish())
            }
            None => self.uri.clone(),
        }
    }
}

/// A request that is wrong in itself. Told on a page; nobody is sent anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong with it.
    pub description: String,
    /// The app's name, where it is known.
    pub app: Option<String>,
    /// What it said that it is.
    pub client_id: Option<String>,
    /// What it sent that was wrong.
    pub sent: Option<String>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The app shows that it belongs to this very sign-in: end it without a question.
    SignOut(BrowserSessionId),
    /// Ask the person first whether to end this one.
    Ask(BrowserSessionId),
    /// Nobody is signed in: back to the app.
    GoBack(Back),
    /// Nobody is signed in: say so, and where the app would like the person to go.
    Say(Option<Back>),
}

/// Checks a request.
pub fn check(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    parameters: &[(String, String)],
) -> Result<std::result::Result<Asked, Refused>> {
    let get = |name: &str| {
        let own = parameters.iter().find(|(own, _)| own == name);
        own.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let client_id = get("client_id");
    let refused = |description: String, app: Option<&Client>, sent: Option<&str>| Refused {
        description,
        app: app.map(|app| app.metadata.name.clone()),
        client_id: app.map(|app| app.id.to_string()).or_else(|| client_id.map(str::to_owned)),
        sent: sent.map(str::to_owned),
    };
    let twice = |name: &&&str| parameters.iter().filter(|(own, _)| own == **name).count() > 1;
    if let Some(name) = SINGLE.iter().find(twice) {
        return Ok(Err(refused(format!("{name} stands more than once"), None, None)));
    }
    let (hint, mut problem) = match get("id_token_hint") {
        None => (None, None),
        Some(text) => match id_token::read_hint(keyring, issuer, text) {
            Some(hint) => (Some(hint), None),
            None => (None, Some("id_token_hint is not an ID token that this server has signed")),
        },
    };
    let of_hint = match (&hint, client_id) {
        (Some(hint), Some(id)) if !hint.audience.iter().any(|own| own == id) => {
            let description = "client_id is not the client that the id_token_hint was given to";
            return Ok(Err(refused(description.to_owned(), None, None)));
        }
        (Some(hint), None) => hint.audience.first().map(String::as_str),
        _ => None,
    };
    let app = match (client_id.or(of_hint)).map(ClientId::parse) {
        Some(Ok(id)) => clients::find(connection, &id)?,
        _ => None,
    };
    match (&app, client_id, &hint) {
        (None, Some(id), None) if problem.is_none() => {
            let description = "client_id is not known to this server".to_owned();
            return Ok(Err(refused(description, None, Some(id))));
        }
        (None, _, Some(_)) => problem = Some("the client of the id_token_hint is gone"),
        _ => {}
    }
    // A hint that isn't ours says nothing, not even who asks.
    let app = app.filter(|_| problem.is_none());
    let back = match (get("post_logout_redirect_uri"), &app) {
        (None, _) => None,
        (Some(uri), Some(app)) => {
            if !app.metadata.post_logout_redirect_uris.iter().any(|own| own == uri) {
                let description =
                    "post_logout_redirect_uri is not one that is registered for this client";
                return Ok(Err(refused(description.to_owned(), Some(app), Some(uri))));
            }
            Some(Back { uri: uri.to_owned(), state: get("state").map(str::to_owned) })
        }
        (Some(_), None) => {
            problem = problem.or(Some(
                "post_logout_redirect_uri was sent without an id_token_hint or a client_id",
            ));
            None
        }
    };
    Ok(Ok(Asked { hint: hint.filter(|_| app.is_some()), app, back, problem }))
}

impl Asked {
    /// What is done where these sign-ins are in this browser, the one that it acts for first.
    pub fn step(&self, keyring: &Keyring, here: &[(BrowserSessionId, UserId)]) -> Step {
        if let Some((session, _)) = here.iter().find(|who| self.belongs_to(keyring, who)) {
            return Step::SignOut(*session);
        }
        let meant = here.iter().find(|(_, user)| self.is_about(keyring, *user));
        match (meant.or(here.first()), &self.hint, &self.back) {
            (Some((session, _)), ..) => Step::Ask(*session),
            (None, Some(_), Some(back)) => Step::GoBack(back.clone()),
            (None, _, back) => Step::Say(back.clone()),
        }
    }

    /// Whether the hint is of this very sign-in and person (section 2: anything else must be
    /// asked about).
    fn belongs_to(&self, keyring: &Keyring, (session, user): &(BrowserSessionId, UserId)) -> bool {
        let (Some(app), Some(hint)) = (&self.app, &self.hint) else { return false };
        self.is_about(keyring, *user)
            && hint.sid.as_deref() == Some(keyring.sid(*session, &app.id).as_str())
    }

    /// Whether the hint is about this person.
    fn is_about(&self, keyring: &Keyring, user: UserId) -> bool {
        let (Some(app), Some(hint)) = (&self.app, &self.hint) else { return false };
        hint.subject == subject::of(keyring, app, user)
    }
}
