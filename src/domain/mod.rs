//! Pure rules and values: no I/O, no clock, no randomness of its own, and
//! nothing of any other room. Everything here can be model-checked.

pub mod access_token;
pub mod account;
pub mod alarm;
pub mod algorithm;
pub mod allowance;
pub mod audit;
pub mod authentication;
pub mod authorization_code;
pub mod browser_session;
pub mod caller;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod client_details;
pub mod client_keys;
pub mod client_standing;
pub mod consent;
pub mod history;
pub mod id;
pub mod key_life;
pub mod logout;
pub mod password_policy;
pub mod profile;
pub mod prompt;
pub mod recovery;
pub mod redirect_uri;
pub mod refresh_token;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod sector;
pub mod throttle;
pub mod time;
pub mod token_family;
