//! The crates `openidconnect` and `oauth2` as crates.io has them, against the real binary.

use std::future::Future;
use std::pin::Pin;

use oauth2::basic::{BasicClient, BasicErrorResponse};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EmptyAdditionalClaims, HttpRequest, HttpResponse, IssuerUrl,
    LogoutRequest, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope,
    TokenResponse as _, TokenUrl, UserInfoClaims,
};
use url::Url;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::logs::Secrets;
use crate::support::oauth::{App, Browser, World};
use crate::support::server::TestServer;

const SIGNED_OUT: &str = "https://app.example/signed-out";

/// Sends what the crates ask for. They take a revocation endpoint only by https, and the server
/// under test is at its plain port, where a proxy with TLS would ask.
struct Wire {
    http: reqwest::Client,
    secrets: Secrets,
}

impl Wire {
    fn of(server: &TestServer) -> Wire {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Wire { http: http.build().unwrap(), secrets: server.secrets.clone() }
    }
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = parts.uri.to_string().replace("https://localhost", "http://localhost");
            let request = self.http.request(parts.method, url).headers(parts.headers).body(body);
            let answer = request.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await?;
            if let Ok(told) = serde_json::from_slice(&body) {
                self.secrets.remember_answer(&told);
            }
            let mut answer = HttpResponse::new(body.to_vec());
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}

/// Goes where the app sent the person, and comes back with what the app is told.
async fn go(browser: &Browser, url: &Url) -> Answer {
    let answer = browser.http.follow(browser.http.get(url.as_str()).await).await;
    if answer.location().is_some() { answer } else { browser.decide(&answer, "allow").await }
}

/// The code of an answer, if its state is this one.
fn code(answer: &Answer, state: &CsrfToken) -> AuthorizationCode {
    assert_eq!(answer.location_parameter("state").as_ref(), Some(state.secret()));
    AuthorizationCode::new(answer.location_parameter("code").expect("a code"))
}

fn revocation_url(server: &TestServer) -> RevocationUrl {
    let origin = server.origin().replace("http:", "https:");
    RevocationUrl::new(format!("{origin}/oauth/revoke")).unwrap()
}

on_both_databases! {
    async fn openidconnect_signs_in_refreshes_revokes_and_signs_out(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        for app in [&world.public, &world.confidential] {
            let line = ["client", "update", &app.id, "--post-logout-redirect-uri", SIGNED_OUT];
            server.installation.run(line).ok();
            with_openidconnect(&server, &world, app).await;
        }
    }

    async fn oauth2_signs_in_refreshes_and_revokes(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        let wire = Wire::of(&server);
        for app in [&world.public, &world.confidential, &world.strict] {
            let mut client = BasicClient::new(ClientId::new(app.id.clone()));
            if let Some(secret) = &app.secret {
                client = client.set_client_secret(ClientSecret::new(secret.clone()));
            }
            let origin = server.origin();
            let client = client
                .set_auth_uri(AuthUrl::new(format!("{origin}/oauth/authorize")).unwrap())
                .set_token_uri(TokenUrl::new(format!("{origin}/oauth/token")).unwrap())
                .set_revocation_url(revocation_url(&server))
                .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap());
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let (url, state) = client
                .authorize_url(CsrfToken::new_random)
                .add_scope(Scope::new("notes.read".to_owned()))
                .add_scope(Scope::new("offline_access".to_owned()))
                .set_pkce_challenge(challenge)
                .url();
            let browser = world.sign_in(&world.person).await;
            let answer = go(&browser, &url).await;
            let exchange = client.exchange_code(code(&answer, &state)).set_pkce_verifier(verifier);
            let mut tokens = exchange.request_async(&wire).await.unwrap();
            for _ in 0..3 {
                let token = tokens.refresh_token().unwrap().clone();
                let next = client.exchange_refresh_token(&token).request_async(&wire).await;
                let next = next.unwrap();
                assert_ne!(next.refresh_token().unwrap().secret(), token.secret());
                assert_ne!(next.access_token().secret(), tokens.access_token().secret());
                tokens = next;
            }
            let last = tokens.refresh_token().unwrap().clone();
            let ended = client.revoke_token(last.clone().into()).unwrap().request_async(&wire).await;
            ended.unwrap();
            let refused = client.exchange_refresh_token(&last).request_async(&wire).await;
            let Err(RequestTokenError::ServerResponse(refused)) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(refused.error().to_string(), "invalid_grant");
        }
    }
}

