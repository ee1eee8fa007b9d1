//! The only async room: one file for each endpoint or group of pages. Pages, their forms and
//! their errors go through `page`, `form` and `browser`; the OAuth endpoints through `oauth`.

pub mod account;
pub mod admin;
pub mod app_face;
pub mod assets;
pub mod audit_words;
pub mod backchannel;
pub mod browser;
pub mod client_address;
pub mod client_documents;
pub mod client_keys;
pub mod consent;
pub mod cookies;
pub mod cursor;
pub mod fork;
pub mod form;
pub mod headers;
pub mod health;
pub mod key_keeper;
pub mod limits;
pub mod login;
pub mod names;
pub mod oauth;
pub mod page;
pub mod pending;
pub mod profile_form;
pub mod session_words;
pub mod setup;
pub mod state;
pub mod views;
