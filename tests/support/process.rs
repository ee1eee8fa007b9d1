//! The real binary as a process of its own: started, asked, terminated, killed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::database::TestDatabase;
use super::logs::{Log, Secrets};
use super::tools;

/// How long a start or a stop may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// What every command of one installation gets: the environment that names its
/// database, keys and addresses. Nothing of the caller's own `PERENNIAL_*`
/// comes through.
#[derive(Clone, Debug)]
pub struct Installation {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
}

impl Installation {
    /// On a database, with a key file in the database's own temporary folder,
    /// and a free port of 127.0.0.1.
    pub fn on(database: &TestDatabase) -> Installation {
        let port = tools::free_port();
        let folder = database.folder().to_path_buf();
        let key_file = folder.join("keys/perennial.key").display().to_string();
        Installation { folder, environment: Vec::new(), port }
            .with("PERENNIAL_DATABASE_URL", &database.url)
            .with("PERENNIAL_SECRET_KEY_FILE", &key_file)
            .with("PERENNIAL_LISTEN", &format!("127.0.0.1:{port}"))
            .with("PERENNIAL_ISSUER", &format!("http://localhost:{port}"))
    }

    /// Sets a variable, or replaces it.
    pub fn with(mut self, name: &str, value: &str) -> Installation {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A second node of the same installation: its own port, the same issuer.
    pub fn another_node(&self) -> Installation {
        let port = tools::free_port();
        let mut node = self.clone().with("PERENNIAL_LISTEN", &format!("127.0.0.1:{port}"));
        node.port = port;
        node
    }

    /// Where it keeps its files: the working directory of every command.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where this node answers: `http://localhost:PORT`.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The path that the issuer's routes are mounted under: "" or "/id".
    pub fn base_path(&self) -> String {
        let issuer = self.environment.iter().find(|(name, _)| name == "PERENNIAL_ISSUER");
        let path =
            issuer.and_then(|(_, issuer)| Some(url::Url::parse(issuer).ok()?.path().to_owned()));
        path.unwrap_or_default().trim_end_matches('/').to_owned()
    }

    /// Runs lines of shell as an operator types them, in the installation's folder, with
    /// `perennial` in the path; stops at the first that fails.
    pub fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_perennial"));
        let mut path = vec![program.parent().unwrap().to_path_buf()];
        path.extend(tools::postgres_programs());
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let output = self
            .command_of(Path::new("bash"))
            .args(["-euo", "pipefail", "-c", script])
            .env("PATH", std::env::join_paths(path).unwrap())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Output::of(output)
    }

    /// Runs a command to its end.
    pub fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs a command to its end, with text on its standard input.
    pub fn run_with_input<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
        input: &str,
    ) -> Output {
        use std::io::Write;
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may be gone before it is written to.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Output::of(child.wait_with_output().unwrap())
    }

    /// Runs a command with `--json`, which must succeed, and parses its answer.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments.iter().chain(&["--json"])).ok().json()
    }

    /// Starts `perennial serve` and waits until it is ready.
    pub async fn serve(&self) -> Server {
        let mut server = self.serve_unready();
        server.wait_until_ready().await;
        server
    }

    /// Starts `perennial serve` and returns at once.
    pub fn serve_unready(&self) -> Server {
        Server::start(self.clone(), &["serve"])
    }

    /// Starts `perennial serve` under strace, which writes the server's calls to a file, and
    /// waits until it is ready. The process is the server's own: strace stands beside it.
    pub async fn serve_traced(&self, strace: &Path, calls: &str, trace: &Path) -> Server {
        let mut command = self.command_of(strace);
        command.args(["-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000"]);
        command.args(["-e", "signal=none", "-e", calls, "-o"]).arg(trace);
        command.arg("--").arg(env!("CARGO_BIN_EXE_perennial")).arg("serve");
        let mut server = Server::spawn(self.clone(), command);
        server.wait_until_ready().await;
        server
    }

    fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_perennial")))
    }

    /// Any program, in the folder and the environment of this installation.
    fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PERENNIAL_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Output {
    fn of(output: std::process::Output) -> Output {
        Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Output {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// The exit status as a number.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// A running `perennial`. When it goes out of scope it is killed, and the test
/// fails if its log shows a secret that the test had remembered.
pub struct Server {
    /// The installation that it serves.
    pub installation: Installation,
    /// Its standard output and standard error.
    pub log: Log,
    /// What must never stand in that log.
    pub secrets: Secrets,
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts any long-running command (`serve`, `demo`).
    pub fn start(installation: Installation, arguments: &[&str]) -> Server {
        let mut command = installation.command();
        command.args(arguments);
        Server::spawn(installation, command)
    }

    fn spawn(installation: Installation, mut command: Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::default();
        let readers = vec![
            log.collect(child.stdout.take().unwrap()),
            log.collect(child.stderr.take().unwrap()),
        ];
        Server { installation, log, secrets: Secrets::default(), child, readers }
    }

    /// Where it answers.
    pub fn origin(&self) -> String {
        self.installation.origin()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Polls `/readyz` until it answers 200.
    pub async fn wait_until_ready(&mut self) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
        let (port, base) = (self.installation.port, self.installation.base_path());
        let url = format!("http://127.0.0.1:{port}{base}/readyz");
        let start = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            if let Ok(answer) = client.get(&url).send().await
                && answer.status().is_success()
            {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("perennial ended with {status} before it was ready\n{}", self.output());
            }
            assert!(start.elapsed() < DEADLINE, "not ready in time\n{}", self.log.text());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL: no goodbye, no flush.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM: asks it to finish what it has begun, and waits for its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {name}");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "did not end in time\n{}", self.log.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that it has written, complete once it has ended.
    pub fn output(&mut self) -> String {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            for reader in self.readers.drain(..) {
                let _ = reader.join();
            }
        }
        self.log.text()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.output();
        if std::thread::panicking() {
            eprintln!("--- log of the server on port {} ---\n{log}", self.installation.port);
            return;
        }
        let leaks = self.secrets.found_in(&log);
        assert!(leaks.is_empty(), "secrets in the server's log: {leaks:#?}");
    }
}

/// Whether a file is there and only its owner may read it.
pub fn is_private(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0)
}
