//! The administrators' pages about apps.

use askama::Template;

use super::client_details::ClientDetailsForm;
use super::segment;
use crate::web::views::form::{Choice, Faults};
use crate::web::views::page::{AppFace, Badge, Page, Tone};
use crate::web::views::table::{self, Caption, Column, Head, Pager};

/// A line of the apps table.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// The client ID.
    pub client_id: String,
    /// The app.
    pub app: AppFace,
    /// "Public" or "Confidential".
    pub kind: &'static str,
    /// The hosts it sends people back to.
    pub goes_back_to: String,
    /// "JWT" or "Opaque".
    pub access_token: &'static str,
    /// "5,940".
    pub sessions: String,
    /// Whether somebody looked at it: [`AdminClientsView::check`].
    pub check: Badge,
}

/// `GET /admin/clients`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_clients.html")]
pub struct AdminClientsView {
    /// The page.
    pub page: Page,
    /// The words above the table.
    pub caption: Caption,
    /// From [`AdminClientsView::COLUMNS`].
    pub heads: Vec<Head>,
    /// The apps; none shows the page that says how to register one.
    pub rows: Vec<ClientRow>,
    /// The links under the table.
    pub pager: Pager,
}

impl AdminClientsView {
    /// The columns.
    pub const COLUMNS: [Column; 7] = [
        Column::plain("App"),
        Column::plain("Client ID"),
        Column::plain("Type"),
        Column::plain("Goes back to"),
        Column::plain("Access tokens"),
        Column::plain("Sessions").end(),
        Column::plain("Check"),
    ];

    /// Whether somebody looked at an app.
    pub fn check(reviewed: bool) -> Badge {
        if reviewed {
            Badge::new(Tone::Good, "check", "Reviewed")
        } else {
            Badge::new(Tone::Warn, "alert", "Not reviewed")
        }
    }
}

/// What an administrator should know of an app that nobody has looked at.
#[derive(Clone, Debug)]
pub struct ClientDoubt {
    /// "It registered itself on 23 November 2026."
    pub text: String,
    /// After how long without use it is removed: "30 days".
    pub unused: String,
}

/// `GET /admin/clients/new`, `POST /admin/clients`; `GET, POST /admin/clients/{id}`
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_client.html")]
pub struct AdminClientFormView {
    /// The page.
    pub page: Page,
    /// The app as it is stored, when it is being changed; `None` registers a new one.
    pub stored: Option<AppFace>,
    /// Where nobody has looked at it yet.
    pub doubt: Option<ClientDoubt>,
    /// "5,940 sessions", for a stored app.
    pub sessions: String,
    /// The name typed.
    pub name: String,
    /// The client ID.
    pub client_id: String,
    /// Whether it keeps a secret.
    pub confidential: bool,
    /// How a confidential one says who it is: [`AdminClientFormView::auth_methods`].
    pub auth_methods: Vec<Choice>,
    /// One redirect URI a line.
    pub redirect_uris: String,
    /// One address a line.
    pub post_logout_redirect_uris: String,
    /// Whether it has the authorization code grant.
    pub grant_code: bool,
    /// Whether it has the refresh token grant.
    pub grant_refresh: bool,
    /// Whether PKCE is required of it.
    pub require_pkce: bool,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// Whether people aren't asked.
    pub skip_consent: bool,
    /// The audiences of its access tokens, separated by spaces.
    pub audience: String,
    /// Whether it may ask about tokens whose audience it is.
    pub introspect: bool,
    /// Whether its access tokens are JWTs rather than opaque.
    pub jwt: bool,
    /// Whether its rotation is strict rather than resumable.
    pub strict: bool,
    /// The retry window, in seconds; nothing for the server's own.
    pub retry_window: String,
    /// The server's own retry window: "30 seconds".
    pub usual_window: String,
    /// What it says of itself.
    pub details: ClientDetailsForm,
    /// What is to be put right, by [`Faults::CLIENT`].
    pub faults: Faults,
}

impl AdminClientFormView {
    /// The form of a new app, with defaults that are safe.
    pub fn new(page: Page) -> Self {
        Self {
            page,
            stored: None,
            doubt: None,
            sessions: String::new(),
            name: String::new(),
            client_id: String::new(),
            confidential: false,
            auth_methods: Self::auth_methods("client_secret_basic"),
            redirect_uris: String::new(),
            post_logout_redirect_uris: String::new(),
            grant_code: true,
            grant_refresh: true,
            require_pkce: true,
            scope: "openid profile email offline_access".to_owned(),
            skip_consent: false,
            audience: String::new(),
            introspect: false,
            jwt: true,
            strict: false,
            retry_window: String::new(),
            usual_window: "30 seconds".to_owned(),
            details: ClientDetailsForm::new(|_| String::new()),
            faults: Faults::new(Faults::CLIENT),
        }
    }

    /// The ways in which a confidential app says who it is.
    pub fn auth_methods(chosen: &str) -> Vec<Choice> {
        Choice::list(
            &[
                ("client_secret_basic", "Secret in the Authorization header"),
                ("client_secret_post", "Secret in the body of the request"),
                ("client_secret_jwt", "Assertion signed with the secret"),
                ("private_key_jwt", "Assertion signed with the app’s own key"),
            ],
            chosen,
        )
    }

    /// Whether the rarer fields are shown at once: one of them is filled, or at fault.
    pub fn rarer_open(&self) -> bool {
        self.details.is_filled()
            || ClientDetailsForm::RARER.iter().any(|field| self.faults.of(field).is_some())
    }

    /// Whether it has a secret, which could be a new one.
    pub fn has_secret(&self) -> bool {
        let by_key = |choice: &Choice| choice.chosen && choice.value == "private_key_jwt";
        self.confidential && !self.auth_methods.iter().any(by_key)
    }

    /// The path of the list of apps.
    pub fn clients(&self) -> String {
        format!("{}/admin/clients", self.page.base)
    }

    /// Where the form goes.
    pub fn action(&self) -> String {
        match self.stored {
            Some(_) => self.own(),
            None => format!("{}/admin/clients", self.page.base),
        }
    }

    /// The path of the stored app.
    pub fn own(&self) -> String {
        format!("{}/admin/clients/{}", self.page.base, segment(&self.client_id))
    }

    /// The link to the app's sessions.
    pub fn all_sessions(&self) -> String {
        table::href(&format!("{}/admin/sessions", self.page.base), &[("client", &self.client_id)])
    }
}

/// The page that shows a client secret, once.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/admin_client_secret.html")]
pub struct AdminClientSecretView {
    /// The page.
    pub page: Page,
    /// The name of the app.
    pub name: String,
    /// Whether the app is new, rather than its secret.
    pub created: bool,
    /// The client ID.
    pub client_id: String,
    /// The secret; `None` for a public app, which has none.
    pub secret: Option<String>,
    /// The URL that its developers begin with.
    pub discovery: String,
}
