//! OAuth, synchronous, with `now` passed in: one file per endpoint and per act. Everything
//! here runs on a storage connection and leaves HTTP to `web` and printing to `cli`.

pub mod access;
pub mod accounts;
pub mod act;
pub mod alarms;
pub mod authorize;
pub mod backchannel;
pub mod browsers;
pub mod client_auth;
pub mod client_document;
pub mod clients;
pub mod code_grant;
pub mod endings;
pub mod id_token;
pub mod introspect;
pub mod key_rotation;
pub mod keys;
pub mod known_clients;
pub mod logout;
pub mod metadata;
pub mod oauth_error;
pub mod oxide;
pub mod profiles;
pub mod recovery;
pub mod refresh;
pub mod registration;
pub mod revoke;
pub mod scopes;
pub mod sessions;
pub mod setup;
pub mod sign_in;
pub mod solicitor;
pub mod subject;
pub mod unused_clients;
pub mod userinfo;
