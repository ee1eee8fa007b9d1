//! The tunnel: plain on libpq's side, TLS on the server's.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error as RustlsError};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::TlsError;
use super::conninfo::Pace;
use super::trust::Tls;

/// Asks the server whether it speaks TLS: the length of the message, and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The code of a request to cancel a query, to which nobody waits for an answer.
const CANCEL_REQUEST: u32 = 80_877_102;
/// How a server asks for one of a list of SASL mechanisms.
const AUTHENTICATION_SASL: [u8; 4] = [0, 0, 0, 10];
/// The longest startup message that Postgres itself takes.
const LONGEST_STARTUP: u32 = 10_000;
/// How long libpq has to send its startup message and to read why there is no connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server at the far end.
#[derive(Clone)]
pub(super) struct Route {
    /// The name to verify.
    pub(super) host: String,
    /// Where to connect instead of resolving the name.
    pub(super) address: Option<String>,
    /// Where to connect.
    pub(super) port: u16,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match &self.address {
            Some(address) if self.host.is_empty() => address,
            _ => &self.host,
        };
        if host.contains(':') {
            write!(f, "[{host}]:{}", self.port)
        } else {
            write!(f, "{host}:{}", self.port)
        }
    }
}

/// An open tunnel. Dropping it closes its sockets, and with them every connection through it.
pub struct Tunnel {
    folders: Vec<TempDir>,
    stop: Option<watch::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Tunnel {
    /// Listens, on a thread of its own.
    pub(super) fn open(routes: Vec<Route>, tls: Tls, pace: Pace) -> Result<Self, TlsError> {
        // Made before the thread, so that what is wrong is known at once.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut folders = Vec::with_capacity(routes.len());
        let mut doors = Vec::with_capacity(routes.len());
        for route in routes {
            // Made with this mode, and not given it later: nobody else ever gets in.
            let folder = tempfile::Builder::new()
                .prefix("perennial-tls-")
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir()?;
            let path = folder.path().join(format!(".s.PGSQL.{}", route.port));
            let listener = {
                let _inside = runtime.enter();
                UnixListener::bind(&path).map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?
            };
            folders.push(folder);
            doors.push((listener, Arc::new(Gate { route, tls: tls.clone(), pace })));
        }
        let (stop, stopped) = watch::channel(());
        let thread = thread::Builder::new().name("postgres-tls".to_owned()).spawn(move || {
            runtime.block_on(async {
                for (listener, gate) in doors {
                    tokio::spawn(listen(listener, gate));
                }
                let mut stopped = stopped;
                // Nothing is ever sent: this ends when the tunnel is dropped.
                let _ = stopped.changed().await;
            });
            // Doesn't wait for names that are still being resolved.
            runtime.shutdown_background();
        })?;
        Ok(Self { folders, stop: Some(stop), thread: Some(thread) })
    }

    /// The folders of the sockets, in the order of the routes, as libpq's `host`.
    pub(super) fn folders(&self) -> impl Iterator<Item = Result<String, TlsError>> + '_ {
        self.folders.iter().map(|folder| match folder.path().to_str() {
            // libpq takes what doesn't start with a slash for a name, and a comma for the next.
            Some(path) if path.starts_with('/') && !path.contains(',') => Ok(path.to_owned()),
            _ => Err(TlsError::Tunnel(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the temporary folder's path must start with a slash and have no comma; set TMPDIR",
            ))),
        })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can't have panicked in a way that matters now.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folders = self.folders.iter().map(|folder| PathBuf::from(folder.path()));
        f.debug_list().entries(folders).finish()
    }
}

/// What every connection to one server shares.
struct Gate {
    route: Route,
    tls: Tls,
    pace: Pace,
}

/// Why a connection didn't come about.
enum Failure {
    /// The server can't be reached; another one may be.
    Unreachable(String),
    /// The server was reached, but it isn't one to speak to.
    Refused(String),
}

