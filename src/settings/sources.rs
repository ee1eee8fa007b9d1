//! Where settings come from: a file, the environment, flags. Each source
//! becomes the same thing here, a list of keys with what was given for them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{Origin, Problem};

/// The flags that every command with settings takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SettingsFlags {
    /// Settings file in TOML [default: perennial.toml, where there is one]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Where the data is: sqlite://PATH or postgres://…
    #[arg(long, value_name = "URL", global = true, help_heading = "Settings")]
    pub database_url: Option<String>,
    /// The server's own address as browsers and apps see it
    #[arg(long, value_name = "URL", global = true, help_heading = "Settings")]
    pub issuer: Option<String>,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", global = true, help_heading = "Settings")]
    pub listen: Option<String>,
    /// The file with the root secret
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub secret_key_file: Option<String>,
    /// Any other setting; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", global = true, help_heading = "Settings")]
    pub set: Vec<String>,
}

/// All that settings are read from; whatever is empty leaves the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file to read; it must be there.
    pub file: Option<PathBuf>,
    /// The file to read where there is one.
    pub optional_file: Option<PathBuf>,
    /// Environment variables; those that don't begin with `PERENNIAL_` don't matter.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line, which go before all else.
    pub flags: SettingsFlags,
}

impl Sources {
    /// What a command reads: its flags, this process's environment, and the
    /// file that either of them names, else `perennial.toml` in the working
    /// directory where there is one.
    pub fn of_process(flags: SettingsFlags) -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        let named = environment
            .iter()
            .find(|(name, _)| name == "PERENNIAL_CONFIG")
            .map(|(_, value)| PathBuf::from(value));
        Self {
            file: flags.config.clone().or(named),
            optional_file: Some(PathBuf::from("perennial.toml")),
            environment,
            flags,
        }
    }

    /// No file, no environment: only these, as if each had been `--set`.
    /// For the demo and for tests.
    pub fn only<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            flags: SettingsFlags {
                set: pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect(),
                ..SettingsFlags::default()
            },
            ..Self::default()
        }
    }

    /// Every key that is set somewhere, with the value that counts.
    pub(super) fn gather(&self, problems: &mut Vec<Problem>) -> BTreeMap<String, Given> {
        let mut all = BTreeMap::new();
        match (&self.file, &self.optional_file) {
            (Some(file), _) => from_file(file, &mut all, problems),
            (None, Some(file)) if file.exists() => from_file(file, &mut all, problems),
            _ => {}
        }
        for (name, value) in &self.environment {
            let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else {
                continue;
            };
            if let Some(key) = key_of_variable(name) {
                all.insert(
                    key,
                    Given {
                        raw: Raw::Typed(value.into_owned()),
                        origin: Origin::Environment(name.to_owned()),
                    },
                );
            }
        }
        // `--set` first: a flag with a name of its own is the more exact one.
        for assignment in &self.flags.set {
            match assignment.split_once('=') {
                Some((key, value)) => {
                    let flag = Origin::Flag(format!("--set {}", key.trim()));
                    insert_flag(&mut all, key.trim(), value, flag);
                }
                None => problems.push(Problem::NotAssignment { flag: "--set".to_owned() }),
            }
        }
        for (key, flag, value) in [
            ("database_url", "--database-url", &self.flags.database_url),
            ("issuer", "--issuer", &self.flags.issuer),
            ("listen", "--listen", &self.flags.listen),
            ("secret_key_file", "--secret-key-file", &self.flags.secret_key_file),
        ] {
            if let Some(value) = value {
                insert_flag(&mut all, key, value, Origin::Flag(flag.to_owned()));
            }
        }
        all
    }
}

fn insert_flag(all: &mut BTreeMap<String, Given>, key: &str, value: &str, origin: Origin) {
    let raw = Raw::Typed(value.to_owned());
    all.insert(key.to_owned(), Given { raw, origin });
}

/// `PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS` -> `tokens.access_token_seconds`.
/// `None` for what is none of ours: the file's name, what tests use, and what
/// Kubernetes puts into each pod beside a service that is called `perennial`.
fn key_of_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix("PERENNIAL_")?;
    let foreign = matches!(key, "CONFIG" | "BLESS" | "PORT")
        || ["TEST_", "SERVICE_", "PORT_"].iter().any(|prefix| key.starts_with(prefix));
    (!foreign).then(|| key.replace("__", ".").to_ascii_lowercase())
}

/// The environment variable of a key.
pub(super) fn variable_of_key(key: &str) -> String {
    format!("PERENNIAL_{}", key.replace('.', "__").to_ascii_uppercase())
}

/// A value as it stands in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// TOML has types; a flag and a variable are text that stands for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// As typed on a command line or in a variable.
    Typed(String),
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    /// What no setting is made of, by the name of its kind.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(text) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(flag) => write!(f, "{flag}"),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Other(kind) => write!(f, "({kind})"),
        }
    }
}

fn from_file(path: &Path, all: &mut BTreeMap<String, Given>, problems: &mut Vec<Problem>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) => {
            problems.push(Problem::Unreadable { path: path.to_owned(), cause: cause.to_string() });
            return;
        }
    };
    let place =
        |offset: usize| Origin::File { path: path.to_owned(), line: line_of(&text, offset) };
    match DeTable::parse(&text) {
        Ok(table) => flatten("", table.get_ref(), &place, all),
        Err(cause) => problems.push(Problem::NotToml {
            origin: place(cause.span().map_or(0, |span| span.start)),
            cause: cause.message().to_owned(),
        }),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    place: &dyn Fn(usize) -> Origin,
    all: &mut BTreeMap<String, Given>,
) {
    for (name, value) in table.iter() {
        let key = format!("{prefix}{}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&format!("{key}."), inner, place, all);
            continue;
        }
        let given = Given { raw: raw_of(value.get_ref()), origin: place(name.span().start) };
        all.insert(key, given);
    }
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("too large a number"), Raw::Integer),
        DeValue::Boolean(flag) => Raw::Boolean(*flag),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map_or(Raw::Other("a list of other things than text"), Raw::List),
        other => Raw::Other(other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys() {
        assert_eq!(
            key_of_variable("PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS").as_deref(),
            Some("tokens.access_token_seconds")
        );
        assert_eq!(
            variable_of_key("tokens.access_token_seconds"),
            "PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS"
        );
        for none_of_ours in [
            "PATH",
            "PERENNIAL_CONFIG",
            "PERENNIAL_TEST_POSTGRES",
            // A Kubernetes service by our name.
            "PERENNIAL_PORT",
            "PERENNIAL_PORT_8080_TCP_ADDR",
            "PERENNIAL_SERVICE_HOST",
            "PERENNIAL_SERVICE_PORT_HTTP",
        ] {
            assert_eq!(key_of_variable(none_of_ours), None, "{none_of_ours}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
