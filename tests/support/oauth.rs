//! The app's and the browser's side of the OAuth flows, against any server: people, clients,
//! and what each of them sends.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use perennial::crypto::keyring;
use perennial::crypto::passwords::{Cost, Passwords};
use perennial::crypto::random;
use perennial::crypto::root_secret::{RootSecret, Sealer};
use perennial::domain::access_token::AccessTokenFormat;
use perennial::domain::account::Account;
use perennial::domain::client::{AuthMethod, ClientId, ClientMetadata};
use perennial::domain::profile::Field;
use perennial::domain::secret::PlainSecret;
use perennial::domain::token_family::Rotation;
use perennial::protocol::accounts::{self, NewAccount};
use perennial::protocol::act::Act;
use perennial::protocol::{clients, profiles};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::http::{Answer, Http};
use super::local::LocalServer;
use super::logs::Secrets;
use super::server::TestServer;

/// What everybody here signs in with.
pub const PASSWORD: &str = "winter garden gate";

/// What the usual clients may ask for.
pub const SCOPE: &str = "openid profile email offline_access notes.read notes.write";

/// Somebody who may sign in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id, the `sub` of their tokens.
    pub id: String,
    /// What they type.
    pub username: String,
    /// What they type below it.
    pub password: String,
}

/// A registered client, as its developer knows it.
#[derive(Clone, Debug)]
pub struct App {
    /// Its `client_id`.
    pub id: String,
    /// Its secret, if it is confidential.
    pub secret: Option<String>,
    /// Where people come back to.
    pub redirect_uri: String,
}

/// The people and clients of one server.
#[derive(Clone)]
pub struct World {
    /// Where the server answers.
    pub origin: String,
    /// What it calls itself.
    pub issuer: String,
    /// Ada, who uses apps.
    pub person: Person,
    /// Grace, an administrator.
    pub admin: Person,
    /// A public client, with JWT access tokens.
    pub public: App,
    /// A confidential client, with JWT access tokens.
    pub confidential: App,
    /// A public client with opaque access tokens.
    pub opaque: App,
    /// A public client with strict rotation.
    pub strict: App,
    /// A confidential client whose access tokens are for `https://api.example`.
    pub with_audience: App,
    /// An API: a confidential client that may introspect tokens for `https://api.example`.
    pub api: App,
    secrets: Secrets,
}

/// The usual clients, before they are registered.
fn usual_clients() -> Vec<(&'static str, ClientMetadata)> {
    let public = public_client("Meadow Notes");
    let confidential = confidential_client("Fern Mail");
    let audience = vec!["https://api.example".to_owned()];
    vec![
        ("public", public.clone()),
        ("confidential", confidential.clone()),
        (
            "opaque",
            ClientMetadata { access_token_format: AccessTokenFormat::Opaque, ..public.clone() },
        ),
        ("strict", ClientMetadata { rotation: Rotation::Strict, ..public }),
        (
            "with-audience",
            ClientMetadata {
                audience: audience.clone(),
                access_token_format: AccessTokenFormat::Opaque,
                ..confidential.clone()
            },
        ),
        ("api", ClientMetadata { audience, may_introspect: true, ..confidential }),
    ]
}

/// A public client, to be registered by [`World::register`] as it is or changed.
pub fn public_client(name: &str) -> ClientMetadata {
    ClientMetadata {
        redirect_uris: vec!["https://app.example/callback".to_owned()],
        ..ClientMetadata::new(name, AuthMethod::None, SCOPE.parse().unwrap())
    }
}

/// The same, confidential.
pub fn confidential_client(name: &str) -> ClientMetadata {
    ClientMetadata { auth_method: AuthMethod::ClientSecretBasic, ..public_client(name) }
}

impl World {
    /// People and clients for a server of this process, by the acts that commands and pages use.
    pub async fn on(server: &LocalServer) -> World {
        let person = add_person(server, "ada", false).await;
        let admin = add_person(server, "grace", true).await;
        let mut apps = Vec::new();
        for (id, metadata) in usual_clients() {
            apps.push(register(server, id, metadata).await);
        }
        World::of(&server.origin, &server.issuer, person, admin, &apps, Secrets::default())
    }

