//! Apache with mod_auth_openidc, as Debian has them: an instance of the test's own, in a folder of
//! its own, on a free port.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tools;

/// A running Apache. It ends with its keeper's standard input: when it goes out of scope, and when
/// the test process dies.
pub struct Apache {
    /// Where it answers: `http://localhost:PORT`.
    pub origin: String,
    folder: tempfile::TempDir,
    keeper: Child,
}

/// What it loads, beside what is built into Debian's.
const MODULES: [&str; 8] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "dir",
    "headers",
    "auth_openidc",
    "mime",
];

impl Apache {
    /// Where it will answer, to be registered before it starts.
    pub fn free_origin() -> String {
        format!("http://localhost:{}", tools::free_port())
    }

    /// Starts it with these directives beside its own, and waits until it answers. `/` is open,
    /// `/protected` is behind the module. `None` when it isn't installed and skipping is allowed.
    pub async fn start(origin: &str, directives: &str) -> Option<Apache> {
        let Some((program, modules)) = tools::apache() else {
            tools::missing("Apache with mod_auth_openidc");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("perennial-apache-").tempdir().unwrap();
        // Its workers are another user where the test runs as root.
        open_to_all(folder.path());
        let docs = folder.path().join("docs/protected");
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::write(docs.join("index.html"), "Behind the module").unwrap();
        std::fs::write(folder.path().join("docs/index.html"), "In the open").unwrap();
        let config = folder.path().join("httpd.conf");
        std::fs::write(&config, configuration(&folder, &modules, origin, directives)).unwrap();

        // In the foreground, so that its keeper can end it and its workers.
        let script = "\"$1\" -f \"$2\" -D FOREGROUND </dev/null & apache=$!; read -r line; \
            kill -TERM $apache; wait $apache";
        let keeper = Command::new("sh")
            .args(["-c", script, "perennial-test-keeper"])
            .arg(program)
            .arg(&config)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("stderr.log")).unwrap())
            .spawn()
            .unwrap();
        let apache = Apache { origin: origin.to_owned(), folder, keeper };
        let http = reqwest::Client::new();
        let start = Instant::now();
        while http.get(origin).send().await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", apache.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(apache)
    }

    /// What it complained of.
    pub fn log(&self) -> String {
        let read =
            |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr.log") + &read("error.log")
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if std::thread::panicking() {
            eprintln!("--- log of Apache ---\n{}", self.log());
        }
    }
}

fn configuration(
    folder: &tempfile::TempDir,
    modules: &std::path::Path,
    origin: &str,
    directives: &str,
) -> String {
    let (folder, modules) = (folder.path().display(), modules.display());
    let port = origin.rsplit(':').next().unwrap();
    let load: String = MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
        .collect();
    // It refuses to serve as root.
    let user =
        if rustix::process::geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
    format!(
        "ServerRoot {folder}\nServerName localhost\nPidFile {folder}/httpd.pid\n\
         DefaultRuntimeDir {folder}\nMutex posixsem\nListen 127.0.0.1:{port}\n{load}{user}\
         ErrorLog {folder}/error.log\nLogLevel info\nTypesConfig /dev/null\n\
         DocumentRoot {folder}/docs\nDirectoryIndex index.html\n\
         StartServers 1\n{directives}\n\
         <Location /protected>\nAuthType openid-connect\nRequire valid-user\n\
         Header always set X-Remote-User \"expr=%{{REMOTE_USER}}\"\n</Location>\n"
    )
}

fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, mode).unwrap();
}
