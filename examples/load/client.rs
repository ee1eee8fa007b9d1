//! One client: one keep-alive connection, one token after the other.

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use url::form_urlencoded;

/// Where to, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The token endpoint, over plain HTTP.
    pub endpoint: Uri,
    /// The client.
    pub client_id: String,
    /// Its secret, sent by HTTP Basic.
    pub client_secret: Option<String>,
}

/// The part of a token endpoint's answer that is checked.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    access_token: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    refresh_token: Option<std::borrow::Cow<'a, str>>,
}

/// A connection to the target.
pub struct Client {
    target: Target,
    authority: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Not yet connected.
    pub fn new(target: &Target) -> anyhow::Result<Self> {
        let authority = target.endpoint.authority().context("the URL names no host")?;
        let port = authority.port_u16().unwrap_or(80);
        let authority = format!("{}:{port}", authority.host());
        Ok(Self { target: target.clone(), authority, sender: None })
    }

    /// Exchanges a refresh token for the next one; the same one where the server doesn't
    /// rotate.
    pub async fn refresh(&mut self, token: &str) -> anyhow::Result<String> {
        let body = self.form(token);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.target.endpoint.path())
            .header(HOST, &self.authority)
            .header(USER_AGENT, "load/1")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(secret) = &self.target.client_secret {
            let pair = format!("{}:{secret}", self.target.client_id);
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let answered = self.connected().await?.send_request(request).await;
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                self.sender = None;
                return Err(error).context("no answer");
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        let answer: Answer<'_> = serde_json::from_slice(&body).context("not a token answer")?;
        if answer.access_token.is_empty() {
            bail!("an empty access token");
        }
        Ok(answer.refresh_token.map_or_else(|| token.to_owned(), |next| next.into_owned()))
    }

    fn form(&self, token: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(256));
        form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token);
        if self.target.client_secret.is_none() {
            form.append_pair("client_id", &self.target.client_id);
        }
        form.finish()
    }

    async fn connected(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream =
                TcpStream::connect(&self.authority).await.context(self.authority.clone())?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut().context("not connected")?;
        sender.ready().await?;
        Ok(sender)
    }
}