    /// People and clients for the real binary, by its commands.
    pub fn by_commands(server: &TestServer) -> World {
        let installation = &server.installation;
        server.secrets.remember("password", PASSWORD);
        let add = |name: &str, more: &[&str]| {
            let email = format!("{name}@northfield.example");
            let line = ["user", "add", name, "--email", &email, "--password-stdin", "--json"];
            let output = installation.run_with_input([&line[..], more].concat(), PASSWORD);
            Person {
                id: output.ok().json()["id"].as_str().unwrap().to_owned(),
                username: name.to_owned(),
                password: PASSWORD.to_owned(),
            }
        };
        let (person, admin) = (add("ada", &[]), add("grace", &["--admin"]));
        let apps: Vec<App> = usual_clients()
            .into_iter()
            .map(|(id, metadata)| {
                let kind = if metadata.is_public() { "public" } else { "confidential" };
                let mut line = vec!["client", "add", "--id", id, "--name", &metadata.name];
                line.extend(["--type", kind, "--scope", SCOPE]);
                line.extend(["--redirect-uri", &metadata.redirect_uris[0]]);
                line.extend(["--rotation", metadata.rotation.name()]);
                line.extend(["--access-token", metadata.access_token_format.name()]);
                for audience in &metadata.audience {
                    line.extend(["--audience", audience]);
                }
                if metadata.may_introspect {
                    line.push("--introspect");
                }
                let answer = installation.json(&line);
                server.secrets.remember_answer(&answer);
                App {
                    id: id.to_owned(),
                    secret: answer["client_secret"].as_str().map(str::to_owned),
                    redirect_uri: metadata.redirect_uris[0].clone(),
                }
            })
            .collect();
        let origin = server.origin();
        World::of(&origin, &origin, person, admin, &apps, server.secrets.clone())
    }

    fn of(
        origin: &str,
        issuer: &str,
        person: Person,
        admin: Person,
        apps: &[App],
        secrets: Secrets,
    ) -> World {
        let app = |id: &str| apps.iter().find(|app| app.id == id).unwrap().clone();
        World {
            origin: origin.to_owned(),
            issuer: issuer.to_owned(),
            person,
            admin,
            public: app("public"),
            confidential: app("confidential"),
            opaque: app("opaque"),
            strict: app("strict"),
            with_audience: app("with-audience"),
            api: app("api"),
            secrets,
        }
    }

    /// A browser that nobody has signed in with.
    pub fn browser(&self) -> Browser {
        Browser { http: Http::new(&self.origin), world: self.clone() }
    }

    /// A browser that this person has signed in with.
    pub async fn sign_in(&self, person: &Person) -> Browser {
        let browser = self.browser();
        let login = browser.http.get("/login").await.expect(200);
        browser.type_password(&login, person).await.expect(303);
        browser
    }

    /// An app on one device, with a user agent of its own.
    pub fn device(&self, app: &App) -> Device {
        self.device_called(app, "Meadow/1.0 (test)")
    }

