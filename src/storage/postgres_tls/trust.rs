//! What the parameters about TLS mean to rustls: whom to trust, and how to say who is there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use super::TlsError;
use super::conninfo::{Conninfo, Server};

/// `sslmode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never.
    Disable,
    /// Only if the server insists; taken as never.
    Allow,
    /// If the server can.
    Prefer,
    /// Always, with whoever answers.
    Require,
    /// Always, with whoever a trusted authority vouches for.
    VerifyCa,
    /// Always, with the host that was asked for.
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Result<Self, TlsError> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(bad_value(
                    "sslmode",
                    text,
                    "disable, allow, prefer, require, verify-ca, or verify-full",
                ));
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether TLS is tried at all.
    pub(super) fn tries_tls(self) -> bool {
        !matches!(self, Self::Disable | Self::Allow)
    }
}

/// The parameters, read but not yet acted on.
pub(super) struct Settings {
    pub(super) mode: Mode,
    direct: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// What the tunnel needs to speak TLS.
#[derive(Clone)]
pub(super) struct Tls {
    /// For the handshake.
    pub(super) config: Arc<ClientConfig>,
    /// Whether to go on without TLS where the server has none.
    pub(super) or_plain: bool,
    /// Whether the handshake starts without asking first (`sslnegotiation=direct`).
    pub(super) direct: bool,
    /// What the authorities were read from, for errors.
    pub(super) roots: String,
}

enum Roots {
    None,
    File(PathBuf),
    System,
}

impl Settings {
    /// Reads the parameters, and refuses those that can't be kept.
    pub(super) fn read(conninfo: &Conninfo) -> Result<Self, TlsError> {
        let system = conninfo.get("sslrootcert") == Some("system");
        let mode = match (conninfo.get("sslmode"), conninfo.get("requiressl")) {
            (Some(text), _) => Mode::parse(text)?,
            (None, Some("1")) => Mode::Require,
            (None, _) if system => Mode::VerifyFull,
            (None, _) => Mode::Prefer,
        };
        if system && mode != Mode::VerifyFull {
            return Err(TlsError::Unsupported {
                what: format!("sslrootcert=system with sslmode={}", mode.name()),
                instead: "anyone can have a certificate from one of the system's authorities, so \
                          that only sslmode=verify-full means something with them",
            });
        }
        if conninfo.get("channel_binding") == Some("require") {
            return Err(TlsError::Unsupported {
                what: "channel_binding=require".to_owned(),
                instead: "libpq isn't the one who speaks TLS here; leave it out, and use \
                          sslmode=verify-full, which keeps others out by the certificate",
            });
        }
        if mode.tries_tls() {
            refuse_unsupported(conninfo)?;
        }
        let direct = match conninfo.get("sslnegotiation") {
            None | Some("postgres") => false,
            Some("direct") if matches!(mode, Mode::Disable | Mode::Allow | Mode::Prefer) => {
                return Err(TlsError::Unsupported {
                    what: format!("sslnegotiation=direct with sslmode={}", mode.name()),
                    instead: "it needs sslmode=require, verify-ca, or verify-full",
                });
            }
            Some("direct") => true,
            Some(other) => return Err(bad_value("sslnegotiation", other, "postgres or direct")),
        };
        Ok(Self { mode, direct, versions: versions(conninfo)? })
    }

    /// Refuses hosts whose certificate couldn't be checked.
    pub(super) fn check_names(&self, servers: &[Server]) -> Result<(), TlsError> {
        if self.mode != Mode::VerifyFull {
            return Ok(());
        }
        for server in servers.iter().filter(|server| !server.is_local()) {
            if server.host.is_empty() {
                return Err(TlsError::NoName("give host= beside hostaddr=".to_owned()));
            }
            if ServerName::try_from(server.host.as_str()).is_err() {
                return Err(TlsError::NoName(format!("\"{}\" isn't one", server.host)));
            }
        }
        Ok(())
    }

    /// Loads the certificates, and puts it all together for rustls.
    pub(super) fn tls(&self, conninfo: &Conninfo) -> Result<Tls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = self.roots(conninfo)?;
        let name = match &roots {
            Roots::None => String::new(),
            Roots::File(path) => path.display().to_string(),
            Roots::System => "the system's authorities".to_owned(),
        };
        let verifier: Arc<dyn ServerCertVerifier> = match load_roots(&roots)? {
            Some(store) => {
                let webpki =
                    WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
                        .build()
                        .map_err(|error| rustls::Error::General(error.to_string()))?;
                if self.mode == Mode::VerifyFull { webpki } else { Arc::new(AnyName(webpki)) }
            }
            None => Arc::new(Anyone(provider.clone())),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match client_certificate(conninfo)? {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = conninfo.get("sslsni") != Some("0");
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Tls {
            config: Arc::new(config),
            or_plain: self.mode == Mode::Prefer,
            direct: self.direct,
            roots: name,
        })
    }

