//! The import rule: what each room of `src/` may name.
//!
//! Dependencies point down this list, never up and never sideways. A file's
//! room is the first part of its path. Every path that starts at the crate's
//! root counts, in `use` and in code alike, and so does one that climbs there
//! by `super`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each room and the rooms that it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli", "settings", "telemetry"]),
    (
        "cli",
        &[
            "demo",
            "server",
            "web",
            "protocol",
            "fetch",
            "crypto",
            "storage",
            "domain",
            "settings",
            "telemetry",
            "clock",
        ],
    ),
    ("demo", &[]),
    (
        "server",
        &[
            "web",
            "protocol",
            "fetch",
            "crypto",
            "storage",
            "domain",
            "settings",
            "telemetry",
            "clock",
        ],
    ),
    (
        "web",
        &["protocol", "fetch", "crypto", "storage", "domain", "settings", "telemetry", "clock"],
    ),
    ("protocol", &["crypto", "storage", "domain"]),
    // Synchronous rooms don't wait for other servers: web asks, and hands the answer down.
    ("fetch", &[]),
    ("crypto", &["domain"]),
    ("storage", &["domain", "clock"]),
    ("settings", &["domain"]),
    ("telemetry", &["domain", "settings"]),
    ("clock", &["domain"]),
    ("domain", &[]),
    // The map of the house declares the rooms and uses none.
    ("lib", &[]),
];

/// Other people's crates (by the start of their name) and the only rooms that
/// may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("diesel", &["storage"]),
    // The sample app draws its own pages, as any third party would.
    ("askama", &["web", "demo"]),
    ("actix", &["main", "cli", "demo", "server", "web", "telemetry"]),
    (
        "tokio",
        &[
            "main",
            "cli",
            "demo",
            "server",
            "web",
            "fetch",
            "storage",
            "crypto",
            "telemetry",
            "protocol",
        ],
    ),
];

/// Every breach of the rule in one file, as sentences.
fn breaches(path: &str, source: &str) -> BTreeSet<String> {
    let modules: Vec<&str> =
        path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let room = modules[0];
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return BTreeSet::from([format!("{path}: the room {room} is not on the map")]);
    };
    let (rooms, names) = references(source, modules.len());
    let mut found = BTreeSet::new();
    for used in rooms {
        let is_room = ROOMS.iter().any(|(name, _)| *name == used);
        if used != room && is_room && !allowed.contains(&used.as_str()) {
            found.insert(format!("{path}: {room} may not use {used}"));
        }
    }
    for name in names {
        for (prefix, allowed) in CRATES {
            if name.starts_with(prefix) && !allowed.contains(&room) {
                found.insert(format!("{path}: {room} may not use the crate {name}"));
            }
        }
    }
    found
}

/// The modules at the crate's root that a file names, and the first parts of
/// all other paths.
fn references(source: &str, depth: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    let tokens = tokens(source);
    let at = |index: usize| tokens.get(index).map_or("", String::as_str);
    let (mut rooms, mut names) = (BTreeSet::new(), BTreeSet::new());
    let (mut braces, mut inline_modules) = (0_usize, Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        match at(index) {
            "{" => {
                braces += 1;
                if index >= 2 && at(index - 2) == "mod" {
                    inline_modules.push(braces);
                }
            }
            "}" => {
                if inline_modules.last() == Some(&braces) {
                    inline_modules.pop();
                }
                braces = braces.saturating_sub(1);
            }
            "crate" | "perennial" if at(index + 1) == "::" && at(index.wrapping_sub(1)) != "::" => {
                root_names(&tokens, index + 2, &mut rooms);
            }
            "super" if at(index.wrapping_sub(1)) != "::" => {
                let mut climbed = 0;
                while at(index + 2 * climbed) == "super" && at(index + 2 * climbed + 1) == "::" {
                    climbed += 1;
                }
                if climbed >= depth + inline_modules.len() {
                    root_names(&tokens, index + 2 * climbed, &mut rooms);
                }
            }
            word if is_word(word) && at(index.wrapping_sub(1)) != "::" => {
                let attribute = at(index.wrapping_sub(1)) == "[" && at(index + 1) == "(";
                let import = at(index.wrapping_sub(1)) == "use";
                if at(index + 1) == "::" || attribute || import {
                    names.insert(word.to_owned());
                }
            }
            _ => {}
        }
        index += 1;
    }
    (rooms, names)
}

