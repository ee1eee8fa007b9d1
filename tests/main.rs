//! The integration tests: one binary, one module per capability.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

mod account_pages;
mod admin_pages;
mod architecture;
mod browser;
mod clients;
mod commands;
mod harness;
