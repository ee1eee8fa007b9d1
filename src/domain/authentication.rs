//! How a person proved who they are, in the words of ID tokens.

/// The authentication context of a sign-in with a password (OpenID Connect Core section 2: `acr`).
pub const PASSWORD_ACR: &str = "1";

/// Every authentication context that a sign-in here can have, the best first.
pub const ACR_VALUES: [&str; 1] = [PASSWORD_ACR];

/// The method of a sign-in with a password (RFC 8176 section 2: `amr`).
pub const PASSWORD_AMR: &str = "pwd";