    /// Where the authorities are. As in libpq, `require` with a file of them verifies the
    /// chain.
    fn roots(&self, conninfo: &Conninfo) -> Result<Roots, TlsError> {
        if self.mode == Mode::Prefer {
            return Ok(Roots::None);
        }
        match conninfo.get("sslrootcert") {
            Some("system") => Ok(Roots::System),
            Some(path) => Ok(Roots::File(path.into())),
            None => {
                let path = beside_home(conninfo, "root.crt");
                match path {
                    Some(path) if exists(&path) => Ok(Roots::File(path)),
                    _ if self.mode == Mode::Require => Ok(Roots::None),
                    path => Err(TlsError::NoRoots {
                        mode: self.mode.name(),
                        path: path.unwrap_or_else(|| "~/.postgresql/root.crt".into()),
                    }),
                }
            }
        }
    }
}

fn refuse_unsupported(conninfo: &Conninfo) -> Result<(), TlsError> {
    let refused: &[(&str, &str)] = &[
        ("sslcrl", "revocation lists aren't read; renew the authority instead"),
        ("sslcrldir", "revocation lists aren't read; renew the authority instead"),
        ("sslpassword", "encrypted keys aren't read; decrypt the file, and guard it by its mode"),
        ("service", "a service file may say how to use TLS, and isn't read; write it in the URL"),
    ];
    for (parameter, instead) in refused {
        if conninfo.get(parameter).is_some() {
            return Err(TlsError::Unsupported { what: (*parameter).to_owned(), instead });
        }
    }
    match conninfo.get("sslcertmode") {
        None | Some("disable" | "allow") => Ok(()),
        Some("require") => Err(TlsError::Unsupported {
            what: "sslcertmode=require".to_owned(),
            instead: "whether the server asked for the certificate isn't known; have pg_hba.conf \
                      demand it by clientcert=verify-full",
        }),
        Some(other) => Err(bad_value("sslcertmode", other, "disable or allow")),
    }
}

fn versions(conninfo: &Conninfo) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let number = |parameter: &'static str, default: u8| match conninfo.get(parameter) {
        None => Ok(default),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            // Older ones are never spoken, whatever the least one is.
            "tlsv1" | "tlsv1.1" if parameter.contains("min") => Ok(2),
            "tlsv1.2" => Ok(2),
            "tlsv1.3" => Ok(3),
            _ => Err(bad_value(parameter, text, "TLSv1.2 or TLSv1.3")),
        },
    };
    let least = number("ssl_min_protocol_version", 2)?;
    let most = number("ssl_max_protocol_version", 3)?;
    let versions = [(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (least..=most).contains(version))
        .map(|(_, version)| version)
        .collect::<Vec<_>>();
    if versions.is_empty() {
        return Err(bad_value(
            "ssl_max_protocol_version",
            conninfo.get("ssl_max_protocol_version").unwrap_or_default(),
            "ssl_min_protocol_version or later",
        ));
    }
    Ok(versions)
}

fn load_roots(roots: &Roots) -> Result<Option<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::None => return Ok(None),
        Roots::File(path) => {
            for certificate in certificates("sslrootcert", path)? {
                store
                    .add(certificate)
                    .map_err(|error| bad_file("sslrootcert", path, &error.to_string()))?;
            }
        }
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                let reasons = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>();
                return Err(TlsError::NoSystemRoots(if reasons.is_empty() {
                    "there are none; is the package ca-certificates installed?".to_owned()
                } else {
                    reasons.join("; ")
                }));
            }
        }
    }
    Ok(Some(store))
}

fn certificates(
    parameter: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |reason: &str| bad_file(parameter, path, reason);
    let text = fs::read(path).map_err(|error| fault(&error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| fault("it isn't well-formed PEM"))?;
    if found.is_empty() {
        return Err(fault("it has no certificate in PEM"));
    }
    Ok(found)
}

/// The client's certificates and key; none if there are none.
fn client_certificate(
    conninfo: &Conninfo,
) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsError> {
    if conninfo.get("sslcertmode") == Some("disable") {
        return Ok(None);
    }
    let certificate = match conninfo.get("sslcert") {
        Some(path) => PathBuf::from(path),
        None => match beside_home(conninfo, "postgresql.crt").filter(|path| exists(path)) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let key = conninfo
        .get("sslkey")
        .map(PathBuf::from)
        .or_else(|| beside_home(conninfo, "postgresql.key"))
        .ok_or_else(|| bad_file("sslcert", &certificate, "sslkey must name its key"))?;
    let chain = certificates("sslcert", &certificate)?;
    let fault = |reason: &str| bad_file("sslkey", &key, reason);
    let about = fs::metadata(&key).map_err(|error| fault(&error.to_string()))?;
    // libpq's rule: nobody else may read it, save a group if root keeps it for them.
    let allowed = if about.uid() == 0 { 0o740 } else { 0o700 };
    if about.mode() & 0o777 & !allowed != 0 {
        return Err(fault("others can read it; run chmod 600 on it"));
    }
    let text = zeroize::Zeroizing::new(fs::read(&key).map_err(|error| fault(&error.to_string()))?);
    let secret = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| fault("it has no key in PEM that can be read; is it encrypted?"))?;
    Ok(Some((chain, secret)))
}

/// A file where libpq keeps such by default.
fn beside_home(conninfo: &Conninfo, name: &str) -> Option<PathBuf> {
    conninfo.home.as_ref().map(|home| Path::new(home).join(".postgresql").join(name))
}

/// Whether a default file is there. One that can't be looked at counts, so that reading it
/// says why.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

fn bad_value(parameter: &'static str, value: &str, allowed: &'static str) -> TlsError {
    TlsError::BadValue { parameter, value: value.to_owned(), allowed }
}

fn bad_file(parameter: &'static str, path: &Path, reason: &str) -> TlsError {
    TlsError::BadFile { parameter, path: path.to_owned(), reason: reason.to_owned() }
}

/// `verify-ca`: the chain is checked, and then the name, whose mismatch alone is forgiven.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // webpki looks at the name last: everything else has been found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// `require` and `prefer`: any certificate, as long as the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
