//! Somebody else's web server, with TLS: answers what a test told it to, and remembers who asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::postgres::Authority;

/// What a path is answered with.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The headers, beside those about length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the answer takes to begin.
    pub after: Duration,
    /// Whether the body never ends: it is sent again and again.
    pub endless: bool,
}

impl Page {
    /// A JSON document.
    pub fn json(body: &serde_json::Value) -> Page {
        Page::text("application/json", &body.to_string())
    }

    /// A document of this media type.
    pub fn text(kind: &str, body: &str) -> Page {
        Page {
            status: 200,
            headers: vec![("content-type", kind.to_owned())],
            body: body.as_bytes().to_vec(),
            after: Duration::ZERO,
            endless: false,
        }
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Page {
        self.status = status;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Page {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /path HTTP/1.1` and the headers, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A running server. Stopped when it goes out of scope.
pub struct WebServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Whether it speaks TLS.
    tls: bool,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    authority: NamedTempFile,
    task: JoinHandle<()>,
}

impl WebServer {
    /// With TLS, and a certificate for this name.
    pub async fn start(name: &str) -> WebServer {
        let authority = Authority::new();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority.pem()).unwrap();
        let (certificate, key) = authority.certificate_for(name);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        WebServer::serve(Some(TlsAcceptor::from(Arc::new(config))), file).await
    }

    /// Without TLS.
    pub async fn start_plain() -> WebServer {
        WebServer::serve(None, NamedTempFile::new().unwrap()).await
    }

    async fn serve(tls: Option<TlsAcceptor>, authority: NamedTempFile) -> WebServer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages = Arc::new(Mutex::new(HashMap::new()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let speaks_tls = tls.is_some();
        let task = {
            let (pages, seen, connections) = (pages.clone(), seen.clone(), connections.clone());
            tokio::spawn(async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { return };
                    *connections.lock().unwrap() += 1;
                    let (pages, seen, tls) = (pages.clone(), seen.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => answer(stream, &pages, &seen).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    answer(stream, &pages, &seen).await;
                                }
                            }
                        }
                    });
                }
            })
        };
        WebServer { port, tls: speaks_tls, pages, seen, connections, authority, task }
    }

    /// The file with the authority that vouches for it.
    pub fn authority_file(&self) -> &Path {
        self.authority.path()
    }

    /// The address of a path on `localhost`.
    pub fn url(&self, path: &str) -> String {
        self.url_of("localhost", path)
    }

    /// The same under another name.
    pub fn url_of(&self, name: &str, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{name}:{}{path}", self.port)
    }

    /// Answers this path so from now on.
    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were opened so far, whatever came of them.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    pages: &Mutex<HashMap<String, Page>>,
    seen: &Mutex<Vec<Seen>>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(request);
    let page = pages.lock().unwrap().get(&path).cloned();
    let page = page.unwrap_or_else(|| Page::text("text/plain", "nothing here").status(404));
    tokio::time::sleep(page.after).await;
    let mut head = format!("HTTP/1.1 {} Said\r\n", page.status);
    for (name, value) in &page.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !page.endless {
        head.push_str(&format!("content-length: {}\r\n", page.body.len()));
    }
    head.push_str("connection: close\r\n\r\n");
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    loop {
        if stream.write_all(&page.body).await.is_err() || !page.endless {
            break;
        }
        // Slowly, so that an answer may take for ever as well.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
            if body.len() >= length {
                return Some(Seen { head: head.to_owned(), body: body.to_owned() });
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
