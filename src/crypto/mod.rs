//! Effects without storage: randomness, passwords, keys, MACs, signatures. The primitives
//! are aws-lc-rs's and argon2's; nothing here invents any.

pub mod jws;
pub mod keyring;
pub mod passwords;
pub mod random;
pub mod root_secret;
pub mod signing;
pub mod tokens;