/// The first names of the path or of the group of paths that begins here.
fn root_names(tokens: &[String], start: usize, rooms: &mut BTreeSet<String>) {
    let at = |index: usize| tokens.get(index).map_or("", String::as_str);
    if at(start) != "{" {
        rooms.insert(at(start).to_owned());
        return;
    }
    let (mut depth, mut first) = (1, true);
    let mut index = start + 1;
    while depth > 0 && index < tokens.len() {
        match at(index) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            word if depth == 1 && first => {
                rooms.insert(word.to_owned());
                first = false;
            }
            _ => {}
        }
        index += 1;
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::` and single signs; comments, texts and lifetimes left out.
fn tokens(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < text.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut nested = 0;
            while i < text.len() {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (nested, i) = (nested + 1, i + 2),
                    ('*', '/') => (nested, i) = (nested - 1, i + 2),
                    _ => i += 1,
                }
                if nested == 0 {
                    break;
                }
            }
        } else if c == '"' {
            i += 1;
            while i < text.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character ends in a quote at once; a lifetime doesn't.
            if at(i + 1) == '\\' {
                i += 3;
                while i < text.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = text[start..i].iter().collect();
            let hashes = text[i..].iter().take_while(|sign| **sign == '#').count();
            if ["r", "br", "cr"].contains(&word.as_str()) && at(i + hashes) == '"' {
                i += hashes + 1;
                let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
                while i < text.len() && !closes(i) {
                    i += 1;
                }
                i += hashes + 1;
            } else {
                tokens.push(word);
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            i += 1;
        }
    }
    tokens
}

fn visit(folder: &Path, top: &Path, found: &mut BTreeSet<String>, files: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, top, found, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            found.extend(breaches(&name, &fs::read_to_string(&path).unwrap()));
            *files += 1;
        }
    }
}

#[test]
fn every_import_points_down() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut files) = (BTreeSet::new(), 0);
    visit(&top, &top, &mut found, &mut files);
    assert!(files > 10, "only {files} files were seen");
    assert!(found.is_empty(), "{found:#?}");
}

#[track_caller]
fn refused(path: &str, source: &str, what: &str) {
    let found = breaches(path, source);
    assert!(found.iter().any(|breach| breach.contains(what)), "{path}: {source}: {found:?}");
}

#[track_caller]
fn accepted(path: &str, source: &str) {
    let found = breaches(path, source);
    assert!(found.is_empty(), "{path}: {source}: {found:?}");
}

#[test]
fn an_arrow_up_or_sideways_is_refused() {
    refused("storage/client.rs", "use crate::protocol::token;", "may not use protocol");
    refused("storage/mod.rs", "use crate::crypto::mac;", "may not use crypto");
    refused("crypto/mac.rs", "fn f() { crate::storage::write() }", "may not use storage");
    refused("protocol/token.rs", "use crate::{domain::Scope, web};", "may not use web");
    refused("domain/scope.rs", "use crate::{\n domain::{a, b},\n clock::Clock };", "use clock");
    refused("demo/mod.rs", "use crate::domain::Scope;", "may not use domain");
    refused("protocol/x.rs", "use crate::fetch::Fetcher;", "may not use fetch");
    refused("clock.rs", "use super::storage::Database;", "may not use storage");
    refused("web/admin/users.rs", "use super::super::super::cli::add;", "may not use cli");
    refused("web/x.rs", "mod tests { use super::super::super::cli::add; }", "may not use cli");
    refused("server.rs", "use perennial::cli::x;", "may not use cli");
    refused("cellar/mod.rs", "", "not on the map");
}

#[test]
fn a_crate_outside_its_room_is_refused() {
    refused("domain/scope.rs", "use actix_web::web;", "crate actix_web");
    refused("domain/scope.rs", "async fn f() { tokio::time::sleep(d).await }", "crate tokio");
    refused("domain/scope.rs", "#[derive(askama::Template)] struct P;", "crate askama");
    refused("web/login.rs", "use diesel::prelude::*;", "crate diesel");
    refused("web/login.rs", "#[diesel(table_name = users)] struct U;", "crate diesel");
    refused("protocol/x.rs", "use diesel_migrations::embed_migrations;", "crate diesel_migrations");
}

#[test]
fn arrows_down_and_mere_words_are_accepted() {
    accepted("web/login.rs", "use crate::{protocol, storage::Database, web::page};");
    accepted("storage/x.rs", "use diesel::prelude::*; use crate::clock::Clock;");
    accepted("domain/scope.rs", "// crate::storage, diesel::x\n/* use crate::web; */ fn f() {}");
    accepted("domain/scope.rs", "const T: &str = \"use crate::web;\"; const C: char = '\"';");
    accepted(
        "domain/scope.rs",
        "const T: &str = r#\"use \" crate::web;\"#; fn f<'a>(x: &'a u8) {}",
    );
    accepted("clock.rs", "mod tests { use super::*; use super::Clock; }");
    accepted("web/admin/users.rs", "use super::super::page; use super::sessions;");
    accepted("crypto/mod.rs", "mod inner { fn f() {} } mod tests { use super::inner::storage; }");
}
