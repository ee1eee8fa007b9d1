//! Other people's OAuth clients, run unmodified in their own languages.

use std::process::{Output, Stdio};

use super::tools;

/// Runs `tests/clients/SCRIPT` with Node.js; `None` when it isn't installed and
/// skipping is allowed. Blocks: call it by `spawn_blocking` where a server
/// runs in the same process.
pub fn node(script: &str, arguments: &[&str]) -> Option<Output> {
    let Some(node) = tools::node() else {
        tools::missing("Node.js");
        return None;
    };
    if !tools::node_modules().join("openid-client").is_dir() {
        tools::missing("openid-client (npm ci in tests/clients)");
        return None;
    }
    Some(run(&node, script, arguments))
}

/// Runs `tests/clients/SCRIPT` with the Python that has authlib and requests.
pub fn python(script: &str, arguments: &[&str]) -> Option<Output> {
    let Some(python) = tools::python() else {
        tools::missing("Python with authlib");
        return None;
    };
    Some(run(&python, script, arguments))
}

fn run(program: &std::path::Path, script: &str, arguments: &[&str]) -> Output {
    let folder = tools::repository().join("tests/clients");
    std::process::Command::new(program)
        .arg(folder.join(script))
        .args(arguments)
        .current_dir(folder)
        .env("NO_PROXY", "localhost,127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
