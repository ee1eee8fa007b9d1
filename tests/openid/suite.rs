//! A relying party that believes nothing: it goes by discovery, signs people in, and checks what
//! comes back.

use std::collections::BTreeMap;

use perennial::domain::client::{AuthMethod, ClientMetadata};
use serde_json::Value;
use url::Url;

use super::checks;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{self, App, Browser, Device, Request, World, confidential_client};
use crate::support::process::Installation;

/// What the suite's clients may ask for.
pub const SCOPE: &str = "openid profile email address phone offline_access";

/// Where the suite waits.
pub const CALLBACK: &str = "https://suite.example/test/a/perennial/callback";
/// Where it waits for people who signed out.
pub const SIGNED_OUT: &str = "https://suite.example/test/a/perennial/post_logout_redirect";

/// How answers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the query.
    Query,
    /// As a form that is posted.
    FormPost,
}

/// Both.
pub const MODES: [Mode; 2] = [Mode::Query, Mode::FormPost];

/// A plan in progress.
pub struct Suite {
    pub server: LocalServer,
    pub world: World,
    /// What the server says of itself.
    pub discovery: Value,
    /// The first client, with `client_secret_basic`.
    pub client: App,
    /// The second.
    pub other: App,
}

/// A client as the plans register it: without PKCE.
pub fn client(name: &str) -> ClientMetadata {
    ClientMetadata {
        redirect_uris: vec![CALLBACK.to_owned()],
        post_logout_redirect_uris: vec![SIGNED_OUT.to_owned()],
        scope: SCOPE.parse().unwrap(),
        require_pkce: false,
        ..confidential_client(name)
    }
}

impl Suite {
    pub async fn begin(database: TestDatabase) -> Suite {
        Suite::begin_with(database, &[]).await
    }

    pub async fn begin_with(database: TestDatabase, settings: &[(&str, &str)]) -> Suite {
        let server = LocalServer::start_with(database, settings).await;
        let world = World::on(&server).await;
        let client = oauth::register(&server, "suite-1", self::client("Suite one")).await;
        let other = oauth::register(&server, "suite-2", self::client("Suite two")).await;
        let discovery =
            server.http().get("/.well-known/openid-configuration").await.expect(200).json();
        Suite { server, world, discovery, client, other }
    }

    /// Gives the person everything that a profile may say.
    pub async fn fill_profile(&self) {
        let commands = Installation::on(&self.server.database);
        let line = [
            &["user", "update", "ada"][..],
            &["--given-name", "Ada", "--family-name", "Fern", "--middle-name", "Maria"],
            &["--nickname", "addy", "--profile", "https://ada.example/about"],
            &["--picture", "https://ada.example/ada.png", "--website", "https://ada.example"],
            &["--gender", "female", "--birthdate", "1985-12-10"],
            &["--zoneinfo", "Europe/London", "--locale", "en-GB"],
            &["--phone-number", "+441632960123", "--phone-number-verified", "true"],
            &["--email-verified", "true", "--street-address", "7 Garden Lane"],
            &["--locality", "Northfield", "--postal-code", "NF1 2AB", "--country", "GB"],
        ]
        .concat();
        commands.run(line).ok();
    }

    /// Registers one more client.
    pub async fn register(&self, id: &str, metadata: ClientMetadata) -> App {
        oauth::register(&self.server, id, metadata).await
    }

    /// An endpoint's address.
    #[track_caller]
    pub fn endpoint(&self, member: &str) -> String {
        self.discovery[member].as_str().unwrap_or_else(|| panic!("no {member}")).to_owned()
    }

    /// An authorization request of the first client, as the plans send it: without PKCE.
    pub fn ask(&self, mode: Mode) -> Request {
        self.ask_for(&self.client, mode)
    }

    /// The same of another client.
    pub fn ask_for(&self, app: &App, mode: Mode) -> Request {
        let random = || perennial::crypto::random::secret("").reveal()[..12].to_owned();
        let request = Request::of(app)
            .without("code_challenge")
            .without("code_challenge_method")
            .with("scope", "openid")
            .with("state", &random())
            .with("nonce", &random());
        match mode {
            Mode::Query => request,
            Mode::FormPost => request.with("response_mode", "form_post"),
        }
    }

