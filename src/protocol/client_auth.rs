//! Client authentication (RFC 6749 section 2.3; OAuth 2.1 section 2.4).

use std::borrow::Borrow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client_assertion;
use super::oauth_error::OAuthError;
use crate::domain::client::{AuthMethod, Client, ClientId};
use crate::domain::secret::PlainSecret;
use crate::storage::{Connection, clients};

/// What a request offers to prove who its client is.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client that it names.
    pub client_id: ClientId,
    /// The secret, and where it stood.
    pub secret: Option<PlainSecret>,
    /// The assertion that it signed. Only [`super::client_assertion`] can judge one.
    pub assertion: Option<String>,
    /// How it was offered.
    pub method: AuthMethod,
}

/// The parameters in which a request may say who its client is.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Offered<'a> {
    pub client_id: Option<&'a str>,
    pub client_secret: Option<&'a str>,
    pub client_assertion_type: Option<&'a str>,
    pub client_assertion: Option<&'a str>,
}

/// Reads what a request offers. `header` is the whole Authorization header.
///
/// # Errors
/// `invalid_request` where two ways are mixed; `invalid_client` where one is malformed or none
/// is there.
pub fn read(header: Option<&str>, body: Offered<'_>) -> Result<Credentials, OAuthError> {
    if body.client_assertion.is_some() || body.client_assertion_type.is_some() {
        return read_assertion(header, body);
    }
    if let Some(header) = header {
        let (id, secret) = basic(header).ok_or_else(|| {
            OAuthError::invalid_client("the Authorization header isn't Basic", true)
        })?;
        if body.client_secret.is_some() {
            return Err(OAuthError::invalid_request(
                "client_secret stands in the body and in the Authorization header; send it once",
            ));
        }
        if body.client_id.is_some_and(|body| body != id) {
            return Err(OAuthError::invalid_request(
                "client_id in the body is not the one in the Authorization header",
            ));
        }
        let client_id =
            ClientId::parse(&id).map_err(|error| OAuthError::invalid_client(error, true))?;
        return Ok(Credentials {
            client_id,
            secret: Some(PlainSecret::new(secret)),
            assertion: None,
            method: AuthMethod::ClientSecretBasic,
        });
    }
    let id = body.client_id.ok_or_else(|| {
        OAuthError::invalid_client("no client_id and no Authorization header", true)
    })?;
    let client_id =
        ClientId::parse(id).map_err(|error| OAuthError::invalid_client(error, false))?;
    let method = match body.client_secret {
        Some(_) => AuthMethod::ClientSecretPost,
        None => AuthMethod::None,
    };
    let secret = body.client_secret.map(PlainSecret::new);
    Ok(Credentials { client_id, secret, assertion: None, method })
}

/// A request with an assertion (RFC 7521 section 4.2), and nothing else.
fn read_assertion(header: Option<&str>, body: Offered<'_>) -> Result<Credentials, OAuthError> {
    if header.is_some() || body.client_secret.is_some() {
        return Err(OAuthError::invalid_request(
            "a client assertion stands beside a secret; authenticate in one way",
        ));
    }
    if body.client_assertion_type != Some(client_assertion::TYPE) {
        return Err(OAuthError::invalid_request(format!(
            "client_assertion_type must be {}",
            client_assertion::TYPE
        )));
    }
    let Some(assertion) = body.client_assertion else {
        return Err(OAuthError::invalid_request("client_assertion is missing"));
    };
    let client_id = client_assertion::subject(assertion)?;
    if body.client_id.is_some_and(|body| body != client_id.as_str()) {
        return Err(client_assertion::refused(
            "client_id is not the one that the client assertion is about",
        ));
    }
    Ok(Credentials {
        client_id,
        secret: None,
        assertion: Some(assertion.to_owned()),
        method: AuthMethod::PrivateKeyJwt,
    })
}

/// The client, if it is who it says.
///
/// # Errors
/// As [`prove`]; or what storage says.
pub fn authenticate(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<Client, OAuthError> {
    prove(clients::find(connection, &credentials.client_id)?, credentials)
}

/// The client that was found under the id of these credentials, if they prove it. A registered
/// method isn't a riddle: a confidential client may offer its secret either way, since both show
/// the same knowledge and client libraries choose for themselves.
///
/// # Errors
/// `invalid_client`, the same for each cause.
pub fn prove<C: Borrow<Client>>(
    found: Option<C>,
    credentials: &Credentials,
) -> Result<C, OAuthError> {
    let challenge = credentials.method == AuthMethod::ClientSecretBasic;
    let refuse = |cause: &str| {
        Err(OAuthError::invalid_client(format!("{}: {cause}", credentials.client_id), challenge))
    };
    let Some(client) = found else {
        return refuse("there is no such client");
    };
    if credentials.assertion.is_some() {
        return refuse("its assertion was not checked");
    }
    if client.borrow().metadata.auth_method.is_by_assertion() {
        return refuse("a client that signs assertions came without one");
    }
    match (&client.borrow().secret, &credentials.secret) {
        (Some(known), Some(offered)) if known.matches(&offered.hash()) => Ok(client),
        (Some(_), Some(_)) => refuse("wrong secret"),
        (Some(_), None) => refuse("a confidential client came without its secret"),
        // Basic with an empty password is how some libraries name a public client.
        (None, Some(offered)) if offered.reveal().is_empty() => Ok(client),
        (None, Some(_)) => refuse("a public client came with a secret"),
        (None, None) => Ok(client),
    }
}

/// `Basic base64(id:secret)`, each percent-encoded (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_is_percent_decoded() {
        let read = read(Some(&header("my%2Dapp:a%3Ab+c%25")), Offered::default()).unwrap();
        assert_eq!(read.client_id.as_str(), "my-app");
        assert_eq!(read.secret.unwrap().reveal(), "a:b c%");
    }

    #[test]
    fn mixed_or_malformed_credentials_are_refused() {
        let status = |header: Option<&str>, client_id, client_secret| {
            let body = Offered { client_id, client_secret, ..Offered::default() };
            read(header, body).unwrap_err().status()
        };
        assert_eq!(status(Some(&header("a:b")), None, Some("b")), 400);
        assert_eq!(status(Some(&header("a:b")), Some("c"), None), 400);
        assert_eq!(status(Some("Bearer x"), None, None), 401);
        assert_eq!(status(Some("Basic !"), None, None), 401);
        assert_eq!(status(Some(&header("nocolon")), None, None), 401);
        assert_eq!(status(None, None, Some("x")), 401);
        assert_eq!(status(None, Some("a b"), None), 401);
    }
}