async fn listen(listener: UnixListener, gate: Arc<Gate>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(serve(client, Arc::clone(&gate)));
            }
            Err(error) => {
                // Most likely there are too many open files: some will be closed.
                tracing::warn!(%error, "the tunnel to Postgres can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut client: UnixStream, gate: Arc<Gate>) {
    match gate.connect().await {
        Ok(mut server) => {
            // However it ends, both sides see their connection closed, and know what to do.
            if matches!(introduce(&mut client, &mut server).await, Ok(true)) {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
        Err(failure) => {
            let route = &gate.route;
            let (code, message) = match failure {
                // With "cannot connect now" libpq goes on to the next of several servers.
                Failure::Unreachable(why) => ("57P03", format!("{route} can't be reached: {why}")),
                Failure::Refused(why) => ("08006", format!("TLS to {route} failed: {why}")),
            };
            tracing::debug!(message, "no TLS connection to Postgres");
            let _ = timeout(PATIENCE, refuse(&mut client, code, &message)).await;
        }
    }
}

/// Carries the first words, up to how the server wants to know who is there. It offers channel
/// binding where it speaks TLS, and libpq, which sees none, takes that for an attack: so that
/// offer is left out. False if libpq went away.
async fn introduce<S: Stream + ?Sized>(
    client: &mut UnixStream,
    server: &mut S,
) -> io::Result<bool> {
    let length = client.read_u32().await?;
    let request = client.read_u32().await?;
    if !(8..=LONGEST_STARTUP).contains(&length) {
        return Ok(false);
    }
    let mut startup = Vec::from(length.to_be_bytes());
    startup.extend(request.to_be_bytes());
    (&mut *client).take(u64::from(length - 8)).read_to_end(&mut startup).await?;
    server.write_all(&startup).await?;
    server.flush().await?;
    if request == CANCEL_REQUEST {
        return Ok(true);
    }
    let mut early = [0];
    let answer = tokio::select! {
        answer = first_answer(server) => answer?,
        // libpq has nothing to say until the server has spoken, so this is its farewell.
        _ = client.read(&mut early) => return Ok(false),
    };
    client.write_all(&answer).await?;
    Ok(true)
}

/// What the server says first, as libpq is to read it.
async fn first_answer<S: Stream + ?Sized>(server: &mut S) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        let kind = server.read_u8().await?;
        let length = server.read_u32().await?;
        let known = matches!(kind, b'R' | b'v') && (8..=LONGEST_STARTUP).contains(&length);
        if !known {
            // An error, say. Its body follows with everything else.
            answer.push(kind);
            answer.extend(length.to_be_bytes());
            return Ok(answer);
        }
        let mut body = Vec::new();
        server.take(u64::from(length - 4)).read_to_end(&mut body).await?;
        if kind == b'R' {
            body = without_channel_binding(body);
        }
        answer.push(kind);
        answer.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
        answer.extend(body);
        // Before it, the server may only have named the protocol that it speaks.
        if kind == b'R' {
            return Ok(answer);
        }
    }
}

/// The body of a request to authenticate, without the mechanisms that bind to the channel.
pub(super) fn without_channel_binding(body: Vec<u8>) -> Vec<u8> {
    let Some(list) = body.strip_prefix(&AUTHENTICATION_SASL) else {
        return body;
    };
    let mut kept = Vec::from(AUTHENTICATION_SASL);
    for mechanism in list.split_inclusive(|byte| *byte == 0) {
        if !mechanism.ends_with(b"-PLUS\0") {
            kept.extend(mechanism);
        }
    }
    kept
}

/// Tells libpq why, in the words of the protocol. Its startup message is read first: the
/// socket would otherwise be reset, and the answer lost.
async fn refuse(client: &mut UnixStream, code: &str, message: &str) -> io::Result<()> {
    let length = client.read_u32().await?;
    let request = client.read_u32().await?;
    if !(8..=LONGEST_STARTUP).contains(&length) || request == CANCEL_REQUEST {
        return Ok(());
    }
    let mut rest = (&mut *client).take(u64::from(length - 8));
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    client.write_all(&error_response(code, message)).await?;
    client.shutdown().await?;
    // Until libpq has read it and closes.
    tokio::io::copy(client, &mut tokio::io::sink()).await?;
    Ok(())
}

/// An `ErrorResponse`: its type, its length, and fields that each end with a zero.
pub(super) fn error_response(code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        fields.extend(value.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    let mut response = vec![b'E'];
    response.extend(length.to_be_bytes());
    response.extend(fields);
    response
}

/// Either side of `prefer`.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Gate {
    /// A connection to the server, on which libpq's first bytes may be sent.
    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        // libpq counts too, and would say no more than "timeout expired": be done before it.
        let end = self.pace.timeout.map(|limit| Instant::now() + limit.mul_f32(0.9));
        let addresses = within(end, self.addresses()).await.unwrap_or_else(|| {
            Err(Failure::Unreachable("its name wasn't resolved in time".to_owned()))
        })?;
        let mut failures = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            // What is left is shared by the addresses that are left.
            let left = u32::try_from(addresses.len() - index).unwrap_or(1);
            let end = end.map(|end| {
                let now = Instant::now();
                now + end.saturating_duration_since(now) / left
            });
            match within(end, self.reach(*address)).await {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(Failure::Unreachable(reason))) => {
                    failures.push(format!("{address}: {reason}"));
                }
                Some(Err(refused)) => return Err(refused),
                None => failures.push(format!("{address}: no answer within connect_timeout")),
            }
        }
        Err(Failure::Unreachable(failures.join("; ")))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let unreachable = |reason: String| Failure::Unreachable(reason);
        if let Some(address) = &self.route.address {
            let address = address
                .parse::<IpAddr>()
                .map_err(|_| unreachable(format!("hostaddr {address} isn't an IP address")))?;
            return Ok(vec![SocketAddr::new(address, self.route.port)]);
        }
        let mut found = Vec::new();
        for address in lookup_host((self.route.host.as_str(), self.route.port))
            .await
            .map_err(|error| unreachable(format!("its name can't be resolved: {error}")))?
        {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(unreachable("its name has no address".to_owned()));
        }
        Ok(found)
    }

    /// One address: TCP, and then TLS if it may.
    async fn reach(&self, address: SocketAddr) -> Result<Box<dyn Stream>, Failure> {
        let stream = self.dial(address).await?;
        match self.secure(stream, address).await {
            // libpq also tries again without TLS if it fails, and not only if there is none.
            Err(_) if self.tls.or_plain => Ok(Box::new(self.dial(address).await?)),
            other => other,
        }
    }

    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let attempt = async {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_keepalive(self.pace.keepalive)?;
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        attempt.await.map_err(|error| Failure::Unreachable(error.to_string()))
    }

    async fn secure(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
    ) -> Result<Box<dyn Stream>, Failure> {
        if !self.tls.direct {
            let silence = |error: io::Error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Failure::Refused("the server closed the connection".to_owned())
                }
                _ => Failure::Refused(error.to_string()),
            };
            stream.write_all(&SSL_REQUEST).await.map_err(silence)?;
            // This one byte and no more. What the server, or somebody in between, sent after it
            // in the clear is left to the handshake, which fails by it, and never reaches libpq.
            match stream.read_u8().await.map_err(silence)? {
                b'S' => {}
                b'N' if self.tls.or_plain => return Ok(Box::new(stream)),
                b'N' => {
                    return Err(Failure::Refused(
                        "the server has TLS turned off; set ssl = on in its postgresql.conf, or \
                         connect with sslmode=disable where the network is trusted"
                            .to_owned(),
                    ));
                }
                b'E' => {
                    return Err(Failure::Refused(
                        "the server answered with an error; see its log".to_owned(),
                    ));
                }
                _ => {
                    return Err(Failure::Refused("what answers there isn't Postgres".to_owned()));
                }
            }
        }
        // Without a name, or with one that can't be in a certificate, it isn't compared.
        let name = ServerName::try_from(self.route.host.clone())
            .unwrap_or_else(|_| ServerName::IpAddress(address.ip().into()));
        let config = Arc::clone(&self.tls.config);
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| Failure::Refused(self.explain(&error)))?;
        if self.tls.direct && stream.get_ref().1.alpn_protocol().is_none() {
            return Err(Failure::Refused(
                "what answers there doesn't speak Postgres over TLS (sslnegotiation=direct needs \
                 Postgres 17)"
                    .to_owned(),
            ));
        }
        Ok(Box::new(stream))
    }

    /// Why a handshake failed, in a sentence.
    fn explain(&self, error: &io::Error) -> String {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
        let Some(cause) = cause else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    "the server closed the connection during the handshake".to_owned()
                }
                _ => error.to_string(),
            };
        };
        let RustlsError::InvalidCertificate(fault) = cause else {
            return cause.to_string();
        };
        match fault {
            CertificateError::NotValidForName => {
                format!("the certificate isn't valid for name {}", self.route.host)
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() {
                    "it has no subjectAltName, and its common name isn't looked at".to_owned()
                } else {
                    format!("it is valid for {}", presented.join(", "))
                };
                format!("the certificate isn't valid for name {}; {names}", self.route.host)
            }
            CertificateError::UnknownIssuer => {
                format!("no authority in {} vouches for the certificate", self.tls.roots)
            }
            CertificateError::BadSignature => format!(
                "the certificate isn't what it says: the authority of that name in {} has another \
                 key, or the server doesn't have the certificate's",
                self.tls.roots
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate has expired ({fault})")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate isn't valid yet ({fault}); are the clocks right?")
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "the certificate is an authority's own, which can't be a server's too; make an \
                 authority and let it sign a certificate for the server"
                    .to_owned()
            }
            other => format!("the certificate can't be verified: {other}"),
        }
    }
}

/// Its outcome; none if the end came first.
async fn within<F: Future>(end: Option<Instant>, work: F) -> Option<F::Output> {
    match end {
        Some(end) => timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}
