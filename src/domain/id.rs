//! Identifiers: 128 bits, ordered by the time they were made (UUID version 7).

use std::fmt;
use std::str::FromStr;

use super::time::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id from the time and ten random bytes (UUID version 7, RFC 9562).
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(
                    uuid::Builder::from_unix_timestamp_millis(millis, &random)
                        .into_uuid()
                        .into_bytes(),
                )
            }

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id with these bytes, when there are sixteen of them.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                uuid::Uuid::try_parse(text)
                    .map(|id| Self(id.into_bytes()))
                    .map_err(|_| format!("\"{text}\" is not an id"))
            }
        }
    };
}

id!(
    /// A token family: one app, signed in once by one person on one device.
    FamilyId
);
id!(
    /// A person's account; its text is the `sub` of their tokens.
    UserId
);
id!(
    /// A person's sign-in in one browser at this server.
    BrowserSessionId
);
id!(
    /// A line of the audit log.
    AuditId
);
id!(
    /// An ending of many sessions.
    EndingId
);
id!(
    /// What tells an app that a browser's sign-in has ended; its text is the `jti` of the token.
    LogoutId
);
