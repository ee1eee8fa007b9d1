//! Perennial: an OAuth 2.1 authorization server whose sessions renew themselves.
//!
//! The map of the house, a line per room. Dependencies point down this list and
//! never up or sideways; `tests/architecture.rs` fails where a `use crate::`
//! breaks that.
//!
//! - [`cli`]: one file per subcommand; parses, calls, prints.
//! - [`demo`]: the sample third-party app; talks to the server over HTTP alone.
//! - [`server`]: the actix application: routes, middleware order, shared state.
//! - [`web`]: the only async room: one file per endpoint or page group.
//! - [`protocol`]: OAuth, synchronous, with `now` passed in.
//! - [`storage`]: the only room that knows Diesel.
//! - [`fetch`]: requests to addresses that clients name, within limits.
//! - [`crypto`]: passwords, keys, MACs, signatures; no storage.
//! - [`domain`]: pure rules and values; no clock, no I/O, no randomness.
//! - [`settings`], [`telemetry`], [`clock`]: what every room above may be handed.

pub mod cli;
pub mod clock;
pub mod crypto;
pub mod demo;
pub mod domain;
pub mod fetch;
pub mod protocol;
pub mod server;
pub mod settings;
pub mod storage;
pub mod telemetry;
pub mod web;
