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
mod apache;
mod architecture;
mod authorize;
mod authorize_oidc;
mod backchannel_logout;
mod bad_input;
mod browser;
mod browser_sessions;
mod client_assertions;
mod client_crates;
mod client_documents;
mod clients;
mod code_grant;
mod commands;
mod concurrency;
mod conformance;
mod crash;
mod endings;
mod examples;
mod fetch;
mod gate_pages;
mod harness;
mod id_tokens;
mod incidents;
mod introspect;
mod keys;
mod known_clients;
mod linearizability;
mod logout;
mod lost_commits;
mod metadata;
mod migrations;
mod model;
mod openid;
mod operations;
mod par;
mod power_loss;
mod profile_pages;
mod prune;
mod prune_answers;
mod prune_load;
mod registration;
mod request_objects;
mod resources;
mod response_modes;
mod revoke;
mod rotation;
mod rotation_table;
mod several_accounts;
mod storage;
mod tampering;
mod userinfo;
