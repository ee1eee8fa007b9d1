//! Finds the programs that tests run beside our own binary.
//!
//! `./test` installs them and names them in `PERENNIAL_TEST_*`; without that,
//! the usual places are searched, so that a bare `cargo test` works too.

use std::env;
use std::path::{Path, PathBuf};

/// Whether a missing tool must fail the run instead of skipping a test.
pub fn strict() -> bool {
    matches!(env::var("CI").as_deref(), Ok("true") | Ok("1"))
}

/// Says that a test did not run, or fails when nothing may be skipped.
#[track_caller]
pub fn missing(what: &str) {
    assert!(!strict(), "{what} is missing, and CI=true skips nothing; ./test installs it");
    eprintln!("SKIPPED: {what} is missing (./test installs it)");
}

/// A program by the variable that names it, or by PATH.
pub fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    names
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// Node.js, 20 or newer.
pub fn node() -> Option<PathBuf> {
    program("PERENNIAL_TEST_NODE", &["node"])
}

/// The Python that has authlib: the virtual environment that `./test` makes.
pub fn python() -> Option<PathBuf> {
    if let Some(named) = env::var_os("PERENNIAL_TEST_PYTHON").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named));
    }
    Some(target_folder().join("tools/venv/bin/python")).filter(|python| python.is_file())
}

/// Chromium or Chrome.
pub fn chromium() -> Option<PathBuf> {
    program("PERENNIAL_TEST_CHROMIUM", &["chromium", "chromium-browser", "google-chrome"])
}

/// The driver that belongs to it.
pub fn chromedriver() -> Option<PathBuf> {
    program("PERENNIAL_TEST_CHROMEDRIVER", &["chromedriver"])
}

/// The folder of Postgres's server programs, the newest version first.
pub fn postgres_programs() -> Option<PathBuf> {
    let holds_server = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file())
    };
    if let Some(named) = env::var_os("PERENNIAL_TEST_PG_BIN").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named)).filter(holds_server);
    }
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    packaged.sort();
    let in_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    packaged.into_iter().rev().map(|(_, folder)| folder).chain(in_path).find(holds_server)
}

/// strace, where this process may trace another one that it starts.
pub fn strace() -> Option<PathBuf> {
    let Some(strace) = program("PERENNIAL_TEST_STRACE", &["strace"]) else {
        missing("strace");
        return None;
    };
    let trace = tempfile::NamedTempFile::new().unwrap();
    let tried = std::process::Command::new(&strace)
        .args(["-f", "--seccomp-bpf", "-e", "trace=fsync", "-o"])
        .arg(trace.path())
        .arg("true")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", strace.display()));
    let seen = std::fs::read_to_string(trace.path()).unwrap();
    if tried.status.success() && seen.contains("exited with 0") {
        return Some(strace);
    }
    let words = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(
        !strict(),
        "strace is installed but may not trace here ({}: {words}), and CI=true skips nothing; a \
         container needs CAP_SYS_PTRACE, and a seccomp profile that allows ptrace",
        tried.status
    );
    eprintln!("SKIPPED: strace may not trace here ({}: {words})", tried.status);
    None
}

/// Apache's program and the folder of its modules, OpenID Connect's among them.
pub fn apache() -> Option<(PathBuf, PathBuf)> {
    let program = program("PERENNIAL_TEST_APACHE", &["apache2"])
        .or_else(|| Some(PathBuf::from("/usr/sbin/apache2")))
        .filter(|program| program.is_file())?;
    let named = env::var_os("PERENNIAL_TEST_APACHE_MODULES").filter(|value| !value.is_empty());
    let modules = named.map_or_else(|| PathBuf::from("/usr/lib/apache2/modules"), PathBuf::from);
    modules.join("mod_auth_openidc.so").is_file().then_some((program, modules))
}

/// The npm packages of `tests/clients`.
pub fn node_modules() -> PathBuf {
    repository().join("tests/clients/node_modules")
}

/// The top of the checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target folder: the one that this test binary stands in.
pub fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Letters and digits that no other test has.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
