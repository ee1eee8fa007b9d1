//! The root secret: 32 random bytes in the key file. Every other key is derived from it, one
//! for each purpose (HKDF-SHA-256, RFC 5869), or stands in the database sealed under it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::random;

/// What the key file's one line starts with.
const FILE_PREFIX: &str = "perennial-root-secret-v1:";

/// Why the key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootSecretError {
    /// It can't be read or made.
    #[error("the key file {path} can't be {what}: {source}")]
    Io {
        /// Its path.
        path: String,
        /// "read" or "written".
        what: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
    /// It isn't a key file.
    #[error(
        "{0} is not a Perennial key file: it should be one line that starts with \
         \"perennial-root-secret-v1:\". Put the right file back; a new one can't read what the old one sealed"
    )]
    Malformed(String),
    /// Others may read it.
    #[error("the key file {0} may be read by others (mode {1:o}); run: chmod 600 {0}")]
    Exposed(String, u32),
}

/// The root secret, and what is derived from it.
pub struct RootSecret(Zeroizing<[u8; 32]>);

impl RootSecret {
    /// Reads the key file.
    ///
    /// # Errors
    /// When it can't be read, isn't a key file, or others may read it.
    pub fn load(path: &Path) -> Result<Self, RootSecretError> {
        let text = fs::read_to_string(path).map_err(|error| io(path, "read", error))?;
        Self::parse(path, &Zeroizing::new(text))
    }

    /// Reads the key file; makes it, with mode 0600, when there is none.
    ///
    /// # Errors
    /// When it can't be read or made, isn't a key file, or others may read it.
    pub fn load_or_create(path: &Path) -> Result<Self, RootSecretError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(io(path, "read", error)),
        }
    }

    /// A root secret that nothing keeps: for throw-away servers and tests.
    pub fn random() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, RootSecretError> {
        let mode = fs::metadata(path).map_err(|e| io(path, "read", e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(RootSecretError::Exposed(path.display().to_string(), mode & 0o777));
        }
        text.trim()
            .strip_prefix(FILE_PREFIX)
            .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(|secret| Self(Zeroizing::new(secret)))
            .ok_or_else(|| RootSecretError::Malformed(path.display().to_string()))
    }

    /// Writes to a new file beside it first and links it into place, so that of two processes
    /// that start at once both read the same complete file.
    fn create(path: &Path) -> Result<Self, RootSecretError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| io(path, "written", e))?;
        }
        let secret = Self::random();
        let draft = path.with_extension(format!("new-{}", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| {
                writeln!(file, "{FILE_PREFIX}{}", URL_SAFE_NO_PAD.encode(*secret.0))?;
                file.sync_all()
            })
            .and_then(|()| fs::hard_link(&draft, path));
        let _ = fs::remove_file(&draft);
        match written {
            Ok(()) => Ok(secret),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let text = fs::read_to_string(path).map_err(|e| io(path, "read", e))?;
                Self::parse(path, &Zeroizing::new(text))
            }
            Err(error) => Err(io(path, "written", error)),
        }
    }

    /// The key for one purpose.
    pub fn derive<const N: usize>(&self, purpose: &str) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        let salt = Salt::new(HKDF_SHA256, b"perennial");
        let extracted = salt.extract(&*self.0);
        let info = [purpose.as_bytes()];
        // Only a length over 255 hashes is refused.
        if extracted.expand(&info, Length(N)).and_then(|okm| okm.fill(&mut *key)).is_err() {
            std::process::abort();
        }
        key
    }

    /// What may be shown of it, to tell two root secrets apart.
    pub fn fingerprint(&self) -> String {
        let bytes = self.derive::<8>("fingerprint");
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A key that seals things for one purpose.
    pub fn sealer(&self, purpose: &str) -> Sealer {
        let key = self.derive::<32>(purpose);
        match RandomizedNonceKey::new(&AES_256_GCM, &*key) {
            Ok(key) => Sealer { key },
            Err(_) => std::process::abort(), // only a key of another length is refused
        }
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Seals bytes so that only this server reads them, and nobody changes them (AES-256-GCM).
pub struct Sealer {
    key: RandomizedNonceKey,
}

impl Sealer {
    /// Seals `plain`; `context` must be the same when it is opened.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        match self.key.seal_in_place_append_tag(Aad::from(context), &mut sealed) {
            Ok(nonce) => {
                let mut whole = nonce.as_ref().to_vec();
                whole.append(&mut sealed);
                whole
            }
            Err(_) => std::process::abort(), // only lengths beyond 64 GiB are refused
        }
    }

    /// Opens what [`Sealer::seal`] gave; `None` when it was changed or isn't ours.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::from(nonce);
        let length = self.key.open_in_place(nonce, Aad::from(context), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }

    /// As [`Sealer::seal`], as text for a form field or a cookie.
    pub fn seal_text(&self, context: &str, plain: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(context.as_bytes(), plain.as_bytes()))
    }

    /// Opens what [`Sealer::seal_text`] gave.
    pub fn open_text(&self, context: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = self.open(context.as_bytes(), &bytes)?;
        std::str::from_utf8(&plain).ok().map(str::to_owned)
    }
}

fn io(path: &Path, what: &'static str, source: std::io::Error) -> RootSecretError {
    RootSecretError::Io { path: path.display().to_string(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/perennial.key");
        let made = RootSecret::load_or_create(&path).unwrap();
        let read = RootSecret::load_or_create(&path).unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = RootSecret::load_or_create(&path).err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "something else").unwrap();
        assert!(RootSecret::load_or_create(&path).is_err());
    }

    #[test]
    fn what_is_sealed_opens_only_unchanged_and_in_its_context() {
        let sealer = RootSecret::random().sealer("test");
        let sealed = sealer.seal_text("a", "hello");
        assert_eq!(sealer.open_text("a", &sealed).as_deref(), Some("hello"));
        assert_eq!(sealer.open_text("b", &sealed), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            assert!(sealer.open(b"a", &bytes).is_none(), "byte {place}");
            bytes[place] ^= 1;
        }
        assert!(RootSecret::random().sealer("test").open_text("a", &sealed).is_none());
    }
}
