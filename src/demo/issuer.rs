//! Talks to the authorization server, by its public endpoints alone and with
//! the `oauth2` crate, as any third-party app would.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::http::header::RETRY_AFTER;
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::AppConfig;
use super::session::{Answer, Refusal, Tokens};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// What the app uses of RFC 8414 metadata.
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The authorization server as this app sees it.
pub(super) struct Issuer {
    config: AppConfig,
    http: Http,
    metadata: OnceCell<Metadata>,
}

/// A sign-in that has begun: where to send the person, and what to remember.
pub(super) struct Begun {
    pub(super) url: String,
    pub(super) state: String,
    pub(super) verifier: PkceCodeVerifier,
}

impl Issuer {
    pub(super) fn new(config: AppConfig) -> Result<Self, reqwest::Error> {
        // A second one is refused, and the first is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            // A token answer that redirects is none, and must take no secret along.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .user_agent("MeadowNotes/1.0")
            .build()?;
        Ok(Self { config, http: Http(http), metadata: OnceCell::new() })
    }

    /// The origin that the authorization endpoint is known to be at, if it is.
    pub(super) fn authorization_origin(&self) -> Option<String> {
        let metadata = self.metadata.get()?;
        let url = url::Url::parse(&metadata.authorization_endpoint).ok()?;
        Some(url.origin().ascii_serialization())
    }

    pub(super) async fn begin(&self) -> Result<Begun, String> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.config.scope.split_whitespace();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Begun { url: url.into(), state: state.into_secret(), verifier })
    }

    /// RFC 9207: whether an authorization response came from this server.
    pub(super) async fn is_from_here(&self, iss: Option<&str>) -> Result<bool, String> {
        let metadata = self.metadata().await?;
        Ok(match iss {
            Some(iss) => iss == self.config.issuer,
            None => !metadata.authorization_response_iss_parameter_supported,
        })
    }

    pub(super) async fn exchange(&self, code: String, verifier: PkceCodeVerifier) -> Answer {
        let client = match self.client().await {
            Ok(client) => client,
            Err(what) => return unavailable(what),
        };
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .request_async(&self.http)
            .await;
        answer_of(answer)
    }

    pub(super) async fn refresh(&self, token: &SecretString) -> Answer {
        let client = match self.client().await {
            Ok(client) => client,
            Err(what) => return unavailable(what),
        };
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let answer = client.exchange_refresh_token(&token).request_async(&self.http).await;
        answer_of(answer)
    }

    pub(super) async fn revoke(
        &self,
        token: &SecretString,
        is_refresh: bool,
    ) -> Result<(), String> {
        let Some(endpoint) = self.metadata().await?.revocation_endpoint.clone() else {
            return Err("The server has no revocation endpoint".to_owned());
        };
        // By hand: the crate refuses to revoke without TLS, which a demo on localhost hasn't.
        let hint = if is_refresh { "refresh_token" } else { "access_token" };
        let mut form = vec![("token", token.expose_secret()), ("token_type_hint", hint)];
        let mut request = self.http.0.post(endpoint);
        match &self.config.client_secret {
            // RFC 6749 section 2.3.1: each half form-encoded first.
            Some(secret) => {
                let encoded = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                request = request.basic_auth(
                    encoded(&self.config.client_id),
                    Some(encoded(secret.expose_secret())),
                );
            }
            None => form.push(("client_id", &self.config.client_id)),
        }
        match request.form(&form).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("The server answered {}", answer.status().as_u16())),
            Err(why) => Err(plainly(&why)),
        }
    }

    async fn client(&self) -> Result<Client, String> {
        let metadata = self.metadata().await?;
        let wrong = |why: url::ParseError| format!("The server's metadata is wrong: {why}");
        let callback = format!("{}/callback", self.config.base_url);
        let client = BasicClient::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::new(metadata.authorization_endpoint.clone()).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(metadata.token_endpoint.clone()).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(callback).map_err(wrong)?);
        Ok(match &self.config.client_secret {
            Some(secret) => {
                client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            }
            None => client,
        })
    }

    async fn metadata(&self) -> Result<&Metadata, String> {
        self.metadata.get_or_try_init(|| self.discover()).await
    }

    async fn discover(&self) -> Result<Metadata, String> {
        let mut last = String::new();
        for url in metadata_urls(&self.config.issuer) {
            let found = self.http.0.get(url).send().await;
            match found {
                Ok(answer) if answer.status().is_success() => {
                    let metadata: Metadata = answer.json().await.map_err(|_| {
                        "The server's metadata is not what RFC 8414 says".to_owned()
                    })?;
                    if metadata.issuer != self.config.issuer {
                        return Err(format!(
                            "The server calls itself {}, not {}",
                            metadata.issuer, self.config.issuer
                        ));
                    }
                    return Ok(metadata);
                }
                Ok(answer) => {
                    last =
                        format!("The server answered {} for its metadata", answer.status().as_u16())
                }
                Err(why) => last = plainly(&why),
            }
        }
        Err(last)
    }
}

/// RFC 8414 puts the well-known part before an issuer's path; servers that
/// mount everything below their path have it after.
fn metadata_urls(issuer: &str) -> Vec<String> {
    const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
    let below = format!("{issuer}{WELL_KNOWN}");
    match url::Url::parse(issuer) {
        Ok(url) if url.path().len() > 1 => {
            let origin = url.origin().ascii_serialization();
            vec![format!("{origin}{WELL_KNOWN}{}", url.path()), below]
        }
        _ => vec![below],
    }
}

