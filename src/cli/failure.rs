//! What a command says when it couldn't do what it was asked, and how it exits then.

use std::fmt;
use std::process::ExitCode;

use crate::settings::SettingsError;
use crate::storage::StorageError;

/// Why a command didn't succeed. Never holds a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What was given can't be right: exit status 2.
    Usage(String),
    /// It was right, and didn't work: exit status 1.
    Failed(String),
}

impl Failure {
    /// A failure for this reason.
    pub(super) fn because(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// Faults in values that were given, each under the flag that it belongs to. `None`: none.
    pub(super) fn of_faults<'a>(
        faults: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Option<Self> {
        let lines: Vec<String> =
            faults.into_iter().map(|(flag, fault)| format!("{flag}: {fault}")).collect();
        match lines.as_slice() {
            [] => None,
            [one] => Some(Self::Usage(one.clone())),
            many => Some(Self::Usage(format!(
                "{} things are wrong:\n  {}",
                many.len(),
                many.join("\n  ")
            ))),
        }
    }

    /// The exit status that stands for it.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::BadUrl(_) => Self::Usage(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_said_at_once() {
        assert_eq!(Failure::of_faults([]), None);
        let one = Failure::of_faults([("--name", "Give a name.".into())]).unwrap();
        assert_eq!(one.to_string(), "--name: Give a name.");
        let two = Failure::of_faults([("--a", "x".into()), ("--b", "y".into())]).unwrap();
        assert_eq!(two.to_string(), "2 things are wrong:\n  --a: x\n  --b: y");
    }
}
