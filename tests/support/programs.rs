//! The programs of `examples/`, each started by a line of shell at the top of the checkout.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::logs::Log;
use super::tools;

/// A running program. It ends with its keeper's standard input: when it goes out of scope, and
/// when the test process dies.
pub struct Program {
    /// What it has printed.
    pub log: Log,
    keeper: Child,
}

impl Program {
    /// Runs the line and waits until the program says where it is. `None` when Node.js or the
    /// folder's npm packages are missing and skipping is allowed.
    pub async fn start(folder: &str, line: &str) -> Option<Program> {
        let node = tools::node();
        let installed = tools::repository().join(folder).join("node_modules").is_dir();
        let Some(node) = node.filter(|_| installed) else {
            tools::missing(&format!("Node.js or the packages of {folder} (npm ci)"));
            return None;
        };
        let mut path = vec![node.parent().unwrap().to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut keeper = Command::new("sh")
            .args(["-c", "(eval \"$1\") </dev/null & read -r line; kill -9 -- -$$", "keeper", line])
            .current_dir(tools::repository())
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("NO_PROXY", "localhost,127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let log = Log::default();
        log.collect(keeper.stdout.take().unwrap());
        log.collect(keeper.stderr.take().unwrap());
        let program = Program { log, keeper };
        let start = Instant::now();
        while !program.log.text().contains(" is at http") {
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "{line}\n{}", program.log.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if std::thread::panicking() {
            eprintln!("--- what the program printed ---\n{}", self.log.text());
        }
    }
}