    /// The same, with this user agent: another caller.
    pub fn device_called(&self, app: &App, agent: &str) -> Device {
        Device {
            http: Http::new(&self.origin).with_header("user-agent", agent),
            app: app.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// The whole way from sign-in to the first tokens, in a browser of its own.
    pub async fn tokens(&self, app: &App) -> Tokens {
        self.tokens_for(app, SCOPE).await
    }

    /// The same, asking for this scope.
    pub async fn tokens_for(&self, app: &App, scope: &str) -> Tokens {
        let browser = self.sign_in(&self.person).await;
        let code = browser.code(&Request::of(app).with("scope", scope)).await;
        self.device(app).exchange(&code).await.tokens()
    }
}

/// Adds a person to a server of this process. The password is [`PASSWORD`].
pub async fn add_person(server: &LocalServer, name: &str, is_admin: bool) -> Person {
    let cost = Cost { memory_kib: 8, iterations: 1, parallelism: 1 };
    let passwords = Passwords::new(cost, 1).unwrap();
    let hash = passwords.hash(PlainSecret::new(PASSWORD)).await.unwrap();
    let new = NewAccount {
        username: name.to_owned(),
        email: format!("{name}@northfield.example"),
        display_name: name.to_owned(),
        is_admin,
    };
    let act = Act::operator(server.now());
    let account = server
        .db
        .write(move |connection| accounts::add(connection, &new, hash, &act))
        .await
        .unwrap();
    Person { id: account.id.to_string(), username: name.to_owned(), password: PASSWORD.to_owned() }
}

/// Fills in everything that a person can say of themselves; the email address is confirmed.
pub async fn fill_profile(server: &LocalServer, person: &Person) {
    let texts = [
        (Field::GivenName, "Ada"),
        (Field::MiddleName, "May"),
        (Field::FamilyName, "Fern"),
        (Field::Nickname, "Ad"),
        (Field::Gender, "female"),
        (Field::Birthdate, "0000-12-24"),
        (Field::Picture, "https://ada.example/me.png"),
        (Field::Profile, "https://people.example/ada"),
        (Field::Website, "https://ada.example/"),
        (Field::Zoneinfo, "Europe/London"),
        (Field::Locale, "en-GB"),
        (Field::PhoneNumber, "+44 20 7946 0958"),
        (Field::StreetAddress, "2 Fern Walk\nFlat 3"),
        (Field::Locality, "Leeds"),
        (Field::Region, "West Yorkshire"),
        (Field::PostalCode, "LS1 4AP"),
        (Field::Country, "United Kingdom"),
        (Field::Formatted, "Ada Fern\n2 Fern Walk\nLeeds"),
    ];
    let rule = move |account: &mut Account| {
        account.email_verified = true;
        for (field, text) in texts {
            account.profile.set(field, text).unwrap();
        }
    };
    let (id, act) = (person.id.parse().unwrap(), Act::operator(server.now()));
    let changed = server
        .db
        .write(move |connection| profiles::change(connection, id, rule, &act))
        .await
        .unwrap();
    assert_eq!(changed.unwrap().names.len(), 19);
}

/// Registers a client with a server of this process.
pub async fn register(server: &LocalServer, id: &str, metadata: ClientMetadata) -> App {
    let redirect_uri = metadata.redirect_uris.first().cloned().unwrap_or_default();
    let (own_id, act) = (ClientId::parse(id).unwrap(), Act::operator(server.now()));
    let sealer = client_sealer(server);
    let (client, secret) = server
        .db
        .write(move |connection| {
            clients::register(connection, Some(&sealer), own_id, metadata, &act)
        })
        .await
        .unwrap();
    App {
        id: client.id.to_string(),
        secret: secret.map(|secret| secret.reveal().to_owned()),
        redirect_uri,
    }
}

/// What seals the secrets that clients sign with, by the server's key file.
pub fn client_sealer(server: &LocalServer) -> Sealer {
    let file = server.database.folder().join("keys/perennial.key");
    keyring::client_secrets(&RootSecret::load_or_create(&file).unwrap())
}

/// A PKCE verifier and its challenge (RFC 7636).
#[derive(Clone, Debug)]
pub struct Pkce {
    /// What the app keeps.
    pub verifier: String,
    /// What it sends ahead.
    pub challenge: String,
}

impl Pkce {
    /// A fresh pair.
    pub fn new() -> Pkce {
        Pkce::of(random::secret("").reveal())
    }

    /// The pair of a verifier.
    pub fn of(verifier: &str) -> Pkce {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        Pkce { verifier: verifier.to_owned(), challenge }
    }
}

/// An authorization request, to be changed before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its parameters, in order.
    pub parameters: Vec<(String, String)>,
    /// What the exchange will need.
    pub pkce: Pkce,
}

impl Request {
    /// A good one, for everything that the usual clients may ask for.
    pub fn of(app: &App) -> Request {
        let pkce = Pkce::new();
        let parameters = [
            ("response_type", "code"),
            ("client_id", &app.id),
            ("redirect_uri", &app.redirect_uri),
            ("scope", SCOPE),
            ("state", "a state & more"),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", "S256"),
        ];
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Request { parameters, pkce }
    }

