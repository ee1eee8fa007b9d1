//! The server as a foreign suite sees it: each test is one module of the OpenID Foundation's
//! certification plans and has its name, asks what that module asks, and checks at every
//! sign-in what the suite checks at every sign-in. `docs/conformance.md` has the table.

mod backchannel;
mod basic;
mod checks;
mod config;
mod dynamic;
mod logout;
mod par;
mod refresh;
mod suite;
mod wrong;
