//! A real Postgres, made once per test run from the installed programs.
//!
//! The cluster lives in a temporary folder, listens on a free port of
//! 127.0.0.1 alone, trusts whoever connects there, and speaks TLS with a
//! certificate for `localhost` from an authority of its own. A watchdog holds
//! the read end of a pipe whose write end is this process: however the tests
//! end, even by SIGKILL, the pipe closes, and the watchdog stops the cluster
//! and removes its folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::tools;

/// How long a test waits for what a cluster must do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync = off`: for the cluster that all tests share.
    Fast,
    /// `fsync = on`: for tests that kill things.
    Safe,
}

/// A running cluster.
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    watchdog: Child,
}

/// The cluster that the tests of this run share; `None` when Postgres isn't
/// installed and skipping is allowed.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(Durability::Fast)).as_ref()
}

impl Cluster {
    /// Makes and starts a cluster.
    pub fn start(durability: Durability) -> Option<Cluster> {
        let Some(programs) = tools::postgres_programs() else {
            tools::missing("Postgres (initdb, postgres, pg_ctl)");
            return None;
        };
        let mut cluster = Cluster::empty(programs);
        let mut initdb = cluster.command("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--pgdata"]).arg(cluster.data());
        succeed("initdb", initdb);

        let authority = Authority::new();
        let (certificate, key) = authority.certificate_for("localhost");
        for (name, text) in
            [("ca.pem", &authority.pem()), ("server.crt", &certificate), ("server.key", &key)]
        {
            let path = cluster.folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            cluster.own(&path);
        }
        cluster.configure(durability);
        cluster.start_on_a_free_port();
        Some(cluster)
    }

    /// A standby, which follows this cluster from a copy of it: streaming, asynchronous.
    pub fn standby(&self) -> Cluster {
        let mut standby = Cluster::empty(self.programs.clone());
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--host=127.0.0.1", "--username=postgres", "--port", &self.port.to_string()]);
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
        copy.args(["--no-sync", "--pgdata"]).arg(standby.data());
        succeed("pg_basebackup", copy);
        let folder = standby.folder.display();
        standby.add_settings(&format!("\nunix_socket_directories = '{folder}'\nssl = off\n"));
        standby.start_on_a_free_port();
        standby
    }

    /// Waits until this standby shows all that `primary` has committed.
    pub fn catch_up_with(&self, primary: &Cluster) {
        let position = primary.sql("postgres", "SELECT pg_current_wal_lsn()");
        self.wait_until(&format!("SELECT pg_last_wal_replay_lsn() >= '{position}'"));
    }

    /// Stops receiving what `primary` commits from here on.
    pub fn fall_behind(&self, primary: &Cluster) {
        self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("postgres", "SELECT pg_reload_conf()");
        primary.wait_until("SELECT count(*) = 0 FROM pg_stat_replication");
    }

    /// Makes this standby a primary.
    pub fn promote(&self) {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "--wait", "--silent", "--pgdata"]).arg(self.data());
        succeed("pg_ctl promote", promote);
    }

    /// Asks until the answer is yes.
    fn wait_until(&self, question: &str) {
        let start = Instant::now();
        while self.sql("postgres", question) != "t" {
            assert!(start.elapsed() < PATIENCE, "in vain: {question}");
        }
    }

    /// A folder of its own, without files yet.
    fn empty(programs: PathBuf) -> Cluster {
        let user = server_user();
        let folder = tempfile::Builder::new().prefix("perennial-pg-").tempdir().unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let watchdog = watchdog(&folder, &programs, user);
        Cluster { programs, folder, user, port: 0, watchdog }
    }

    /// Another process may take a free port first, so that a start is tried again.
    fn start_on_a_free_port(&mut self) {
        for attempt in 1.. {
            self.port = tools::free_port();
            match self.start_server() {
                Ok(()) => break,
                Err(log) => assert!(attempt < 5, "postgres did not start: {log}"),
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Hands a file to whom the server runs as.
    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed the server's certificate, for `sslrootcert`.
    /// Copied to where this process may read it, whoever owns the cluster.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// `postgres://` for a database of this cluster, without TLS.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// `postgres://` by a host name, with TLS verified in full. The certificate
    /// holds for `localhost`; by `127.0.0.1` a client must refuse it.
    pub fn tls_url(&self, database: &str, host: &str) -> String {
        format!(
            "postgres://postgres@{host}:{}/{database}?sslmode=verify-full&sslrootcert={}",
            self.port,
            self.authority_file().display()
        )
    }

    /// Makes an empty database and returns its name.
    pub fn new_database(&self) -> String {
        let name = tools::unique("test");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL by `psql` and returns what it prints: rows as lines, columns
    /// parted by `|`.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let output = self
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--command", statement, &self.url(database)])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "psql: {statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Stops the server at once, as a power cut would, and starts it again.
    pub fn crash_and_restart(&self) {
        self.stop_now();
        self.start_server().unwrap_or_else(|log| panic!("postgres did not start again: {log}"));
    }

    /// Stops the server at once, as a power cut would.
    pub fn stop_now(&self) {
        let status = self
            .command("pg_ctl")
            .args(["stop", "--mode=immediate", "--wait", "--silent", "--pgdata"])
            .arg(self.data())
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl stop");
    }

    /// Starts the server, on the port that it had.
    pub fn start_server(&self) -> Result<(), String> {
        let log = self.folder.join("server.log");
        let status = self
            .command("pg_ctl")
            .args(["start", "--wait", "--timeout=60", "--silent", "--pgdata"])
            .arg(self.data())
            .arg("--log")
            .arg(&log)
            .arg(format!("--options=-p {}", self.port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if status.success() { Ok(()) } else { Err(fs::read_to_string(log).unwrap_or_default()) }
    }

    fn configure(&self, durability: Durability) {
        let folder = self.folder.display();
        let safe = if durability == Durability::Safe { "on" } else { "off" };
        let settings = format!(
            "\nlisten_addresses = '127.0.0.1'\n\
             unix_socket_directories = '{folder}'\n\
             max_connections = 300\n\
             shared_buffers = '64MB'\n\
             fsync = {safe}\n\
             synchronous_commit = {safe}\n\
             full_page_writes = {safe}\n\
             ssl = on\n\
             ssl_cert_file = '{folder}/server.crt'\n\
             ssl_key_file = '{folder}/server.key'\n\
             timezone = 'UTC'\n"
        );
        self.add_settings(&settings);
    }

    fn add_settings(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        let text = fs::read_to_string(&file).unwrap() + settings;
        fs::write(&file, text).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).env("LC_ALL", "C").env_remove("PGHOST");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn succeed(what: &str, mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Postgres refuses to run as root, so root hands the cluster to somebody else.
fn server_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let me = fs::metadata("/proc/self").ok()?.uid();
    if me != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn watchdog(folder: &Path, programs: &Path, user: Option<(u32, u32)>) -> Child {
    let script = "read -r line; \
        [ -f \"$2/data/postmaster.pid\" ] && \"$1/pg_ctl\" stop -m immediate -s -D \"$2/data\"; \
        cd /; rm -rf \"$2\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "perennial-test-watchdog"])
        .arg(programs)
        .arg(folder)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: Ctrl-C in the terminal reaches the tests, not the watchdog.
        .process_group(0);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.spawn().unwrap()
}

/// A certificate authority for one test.
pub struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    /// Makes an authority that nobody trusts yet.
    pub fn new() -> Authority {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Perennial test authority");
        params.key_usages =
            vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let key = rcgen::KeyPair::generate().unwrap();
        Authority(rcgen::CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for one host, and its private key.
    pub fn certificate_for(&self, host: &str) -> (String, String) {
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, host);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}