    /// With this value in place of what stands under the name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Request {
        match self.parameters.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = value.to_owned(),
            None => self.parameters.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Without this parameter.
    #[must_use]
    pub fn without(mut self, name: &str) -> Request {
        self.parameters.retain(|(own, _)| own != name);
        self
    }

    /// With one more of a name that may stand there already.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Request {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Path and query.
    pub fn path(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.parameters)
            .finish();
        format!("/oauth/authorize?{query}")
    }

    fn get(&self, name: &str) -> Option<String> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }
}

/// A code as the app holds it, with all that the exchange needs.
#[derive(Clone, Debug)]
pub struct GivenCode {
    /// The code.
    pub code: String,
    /// The verifier; none where the request had no challenge.
    pub verifier: Option<String>,
    /// The redirect URI; none where the request named none.
    pub redirect_uri: Option<String>,
}

/// A person's browser.
pub struct Browser {
    /// Its cookies and requests.
    pub http: Http,
    world: World,
}

impl Browser {
    /// Submits the sign-in form of a page.
    pub async fn type_password(&self, login: &Answer, person: &Person) -> Answer {
        let form = login.form("form[action$='/login']");
        let fields = [("username", person.username.as_str()), ("password", &person.password)];
        self.http.submit(&form, &fields).await
    }

    /// Opens an authorization request and goes as far as it leads without an answer from the
    /// person: the sign-in page, the consent page, an error page, or a redirect to the app.
    pub async fn open(&self, request: &Request) -> Answer {
        let answer = self.http.get(&request.path()).await;
        self.http.follow(answer).await
    }

    /// Presses a button of the consent page: `allow` or `deny`.
    pub async fn decide(&self, consent: &Answer, decision: &str) -> Answer {
        let form = consent.form("form[action$='/consent']");
        self.http.submit(&form, &[("decision", decision)]).await
    }

    /// Opens a request, signs in and consents where that is asked; the redirect to the app.
    pub async fn allow(&self, request: &Request) -> Answer {
        let mut answer = self.open(request).await;
        if !answer.forms("form[action$='/login']").is_empty() {
            let signed_in = self.type_password(&answer, &self.world.person).await.expect(303);
            answer = self.http.follow(signed_in).await;
        }
        if answer.location().is_none() {
            answer = self.decide(&answer, "allow").await;
        }
        answer
    }

    /// The code that a request leads to.
    pub async fn code(&self, request: &Request) -> GivenCode {
        let answer = self.allow(request).await.expect(303);
        let code = answer.location_parameter("code");
        let code = code.unwrap_or_else(|| panic!("no code: {:?}", answer.location()));
        self.world.secrets.remember("code", &code);
        self.world.secrets.remember("code_verifier", &request.pkce.verifier);
        let challenged = request.get("code_challenge").is_some();
        GivenCode {
            code,
            verifier: challenged.then(|| request.pkce.verifier.clone()),
            redirect_uri: request.get("redirect_uri"),
        }
    }
}

/// An app on one device: what it sends to the endpoints, with its own authentication and
/// user agent.
pub struct Device {
    /// Its connection.
    pub http: Http,
    /// The app.
    pub app: App,
    secrets: Secrets,
}

