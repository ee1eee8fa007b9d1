//! What the tests stand on: databases, servers, browsers, clients.
#![allow(dead_code, reason = "the harness offers more than today's tests use")]

pub mod apache;
pub mod assertions;
pub mod browser;
pub mod clients;
pub mod database;
pub mod disk;
pub mod families;
pub mod gate;
pub mod http;
pub mod jwt;
pub mod linearizability;
pub mod listener;
pub mod local;
pub mod logs;
pub mod oauth;
pub mod pages;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod server;
pub mod tools;
pub mod trace;
pub mod web_server;
