//! What is wrong with the settings, said so that the reader can mend it.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a TOML file.
    File {
        /// The file.
        path: PathBuf,
        /// The line in it, from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A key has a value that it can't have.
    Value {
        /// The key.
        key: &'static str,
        /// Its value, without anything secret.
        value: String,
        /// Where the value came from.
        origin: Origin,
        /// What would be right; follows "must be".
        right: String,
    },
    /// There is no such key.
    UnknownKey {
        /// The key as it was written there. Its value is not repeated: it may
        /// be the password of a misspelt `database_url`.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The nearest right name, written as that place writes it.
        nearest: Option<String>,
    },
    /// A file can't be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A file isn't TOML.
    NotToml {
        /// Where.
        origin: Origin,
        /// What the parser said, without the text of the file.
        cause: String,
    },
    /// A `--set` without a `=`.
    NotAssignment {
        /// Which flag; its text is not repeated, as it may hold a secret.
        flag: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { key, value, origin, right } => {
                write!(f, "{key} = {value} ({origin}): it must be {right}")
            }
            Self::UnknownKey { key, origin, nearest: Some(nearest) } => {
                write!(f, "{key} ({origin}): there is no such setting; did you mean {nearest}?")
            }
            Self::UnknownKey { key, origin, nearest: None } => write!(
                f,
                "{key} ({origin}): there is no such setting; `perennial serve --help` lists them all"
            ),
            Self::Unreadable { path, cause } => {
                write!(f, "{}: this settings file can't be read: {cause}", path.display())
            }
            Self::NotToml { origin, cause } => write!(f, "{origin}: this is not TOML: {cause}"),
            Self::NotAssignment { flag } => write!(
                f,
                "flag {flag}: it must be --set KEY=VALUE, such as --set tokens.access_token_seconds=300"
            ),
        }
    }
}

/// Everything that is wrong, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// In the order in which they were found.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => write!(f, "a setting is wrong: {one}"),
            many => {
                write!(f, "{} settings are wrong:", many.len())?;
                many.iter().try_for_each(|one| write!(f, "\n  {one}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}
