//! What can go wrong between us and a database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why storage couldn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database is busy, gone, full, or the line before it is too long: try again later.
    #[error("the database can't answer now: {0}")]
    Unavailable(String),
    /// Something with the same name is there already.
    #[error("there is one with this name already")]
    Duplicate,
    /// A row that was written by this program can't be read by it.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// The database was migrated by a newer program.
    #[error(
        "this database was migrated by a newer Perennial (it has {0}); run that version, or \
         restore a backup from before the upgrade"
    )]
    NewerThanProgram(String),
    /// Migrations wait, and the settings say not to apply them.
    #[error("migrations wait to be applied: {0}; run `perennial migrate`")]
    Unmigrated(String),
    /// The database was made under another root secret.
    #[error(
        "this database belongs to another key file: it knows the fingerprint {known}, the key \
         file has {ours}; put the right key file at secret_key_file"
    )]
    OtherRootSecret {
        /// The database's.
        known: String,
        /// The key file's.
        ours: String,
    },
    /// A secret would have to be sealed, and there is nothing to seal it with.
    #[error("a client that signs with its secret needs the key file, to keep the secret sealed")]
    Unsealed,
    /// The address of the database isn't one.
    #[error("{0}")]
    BadUrl(String),
    /// Anything else that the database said.
    #[error("the database refused: {0}")]
    Refused(DieselError),
}

impl StorageError {
    /// Whether the same request may work in a moment.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether this may have ended the whole transaction around it, or the connection.
    pub(super) fn poisons(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Refused(_))
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Duplicate,
            DieselError::DatabaseError(
                DatabaseErrorKind::Unknown
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction,
                information,
            ) => Self::Unavailable(information.message().to_owned()),
            DieselError::BrokenTransactionManager
            | DieselError::RollbackErrorOnCommit { .. }
            | DieselError::AlreadyInTransaction
            | DieselError::NotInTransaction => Self::Unavailable(error.to_string()),
            DieselError::DeserializationError(cause) => Self::Corrupt(cause.to_string()),
            _ => Self::Refused(error),
        }
    }
}

/// What storage gives.
pub type Result<T> = std::result::Result<T, StorageError>;
