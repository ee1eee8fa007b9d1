//! What a server wrote to its output, and the rule that no secret stands there.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The lines that one process has written so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// Everything up to now.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// Collects a stream until it ends, in a thread of its own.
    pub fn collect(&self, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.0.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        })
    }
}

/// The passwords, secrets, codes and tokens that a test used with one server.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Vec<(String, String)>>>);

impl Secrets {
    /// Registers a secret under a name that a failure may print. Short ones are
    /// refused: they would be found by chance.
    #[track_caller]
    pub fn remember(&self, what: &str, secret: &str) {
        assert!(secret.len() >= 8, "too short to look for in a log: {what}");
        let mut all = self.0.lock().unwrap();
        if !all.iter().any(|(_, known)| known == secret) {
            all.push((what.to_owned(), secret.to_owned()));
        }
    }

    /// Registers what a token endpoint's answer or a callback's address holds.
    pub fn remember_answer(&self, answer: &serde_json::Value) {
        for name in [
            "access_token",
            "refresh_token",
            "id_token",
            "client_secret",
            "code",
            "registration_access_token",
        ] {
            if let Some(secret) = answer.get(name).and_then(serde_json::Value::as_str) {
                self.remember(name, secret);
            }
        }
    }

    /// The names of the secrets that stand in `log`, as they are or
    /// percent-encoded.
    pub fn found_in(&self, log: &str) -> Vec<Leak> {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter_map(|(what, secret)| {
                let encoded: String =
                    url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                let line =
                    log.lines().find(|line| line.contains(secret) || line.contains(&encoded))?;
                let line = line.replace(secret, "<SECRET>").replace(&encoded, "<SECRET>");
                Some(Leak { what: what.clone(), line })
            })
            .collect()
    }
}

/// A secret that a log shows.
#[derive(PartialEq, Eq)]
pub struct Leak {
    /// The name that it was remembered by.
    pub what: String,
    /// The line, without the secret.
    pub line: String,
}

impl fmt::Debug for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in: {}", self.what, self.line)
    }
}

#[test]
fn a_secret_in_a_log_is_found_and_not_printed() {
    let secrets = Secrets::default();
    secrets.remember("password", "correct horse+battery");
    assert_eq!(secrets.found_in("signed in alice\n"), []);
    let leaks = secrets.found_in("ok\nbody=correct+horse%2Bbattery&x=1\n");
    assert_eq!(leaks.len(), 1);
    assert_eq!(leaks[0].line, "body=<SECRET>&x=1");
    assert_eq!(secrets.found_in("p='correct horse+battery'").len(), 1);
}
