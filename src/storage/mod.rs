//! See the map in `lib.rs`.

pub mod postgres_tls;