    /// The app's side of the back channel.
    pub fn device(&self, app: &App) -> Device {
        self.world.device(app)
    }

    /// Opens a request in a browser, does what the pages ask of the person, and gives the app's
    /// callback with the screens that were seen.
    pub async fn go(&self, browser: &Browser, request: &Request) -> Visit {
        let path = request.path();
        let answer = browser.http.get(&path).await;
        self.go_on(browser, answer, request).await
    }

    /// The same from an answer on.
    pub async fn go_on(&self, browser: &Browser, answer: Answer, request: &Request) -> Visit {
        let mut screens = Vec::new();
        let mut answer = browser.http.follow(answer).await;
        for _ in 0..6 {
            let screen = Screen::of(&answer, request);
            match screen {
                Screen::Login => {
                    let form = answer.form("form:has(input[type=password])");
                    let mut typed = vec![("password", self.world.person.password.as_str())];
                    if form.value("username").is_some() {
                        typed.push(("username", &self.world.person.username));
                    }
                    screens.push(screen);
                    // Nobody types within the moment in which a page is drawn.
                    self.server.travel_seconds(1);
                    let signed_in = browser.http.submit(&form, &typed).await.expect(303);
                    answer = browser.http.follow(signed_in).await;
                }
                Screen::Consent => {
                    screens.push(screen);
                    let allowed = browser.decide(&answer, "allow").await;
                    answer = browser.http.follow(allowed).await;
                }
                Screen::Callback | Screen::Error => {
                    return Visit { screens, end: screen, answer };
                }
            }
        }
        panic!("no end after {screens:?}: {}", answer.body);
    }

    /// A whole sign-in with everything that the suite checks of each.
    pub async fn login(&self, browser: &Browser, request: &Request) -> Login {
        self.login_as(browser, &self.client, request).await
    }

    /// The same with another client.
    pub async fn login_as(&self, browser: &Browser, app: &App, request: &Request) -> Login {
        let visit = self.go(browser, request).await;
        let callback = visit.callback(request, &self.server.issuer);
        let code = callback.get("code").unwrap_or_else(|| panic!("no code: {callback:?}")).clone();
        self.exchange(app, request, &code, visit.screens).await
    }

    /// From the code to the tokens.
    pub async fn exchange(
        &self,
        app: &App,
        request: &Request,
        code: &str,
        screens: Vec<Screen>,
    ) -> Login {
        let answer = self.device(app).post("/oauth/token", &exchange_of(request, code)).await;
        let answer = checks::token_answer(answer);
        let id_token = answer["id_token"].as_str().expect("an ID token").to_owned();
        let jwks = self.jwks().await;
        let claims = checks::id_token(&jwks, &id_token, &self.server, app, request, &answer);
        for name in ["access_token", "refresh_token"] {
            answer[name].as_str().into_iter().for_each(|secret| checks::entropy(name, secret));
        }
        checks::entropy("code", code);
        Login { screens, code: code.to_owned(), answer, id_token, claims }
    }

    /// The keys, as they are now, found sound.
    pub async fn jwks(&self) -> Value {
        let jwks = self.server.http().get(&self.endpoint("jwks_uri")).await.expect(200).json();
        checks::jwks(&jwks);
        jwks
    }

    /// UserInfo by GET.
    pub async fn userinfo(&self, access_token: &str) -> Answer {
        let http = Http::new(&self.server.origin);
        let request = http.request(reqwest::Method::GET, &self.endpoint("userinfo_endpoint"));
        http.send(request.bearer_auth(access_token)).await
    }

    /// Its claims, of the right types, for the person of the ID token.
    pub async fn userinfo_of(&self, login: &Login) -> Value {
        let answer = self.userinfo(login.access()).await.expect(200);
        assert!(answer.header("content-type").starts_with("application/json"));
        let claims = answer.json();
        assert_eq!(claims["sub"], login.claims["sub"]);
        checks::standard_claims(&claims);
        claims
    }

    /// `prompt=none` in this browser: what comes back.
    pub async fn silently(&self, browser: &Browser, request: Request) -> BTreeMap<String, String> {
        let request = request.with("prompt", "none");
        let visit = self.go(browser, &request).await;
        assert_eq!(visit.screens, [], "prompt=none shows nothing");
        visit.callback(&request, &self.server.issuer)
    }
}

