//! The integration tests: one binary, one module per capability.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

mod architecture;
mod browser_sessions;
mod commands;
mod crash;
mod harness;
mod introspect;
mod migrations;
mod operations;
mod storage;
