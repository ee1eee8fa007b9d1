//! Apps that sign: what they authenticate with, and their requests.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial::crypto::random;
use perennial::crypto::signing::{Algorithm, SigningKey, generate};
use perennial::domain::client::{AuthMethod, ClientMetadata};
use perennial::domain::client_details::ClientDetails;
use perennial::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::http::{Answer, Http};
use super::local::LocalServer;
use super::oauth::{
    App, GivenCode, Request, TokenEndpoint, Tokens, World, confidential_client, register,
};

/// What an assertion says that it is.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key pair of an app's.
pub struct Signer(pub SigningKey);

impl Signer {
    /// A new pair.
    pub fn new(algorithm: Algorithm) -> Signer {
        Signer(SigningKey::from_private(algorithm, &generate(algorithm).unwrap()).unwrap())
    }

    /// Its public half, as a set.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.0.public]})
    }

    /// Signs.
    pub fn sign(&self, claims: &Value) -> String {
        self.0.sign("JWT", claims).unwrap()
    }
}

/// A JWT by HMAC, with this `alg` in its header.
pub fn sign_by_secret(algorithm: &str, secret: &[u8], claims: &Value) -> String {
    use jsonwebtoken::{EncodingKey, Header};
    let header = Header::new(algorithm.parse().unwrap());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A JWT with this header and signature.
pub fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// The claims of a good assertion.
pub fn claims(client: &str, audience: &str, now: Timestamp) -> Value {
    json!({
        "iss": client,
        "sub": client,
        "aud": audience,
        "jti": random::secret("").reveal(),
        "iat": now.as_seconds(),
        "exp": now.as_seconds() + 60,
    })
}

/// A client that signs with a key of its own.
pub fn signing_client(name: &str, keys: &Value) -> ClientMetadata {
    ClientMetadata {
        auth_method: AuthMethod::PrivateKeyJwt,
        details: ClientDetails { jwks: Some(keys.clone()), ..ClientDetails::default() },
        ..confidential_client(name)
    }
}

/// An app that authenticates by assertions, and where it does.
pub struct SigningApp<'a> {
    /// The app.
    pub app: App,
    /// Its key.
    pub signer: Signer,
    server: &'a LocalServer,
    world: &'a World,
}

impl<'a> SigningApp<'a> {
    /// Registers one that signs with this algorithm.
    pub async fn register(
        server: &'a LocalServer,
        world: &'a World,
        id: &str,
        algorithm: Algorithm,
    ) -> SigningApp<'a> {
        let signer = Signer::new(algorithm);
        let metadata = signing_client(id, &signer.jwks());
        SigningApp::register_as(server, world, id, signer, metadata).await
    }

    /// Registers one with this metadata.
    pub async fn register_as(
        server: &'a LocalServer,
        world: &'a World,
        id: &str,
        signer: Signer,
        metadata: ClientMetadata,
    ) -> SigningApp<'a> {
        let app = register(server, id, metadata).await;
        SigningApp { app, signer, server, world }
    }

    /// The claims of a good assertion for the token endpoint.
    pub fn claims(&self) -> Value {
        claims(&self.app.id, &format!("{}/oauth/token", self.server.issuer), self.server.now())
    }

    /// A good assertion.
    pub fn assertion(&self) -> String {
        self.signer.sign(&self.claims())
    }

    /// Posts a form with a good assertion.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, &self.assertion(), fields).await
    }

    /// Posts a form with this assertion.
    pub async fn post_with(&self, path: &str, assertion: &str, fields: &[(&str, &str)]) -> Answer {
        post_with(&self.server.http(), path, assertion, fields).await
    }

    /// A code for it.
    pub async fn code(&self) -> GivenCode {
        let browser = self.world.sign_in(&self.world.person).await;
        browser.code(&Request::of(&self.app)).await
    }

    /// Exchanges a code.
    pub async fn exchange(&self, code: &GivenCode) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.code.as_str()),
            ("code_verifier", code.verifier.as_deref().unwrap()),
            ("redirect_uri", code.redirect_uri.as_deref().unwrap()),
        ];
        self.post("/oauth/token", &fields).await
    }

    /// Its first tokens.
    pub async fn tokens(&self) -> Tokens {
        self.exchange(&self.code().await).await.tokens()
    }

    /// Refreshes with a good assertion.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.refresh_with(&self.assertion(), token).await
    }

    /// Refreshes with this assertion.
    pub async fn refresh_with(&self, assertion: &str, token: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post_with("/oauth/token", assertion, &fields).await
    }
}

/// Posts a form with an assertion.
pub async fn post_with(
    http: &Http,
    path: &str,
    assertion: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let mut all = vec![("client_assertion_type", TYPE), ("client_assertion", assertion)];
    all.extend(fields);
    http.send(http.request(Method::POST, path).form(&all)).await
}