/// The token request for a code.
pub fn exchange_of<'a>(request: &'a Request, code: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", code)];
    if let Some(uri) = parameter(request, "redirect_uri") {
        fields.push(("redirect_uri", uri));
    }
    if parameter(request, "code_challenge").is_some() {
        fields.push(("code_verifier", &request.pkce.verifier));
    }
    fields
}

/// A parameter of a request.
pub fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// What a person sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Who are you?
    Login,
    /// May it?
    Consent,
    /// Back at the app.
    Callback,
    /// A page that says what went wrong, and no way to the app.
    Error,
}

impl Screen {
    fn of(answer: &Answer, request: &Request) -> Screen {
        let callback = parameter(request, "redirect_uri").unwrap_or(CALLBACK);
        let leads_back = |url: &str| url.split(['?', '#']).next() == callback.split('?').next();
        if answer.location().is_some_and(|url| leads_back(url.as_str()))
            || answer.forms("form").iter().any(|form| leads_back(&form.action))
        {
            Screen::Callback
        } else if !answer.forms("form:has(input[type=password])").is_empty() {
            Screen::Login
        } else if !answer.forms("form:has([name=decision])").is_empty() {
            Screen::Consent
        } else {
            assert!((400..500).contains(&answer.status.as_u16()), "{}", answer.body);
            assert!(answer.header("content-type").starts_with("text/html"), "{}", answer.body);
            Screen::Error
        }
    }
}

/// What a request came to.
pub struct Visit {
    /// The screens before its end.
    pub screens: Vec<Screen>,
    pub end: Screen,
    pub answer: Answer,
}

impl Visit {
    /// The callback's parameters, found as the suite wants them.
    #[track_caller]
    pub fn callback(&self, request: &Request, issuer: &str) -> BTreeMap<String, String> {
        assert_eq!(self.end, Screen::Callback, "{}", self.answer.body);
        let parameters = match parameter(request, "response_mode") {
            Some("form_post") => self.posted(),
            _ => self.redirected(request),
        };
        let state = parameters.get("state").map(String::as_str);
        assert_eq!(state, parameter(request, "state"), "{parameters:?}");
        assert_eq!(parameters.get("iss").map(String::as_str), Some(issuer));
        if parameters.contains_key("error") {
            checks::error_callback(&parameters);
        }
        parameters
    }

    #[track_caller]
    fn redirected(&self, request: &Request) -> BTreeMap<String, String> {
        let url = self.answer.location().expect("a redirect");
        assert_eq!(url.fragment(), None, "{url}");
        let mut parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        // What stood in the redirect URI itself stands there still.
        let sent = parameter(request, "redirect_uri").unwrap_or(CALLBACK);
        for (name, value) in Url::parse(sent).unwrap().query_pairs() {
            assert_eq!(parameters.remove(&*name).as_deref(), Some(&*value), "{url}");
        }
        parameters
    }

    #[track_caller]
    fn posted(&self) -> BTreeMap<String, String> {
        assert_eq!(self.answer.status, 200);
        let form = self.answer.form("form");
        assert_eq!(form.method, reqwest::Method::POST);
        assert!(!form.action.contains("code=") && !form.action.contains("error="));
        let policy = self.answer.header("content-security-policy");
        assert!(policy.contains("form-action") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(self.answer.header("cache-control"), "no-store");
        assert!(self.answer.body.contains("<button"), "a person without scripts needs a button");
        form.fields.into_iter().collect()
    }
}

/// A sign-in that was found good.
pub struct Login {
    pub screens: Vec<Screen>,
    pub code: String,
    pub answer: Value,
    pub id_token: String,
    pub claims: Value,
}

impl Login {
    pub fn access(&self) -> &str {
        self.answer["access_token"].as_str().unwrap()
    }

    #[track_caller]
    pub fn refresh(&self) -> &str {
        self.answer["refresh_token"].as_str().expect("a refresh token")
    }
}

/// A client that sends its secret in the body.
pub fn posting_client() -> ClientMetadata {
    ClientMetadata { auth_method: AuthMethod::ClientSecretPost, ..client("Suite posting") }
}