impl Device {
    /// The same app on the same device, talking to another node.
    pub fn at(&self, origin: &str, agent: &str) -> Device {
        Device {
            http: Http::new(origin).with_header("user-agent", agent),
            app: self.app.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// Posts a form to an endpoint, authenticated as the app is registered to be.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.request(Method::POST, path);
        let answer = match &self.app.secret {
            Some(secret) => {
                let header = basic(&self.app.id, secret);
                self.http.send(request.header("authorization", header).form(fields)).await
            }
            None => {
                let mut all = vec![("client_id", self.app.id.as_str())];
                all.extend(fields);
                self.http.send(request.form(&all)).await
            }
        };
        if let Ok(body) = serde_json::from_str(&answer.body) {
            self.secrets.remember_answer(&body);
        }
        answer
    }

    /// Exchanges a code for tokens.
    pub async fn exchange(&self, code: &GivenCode) -> Answer {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", &code.code)];
        if let Some(verifier) = &code.verifier {
            fields.push(("code_verifier", verifier));
        }
        if let Some(redirect_uri) = &code.redirect_uri {
            fields.push(("redirect_uri", redirect_uri));
        }
        self.post("/oauth/token", &fields).await
    }

    /// Refreshes.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    /// Refreshes, asking for a scope.
    pub async fn refresh_for(&self, token: &str, scope: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        self.post("/oauth/token", &fields).await
    }

    /// Revokes a token.
    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("/oauth/revoke", &[("token", token)]).await
    }

    /// Asks who the person of an access token is.
    pub async fn userinfo(&self, token: &str) -> Answer {
        let request = self.http.request(Method::GET, "/oauth/userinfo");
        self.http.send(request.bearer_auth(token)).await
    }

    /// Asks about a token.
    pub async fn introspect(&self, token: &str) -> Value {
        self.introspect_answer(token).await.expect(200).json()
    }

    /// The same; the whole answer.
    pub async fn introspect_answer(&self, token: &str) -> Answer {
        self.post("/oauth/introspect", &[("token", token)]).await
    }
}

/// The Authorization header of a client (RFC 6749 section 2.3.1).
pub fn basic(id: &str, secret: &str) -> String {
    let encode =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

/// A good answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The whole answer.
    pub answer: Value,
    /// The access token.
    pub access: String,
    /// The refresh token; empty when there is none.
    pub refresh: String,
}

impl Tokens {
    /// The claims of an access token that is a JWT, unverified.
    pub fn claims(&self) -> Value {
        jwt_part(&self.access, 1)
    }

    /// The session's id.
    pub fn session(&self) -> String {
        self.claims()["sid"].as_str().unwrap().to_owned()
    }

    /// Seconds that the access token has left.
    pub fn expires_in(&self) -> i64 {
        self.answer["expires_in"].as_i64().unwrap()
    }
}

/// A part of a JWT as JSON, unverified: 0 is its header, 1 its claims.
#[track_caller]
pub fn jwt_part(token: &str, part: usize) -> Value {
    let encoded = token.split('.').nth(part).unwrap_or_else(|| panic!("not a JWT: {token}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

/// What the token endpoint's answers are asked for.
pub trait TokenEndpoint {
    /// The tokens of a good answer; fails with any other.
    fn tokens(self) -> Tokens;
    /// Fails unless it is this refusal, by RFC 6749 section 5.2; its description.
    fn refused(self, status: u16, code: &str) -> String;
}

impl TokenEndpoint for Answer {
    #[track_caller]
    fn tokens(self) -> Tokens {
        let answer = self.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let json = answer.json();
        assert_eq!(json["token_type"], "Bearer", "{json}");
        Tokens {
            access: json["access_token"].as_str().unwrap().to_owned(),
            refresh: json["refresh_token"].as_str().unwrap_or_default().to_owned(),
            answer: json,
        }
    }

    #[track_caller]
    fn refused(self, status: u16, code: &str) -> String {
        let answer = self.expect(status);
        assert_eq!(answer.header("cache-control"), "no-store");
        let json = answer.json();
        assert_eq!(json["error"], code, "{json}");
        assert!(json.get("access_token").is_none(), "{json}");
        json["error_description"].as_str().unwrap().to_owned()
    }
}

/// Where a redirect to the app leads, without its query.
#[track_caller]
pub fn landing(answer: &Answer) -> String {
    let mut location: Url =
        answer.location().unwrap_or_else(|| panic!("no redirect: {}", answer.body));
    location.set_query(None);
    location.into()
}