fn unavailable(what: String) -> Answer {
    Answer::Unavailable { what, retry_after: None }
}

fn answer_of(
    answer: Result<BasicTokenResponse, RequestTokenError<Unanswered, BasicErrorResponse>>,
) -> Answer {
    match answer {
        Ok(tokens) => Answer::Tokens(Tokens {
            access: tokens.access_token().secret().to_owned().into(),
            refresh: tokens.refresh_token().map(|token| token.secret().to_owned().into()),
            life: tokens.expires_in(),
            scope: tokens.scopes().map(|scopes| {
                let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
                words.join(" ")
            }),
        }),
        Err(RequestTokenError::ServerResponse(refusal)) => Answer::Refused(Refusal {
            error: refusal.error().as_ref().to_owned(),
            description: refusal.error_description().cloned(),
            uri: refusal.error_uri().cloned(),
        }),
        Err(RequestTokenError::Request(why)) => {
            Answer::Unavailable { what: why.what, retry_after: why.retry_after }
        }
        // Whatever answered so is no authorization server: perhaps a proxy before it.
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
            Answer::Unavailable { what: "The answer made no sense".to_owned(), retry_after: None }
        }
    }
}

/// The HTTP client in the form that the `oauth2` crate asks for. Answers that
/// decide nothing never reach that crate, which would drop their `Retry-After`.
struct Http(reqwest::Client);

/// No answer, or one that only says "not now".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
struct Unanswered {
    what: String,
    retry_after: Option<Duration>,
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let no_answer =
                |why: reqwest::Error| Unanswered { what: plainly(&why), retry_after: None };
            let request = reqwest::Request::try_from(request).map_err(no_answer)?;
            let answer = self.0.execute(request).await.map_err(no_answer)?;
            let status = answer.status();
            let headers = answer.headers().clone();
            if let Some(why) = not_now(status.as_u16(), headers.get(RETRY_AFTER)) {
                return Err(why);
            }
            let body = answer.bytes().await.map_err(no_answer)?;
            let mut response = HttpResponse::new(body.to_vec());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

fn not_now(status: u16, retry_after: Option<&oauth2::http::HeaderValue>) -> Option<Unanswered> {
    (status >= 500 || status == 429).then(|| Unanswered {
        what: format!("The server answered {status}"),
        retry_after: retry_after
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok())
            .map(Duration::from_secs),
    })
}

/// What went wrong on the way, without the address and its parameters.
fn plainly(why: &reqwest::Error) -> String {
    if why.is_timeout() {
        "The server took too long".to_owned()
    } else if why.is_connect() {
        "The server can't be reached".to_owned()
    } else {
        "The connection to the server broke".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oauth2::http::HeaderValue;

    fn refusal(json: &str) -> Answer {
        let parsed: BasicErrorResponse = serde_json::from_str(json).unwrap();
        answer_of(Err(RequestTokenError::ServerResponse(parsed)))
    }

    #[test]
    fn a_refusal_keeps_all_three_things_that_the_server_said() {
        let answer = refusal(
            r#"{"error":"invalid_grant","error_description":"Ended.","error_uri":"https://a/e"}"#,
        );
        let Answer::Refused(refusal) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(refusal.error, "invalid_grant");
        assert_eq!(refusal.description.as_deref(), Some("Ended."));
        assert_eq!(refusal.uri.as_deref(), Some("https://a/e"));
    }

    #[test]
    fn tokens_come_with_life_and_scope() {
        let json = r#"{"access_token":"a","token_type":"Bearer","expires_in":20,"refresh_token":"r","scope":"x y"}"#;
        let Answer::Tokens(tokens) = answer_of(Ok(serde_json::from_str(json).unwrap())) else {
            panic!("no tokens");
        };
        assert_eq!(tokens.life, Some(Duration::from_secs(20)));
        assert_eq!(tokens.scope.as_deref(), Some("x y"));
        assert_eq!(tokens.refresh.unwrap().expose_secret(), "r");
    }

    #[test]
    fn only_server_errors_and_429_mean_not_now() {
        for status in [200, 400, 401, 404] {
            assert_eq!(not_now(status, None), None);
        }
        let seven = HeaderValue::from_static("7");
        for status in [429, 500, 502, 503] {
            let why = not_now(status, Some(&seven)).unwrap();
            assert_eq!(why.retry_after, Some(Duration::from_secs(7)));
        }
        let date = HeaderValue::from_static("Mon, 23 Nov 2026 20:00:00 GMT");
        assert_eq!(not_now(503, Some(&date)).unwrap().retry_after, None);
    }

    #[test]
    fn an_issuer_with_a_path_is_looked_for_as_rfc_8414_says_first() {
        assert_eq!(
            metadata_urls("http://localhost:8080"),
            ["http://localhost:8080/.well-known/oauth-authorization-server"]
        );
        assert_eq!(
            metadata_urls("https://a.example/auth"),
            [
                "https://a.example/.well-known/oauth-authorization-server/auth",
                "https://a.example/auth/.well-known/oauth-authorization-server"
            ]
        );
    }
}