async fn with_openidconnect(server: &TestServer, world: &World, app: &App) {
    let wire = Wire::of(server);
    let issuer = IssuerUrl::new(server.origin()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer.clone(), &wire).await.unwrap();
    assert!(
        metadata.response_types_supported().iter().any(|one| one[..] == [CoreResponseType::Code])
    );
    let algorithms = metadata.id_token_signing_alg_values_supported();
    assert!(algorithms.contains(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256), "{algorithms:?}");
    // The library fetches the keys with the metadata.
    assert!(!metadata.jwks().keys().is_empty());

    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(app.id.clone()),
        app.secret.clone().map(ClientSecret::new),
    )
    .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap())
    .set_revocation_url(revocation_url(server));
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let begun = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("profile".to_owned()))
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("offline_access".to_owned()))
        .set_pkce_challenge(challenge);
    let (url, state, nonce) = begun.url();
    let browser = world.sign_in(&world.person).await;
    let answer = go(&browser, &url).await;
    let exchange = client.exchange_code(code(&answer, &state)).unwrap();
    let first = exchange.set_pkce_verifier(verifier).request_async(&wire).await.unwrap();

    // By the discovered keys; another nonce is refused.
    let id_token = first.id_token().expect("an ID token").clone();
    let claims = id_token.claims(&client.id_token_verifier(), &nonce).unwrap().clone();
    assert!(id_token.claims(&client.id_token_verifier(), &Nonce::new_random()).is_err());
    assert_eq!(claims.subject().as_str(), world.person.id);
    assert!(claims.auth_time().is_some());
    assert_hash(&first, &client.id_token_verifier());
    let user_info = async |token: &AccessToken| {
        let request = client.user_info(token.clone(), Some(claims.subject().clone())).unwrap();
        let answer: Result<UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim>, _> =
            request.request_async(&wire).await;
        answer
    };
    let told = user_info(first.access_token()).await.unwrap();
    assert_eq!(told.email().unwrap().as_str(), "ada@northfield.example");
    assert!(told.email_verified().is_some());

    let mut tokens = first;
    for _ in 0..3 {
        let token = tokens.refresh_token().unwrap().clone();
        let next = client.exchange_refresh_token(&token).unwrap().request_async(&wire).await;
        tokens = next.unwrap();
        assert_ne!(tokens.refresh_token().unwrap().secret(), token.secret());
        let renewed = tokens.id_token().expect("an ID token at the refresh");
        let renewed =
            renewed.claims(&client.id_token_verifier(), |_: Option<&Nonce>| Ok(())).unwrap();
        assert_eq!(renewed.subject(), claims.subject());
        assert_eq!(renewed.auth_time(), claims.auth_time());
        assert_hash(&tokens, &client.id_token_verifier());
        user_info(tokens.access_token()).await.unwrap();
    }

    let last = tokens.refresh_token().unwrap().clone();
    client.revoke_token(last.clone().into()).unwrap().request_async(&wire).await.unwrap();
    refused(client.exchange_refresh_token(&last).unwrap().request_async(&wire).await);
    assert!(user_info(tokens.access_token()).await.is_err(), "its access token goes with it");
    refused(
        client
            .exchange_refresh_token(&RefreshToken::new("prt_made-up".to_owned()))
            .unwrap()
            .request_async(&wire)
            .await,
    );

    let metadata = ProviderMetadataWithLogout::discover_async(issuer, &wire).await.unwrap();
    let end = metadata.additional_metadata().end_session_endpoint.clone().expect("an endpoint");
    let state = CsrfToken::new_random();
    let end = LogoutRequest::from(end)
        .set_id_token_hint(&id_token)
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(SIGNED_OUT.to_owned()).unwrap())
        .set_state(state.clone())
        .http_get_url();
    let answer = browser.http.follow(browser.http.get(end.as_str()).await).await;
    let landed = answer.location().unwrap_or_else(|| panic!("{}", answer.body));
    assert_eq!(landed.as_str(), format!("{SIGNED_OUT}?state={}", state.secret()));
    let login = browser.http.follow(browser.http.get("/account").await).await;
    assert!(!login.forms("form[action$='/login']").is_empty(), "still signed in");
}

/// The access token is the one that the ID token was issued with.
fn assert_hash(tokens: &CoreTokenResponse, verifier: &CoreIdTokenVerifier<'_>) {
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(verifier, |_: Option<&Nonce>| Ok(())).unwrap();
    if let Some(hash) = claims.access_token_hash() {
        let algorithm = id_token.signing_alg().unwrap();
        let key = id_token.signing_key(verifier).unwrap();
        let own = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).unwrap();
        assert_eq!(&own, hash);
    }
}

fn refused<T: std::fmt::Debug, E: std::error::Error>(
    answer: Result<T, RequestTokenError<E, BasicErrorResponse>>,
) {
    let Err(RequestTokenError::ServerResponse(refused)) = answer else { panic!("{answer:?}") };
    assert_eq!(refused.error().to_string(), "invalid_grant");
}
