//! One connection, one request, one answer: HTTP/1.1 by hyper, TLS by rustls.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::FetchError;
use super::target::Target;
use super::tls::Tls;
use super::{Fetched, Status};

/// The most addresses of one name that are tried.
const TRIES: u32 = 4;

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

const USER_AGENT: &str = concat!("Perennial/", env!("CARGO_PKG_VERSION"));

/// What is sent.
pub(super) type Body = Full<Bytes>;

/// An open connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to the first of these addresses that answers.
pub(super) async fn connect(
    target: &Target,
    addresses: &[IpAddr],
    time: Duration,
    tls: &Tls,
) -> Result<Stream, FetchError> {
    let tries = TRIES.min(u32::try_from(addresses.len()).unwrap_or(TRIES)).max(1);
    let mut connected = None;
    for address in addresses.iter().take(TRIES as usize) {
        let connecting = TcpStream::connect(SocketAddr::new(*address, target.port()));
        if let Ok(Ok(stream)) = tokio::time::timeout(time / tries, connecting).await {
            connected = Some(stream);
            break;
        }
    }
    let Some(stream) = connected else {
        return Err(FetchError::Unreachable(target.host().to_owned()));
    };
    if !target.is_https() {
        return Ok(Stream::Plain(stream));
    }
    let failed = |cause: String| FetchError::Tls { host: target.host().to_owned(), cause };
    let name = ServerName::try_from(target.host().to_owned())
        .map_err(|_| failed("the host is no name that a certificate could have".to_owned()))?;
    let connector = TlsConnector::from(tls.config().map_err(failed)?);
    let stream =
        connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// The answer of a GET, if its status is 200 and its body no longer than `most` bytes.
pub(super) async fn get(
    stream: Stream,
    target: &Target,
    most: usize,
) -> Result<Fetched, FetchError> {
    let mut answer = send(stream, target, Method::GET, None).await?;
    if answer.status() != 200 {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).map(str::to_owned);
    let fresh_for = text(header::CACHE_CONTROL).and_then(fresh_for);
    let mut body = Vec::new();
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|_| FetchError::Broken(target.host().to_owned()))?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > most {
                return Err(FetchError::TooLong(most));
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(Fetched { content_type, fresh_for, body })
}

/// The status that a form is answered with.
pub(super) async fn post(
    stream: Stream,
    target: &Target,
    form: Body,
) -> Result<Status, FetchError> {
    let answer = send(stream, target, Method::POST, Some(form)).await?;
    Ok(Status(answer.status().as_u16()))
}

async fn send(
    stream: Stream,
    target: &Target,
    method: Method,
    form: Option<Body>,
) -> Result<Response<Incoming>, FetchError> {
    let broken = || FetchError::Broken(target.host().to_owned());
    let mut request = Request::builder()
        .method(method)
        .uri(target.path())
        .header(header::HOST, target.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "application/json, */*;q=0.5")
        .header(header::CONNECTION, "close");
    if form.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let request = request.body(form.unwrap_or_default()).map_err(|_| broken())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| broken())?;
    // It ends by itself once the answer was read or dropped.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    sender.send_request(request).await.map_err(|_| broken())
}

/// RFC 9111 section 5.2.2, as far as somebody who asks seldom must know it.
fn fresh_for(cache_control: &str) -> Option<Duration> {
    let mut freshness = None;
    for directive in cache_control.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) => {
                freshness = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
            }
            None if directive == "no-store" || directive == "no-cache" => {
                return Some(Duration::ZERO);
            }
            _ => {}
        }
    }
    freshness
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_read_from_cache_control() {
        assert_eq!(fresh_for("public, max-age=300"), Some(Duration::from_secs(300)));
        assert_eq!(fresh_for("Max-Age=\"5\""), Some(Duration::from_secs(5)));
        assert_eq!(fresh_for("max-age=300, no-store"), Some(Duration::ZERO));
        assert_eq!(fresh_for("private"), None);
        assert_eq!(fresh_for("max-age=soon"), None);
    }
}
