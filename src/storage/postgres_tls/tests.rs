//! The URLs by a table; the tunnel against a real Postgres with TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::ExposeSecret;

use super::conninfo::Conninfo;
use super::tunnel::without_channel_binding;
use super::{Plan, TlsError, open_with};

fn nothing(_: &str) -> Option<String> {
    None
}

fn direct(url: &str) -> String {
    Conninfo::parse(url, &nothing).unwrap().direct_url()
}

const SETTLED: &str = "sslmode=disable&sslnegotiation=postgres&sslcertmode=disable&sslrootcert=&\
                       ssl%5Fmin%5Fprotocol%5Fversion=&ssl%5Fmax%5Fprotocol%5Fversion=";

fn settled() -> String {
    SETTLED.replace("%5F", "_")
}

#[test]
fn rewrites_a_url_and_keeps_what_is_not_about_tls() {
    let table = [
        ("postgres://", "postgres:///?"),
        ("postgresql://db", "postgres:///?host=db&"),
        ("postgres://u:p@db:5433/app?sslmode=require", "postgres://u:p@/app?host=db&port=5433&"),
        (
            "postgres://us%40er:p%2Fw%25%3F%23@db/a%20b",
            "postgres://us%40er:p%2Fw%25%3F%23@/a%20b?host=db&",
        ),
        ("postgres://u@/app?host=%2Frun%2Fpg", "postgres://u@/app?host=%2Frun%2Fpg&"),
        ("postgres://[::1]:1/x", "postgres:///x?host=%3A%3A1&port=1&"),
        (
            "postgres://a:1,b:2/x?target_session_attrs=read-write&application_name=it%27s",
            "postgres:///x?application_name=it%27s&host=a%2Cb&port=1%2C2&\
             target_session_attrs=read-write&",
        ),
        ("postgres://db?user=u&password=p&dbname=x", "postgres://u:p@/x?host=db&"),
        ("postgres://:p@db", "postgres:///?host=db&password=p&"),
        ("postgres://db?ssl=true&sslcert=/c&sslkey=/k&sslpassword=s", "postgres:///?host=db&"),
    ];
    for (url, expected) in table {
        assert_eq!(direct(url), format!("{expected}{}", settled()), "{url}");
    }
}

#[test]
fn points_libpq_at_the_tunnel_and_nowhere_else() {
    let url = "postgres://u:p%40@db:6000/app?hostaddr=10.0.0.1&requirepeer=x&sslmode=require";
    let conninfo = Conninfo::parse(url, &nothing).unwrap();
    assert_eq!(
        conninfo.tunnel_url(&["/tmp/x".to_owned()], &[6000]),
        format!(
            "postgres://u:p%40@/app?host=%2Ftmp%2Fx&hostaddr=&port=6000&requirepeer=&{}",
            settled()
        )
    );
}

#[test]
fn opens_a_tunnel_only_where_tls_may_be_spoken() {
    let through = |url: &str, variables: &[(&str, &str)]| {
        let environment = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        matches!(open_with(url, &environment).unwrap(), Plan::Through { .. })
    };
    assert!(through("postgres://db", &[]));
    assert!(through("postgres://db?sslmode=require", &[("PGSSLMODE", "disable")]));
    assert!(through("postgres://", &[("PGHOST", "db")]));
    assert!(through("postgres://?hostaddr=127.0.0.1", &[]));
    assert!(through("postgres://db,%2Frun/x", &[]));
    assert!(!through("postgres://db", &[("PGSSLMODE", "disable")]));
    assert!(!through("postgres://db?sslmode=disable", &[("PGSSLMODE", "require")]));
    assert!(!through("postgres://db?sslmode=allow", &[]));
    assert!(!through("postgres:///x", &[("PGSSLMODE", "verify-full")]));
    assert!(!through("postgres:///x?host=/run/postgresql&sslmode=require", &[]));
}

#[test]
fn gives_every_server_a_folder_that_only_its_owner_enters() {
    let plan = open_with("postgres://a:1,b:2/x?sslmode=require", &nothing).unwrap();
    let Plan::Through { url, tunnel } = plan else { panic!("no tunnel") };
    let folders = tunnel.folders().map(Result::unwrap).collect::<Vec<_>>();
    for (folder, port) in folders.iter().zip([1, 2]) {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(Path::new(folder).join(format!(".s.PGSQL.{port}")).exists());
    }
    let hosts = Conninfo::parse(url.expose_secret(), &nothing).unwrap();
    assert_eq!(hosts.get("host"), Some(folders.join(",").as_str()));
    drop(tunnel);
    assert!(folders.iter().all(|folder| !Path::new(folder).exists()));
}

#[test]
fn refuses_what_it_cannot_keep_without_telling_the_password() {
    let table = [
        ("mysql://u:hunter2@db", "must start with"),
        ("postgres://u:hunter2%zz@db", "write % as %25"),
        ("postgres://u:hunter2@db:99999", "a port"),
        ("postgres://u:hunter2@db?sslmode=maybe", "verify-full"),
        ("postgres://u:hunter2@db?sslmode=verify-full", "sslrootcert="),
        ("postgres://u:hunter2@db?sslmode=verify-ca&sslrootcert=/nowhere/ca", "/nowhere/ca"),
        ("postgres://u:hunter2@db?sslmode=require&sslrootcert=system", "sslmode=verify-full"),
        ("postgres://u:hunter2@db?channel_binding=require", "channel_binding"),
        ("postgres://u:hunter2@db?sslcrl=/x", "sslcrl"),
        ("postgres://u:hunter2@db?sslpassword=hunter2", "sslpassword"),
        ("postgres://u:hunter2@db?sslnegotiation=direct", "sslnegotiation"),
        ("postgres://u:hunter2@db?service=x", "service"),
        ("postgres://u:hunter2@db?ssl_min_protocol_version=SSLv3", "TLSv1.2"),
        (
            "postgres://u:hunter2@db?ssl_min_protocol_version=TLSv1.3&\
             ssl_max_protocol_version=TLSv1.2",
            "or later",
        ),
        ("postgres://u:hunter2@a,b:1,2:3?port=1,2", "different numbers"),
        (
            "postgres://u:hunter2@?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=system",
            "host name",
        ),
    ];
    for (url, expected) in table {
        let error = open_with(url, &nothing).unwrap_err();
        assert!(error.to_string().contains(expected), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let plan = open_with("postgres://u:hunter2@db", &nothing).unwrap();
    assert!(!format!("{plan:?} {:?}", plan.url()).contains("hunter2"));
}

#[test]
fn guards_the_client_s_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("Test authority");
    let (certificate, key) = authority.certificate_for("someone");
    let (certificate_file, key_file) = (folder.path().join("c.crt"), folder.path().join("c.key"));
    fs::write(&certificate_file, certificate).unwrap();
    fs::write(&key_file, key).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let url = format!(
        "postgres://db?sslmode=require&sslcert={}&sslkey={}",
        certificate_file.display(),
        key_file.display()
    );
    let error = open_with(&url, &nothing).unwrap_err();
    assert!(matches!(&error, TlsError::BadFile { parameter: "sslkey", .. }), "{error}");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    open_with(&url, &nothing).unwrap();
}

#[test]
fn leaves_out_only_the_offer_of_channel_binding() {
    let table: [(&[u8], &[u8]); 4] = [
        (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", b"\0\0\0\x0aSCRAM-SHA-256\0\0"),
        (b"\0\0\0\x0aSCRAM-SHA-256\0\0", b"\0\0\0\x0aSCRAM-SHA-256\0\0"),
        (b"\0\0\0\x05salt", b"\0\0\0\x05salt"),
        (b"\0\0\0\0", b"\0\0\0\0"),
    ];
    for (body, expected) in table {
        assert_eq!(without_channel_binding(body.to_vec()), expected);
    }
}

/// Opens a connection; the tunnel comes with it.
fn connect(url: &str) -> Result<(PgConnection, Option<super::Tunnel>), String> {
    let (url, tunnel) = open_with(url, &nothing).map_err(|error| error.to_string())?.into_parts();
    let connection = PgConnection::establish(url.expose_secret());
    connection.map(|connection| (connection, tunnel)).map_err(|error| error.to_string())
}

fn failure(url: &str) -> String {
    connect(url).map(|_| ()).unwrap_err()
}

fn speaks_tls(connection: &mut PgConnection) -> bool {
    diesel::select(diesel::dsl::sql::<Bool>(
        "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())",
    ))
    .get_result(connection)
    .unwrap()
}

fn text(connection: &mut PgConnection, sql: &str) -> String {
    diesel::select(diesel::dsl::sql::<Text>(sql)).get_result(connection).unwrap()
}

/// A server that answers a request for TLS with these bytes, once for each of them.
fn pretender(answers: &'static [&'static [u8]]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
            stream.write_all(answer).unwrap();
            held.push(stream);
        }
        std::thread::sleep(Duration::from_secs(30));
    });
    port
}

#[test]
fn says_what_is_wrong_at_the_far_end() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = failure(&format!("postgres://127.0.0.1:{closed}/x?sslmode=require"));
    assert!(error.contains("can't be reached") && error.contains("refused"), "{error}");

    let port = pretender(&[b"N"]);
    let error = failure(&format!("postgres://127.0.0.1:{port}/x?sslmode=require"));
    assert!(error.contains("TLS turned off"), "{error}");

    let port = pretender(&[b"H"]);
    let error = failure(&format!("postgres://127.0.0.1:{port}/x?sslmode=require"));
    assert!(error.contains("isn't Postgres"), "{error}");

    // What somebody in between slips in before the handshake must not be taken for the server's.
    let port = pretender(&[b"SE\0\0\0\x0fSFATAL\0Mforged\0\0"]);
    let error = failure(&format!("postgres://127.0.0.1:{port}/x?sslmode=require"));
    assert!(error.contains("TLS to 127.0.0.1") && !error.contains("forged"), "{error}");

    let start = Instant::now();
    let port = pretender(&[b""]);
    let error =
        failure(&format!("postgres://127.0.0.1:{port}/x?sslmode=require&connect_timeout=2"));
    assert!(error.contains("within connect_timeout"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(4));

    let error = failure("postgres://no-such-host.invalid/x?sslmode=require");
    assert!(error.contains("can't be resolved"), "{error}");
}

#[test]
fn carries_connections_to_a_real_server() {
    let Some(cluster) = Cluster::start() else { return };
    let port = cluster.port;
    let ca = cluster.file("ca.pem");
    let at = |host: &str, rest: &str| format!("postgres://postgres@{host}:{port}/postgres?{rest}");
    let full = format!("sslmode=verify-full&sslrootcert={ca}");

    // The right host, and every way that is less strict.
    for url in [
        at("localhost", &full),
        at("localhost", &format!("{full}&ssl_min_protocol_version=TLSv1.3")),
        at("localhost", &format!("{full}&ssl_max_protocol_version=TLSv1.2")),
        at("localhost", &format!("{full}&hostaddr=127.0.0.1&connect_timeout=10")),
        at("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ca}")),
        at("127.0.0.1", "sslmode=require"),
        at("127.0.0.1", "sslmode=prefer"),
        at("127.0.0.1", ""),
    ] {
        let (mut connection, tunnel) = connect(&url).unwrap();
        assert!(tunnel.is_some());
        assert!(speaks_tls(&mut connection), "{url}");
    }
    let (mut connection, _) = connect(&at("localhost", "sslmode=disable")).unwrap();
    assert!(!speaks_tls(&mut connection));

    // The wrong host, and the wrong authority.
    let error = failure(&at("127.0.0.1", &full));
    assert!(
        error.contains(&format!(
            "TLS to 127.0.0.1:{port} failed: the certificate isn't valid for name 127.0.0.1"
        )) && error.contains("localhost"),
        "{error}"
    );
    let other = cluster.folder.path().join("other.pem");
    for (name, expected) in [("Other", "vouches"), ("Test authority", "has another key")] {
        fs::write(&other, Authority::new(name).pem()).unwrap();
        for mode in ["verify-full", "verify-ca", "require"] {
            let rest = format!("sslmode={mode}&sslrootcert={}", other.display());
            let error = failure(&at("localhost", &rest));
            assert!(error.contains(expected) && error.contains("other.pem"), "{mode}: {error}");
        }
    }

    // A server that is down, and then one that isn't.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://postgres@localhost:{closed},localhost:{port}/postgres?{full}");
    assert!(speaks_tls(&mut connect(&url).unwrap().0));

    // More than fits into any buffer, both ways.
    let (mut connection, tunnel) = connect(&at("localhost", &full)).unwrap();
    let long = "x".repeat(3_000_000);
    assert_eq!(text(&mut connection, &format!("upper('{long}')")), long.to_uppercase());
    // Without its tunnel a connection ends.
    drop(tunnel);
    assert!(diesel::sql_query("SELECT 1").execute(&mut connection).is_err());

    // A password that needs every escape, by SCRAM.
    let (mut connection, _admin) = connect(&at("localhost", &full)).unwrap();
    for sql in
        ["CREATE ROLE secretive LOGIN PASSWORD 'p@s/s:w%r?d#é'", "CREATE ROLE certified LOGIN"]
    {
        diesel::sql_query(sql).execute(&mut connection).unwrap();
    }
    let password = "p%40s%2Fs%3Aw%25r%3Fd%23%C3%A9";
    let url = format!("postgres://secretive:{password}@localhost:{port}/postgres?{full}");
    assert!(speaks_tls(&mut connect(&url).unwrap().0));
    let url = format!("postgres://secretive:wrong@localhost:{port}/postgres?{full}");
    let error = failure(&url);
    assert!(error.contains("password authentication failed") && !error.contains("wrong"));

    // A client's certificate, and none.
    let url = format!("postgres://certified@localhost:{port}/postgres?{full}");
    let with = format!("{url}&sslcert={}&sslkey={}", cluster.file("c.crt"), cluster.file("c.key"));
    assert!(speaks_tls(&mut connect(&with).unwrap().0));
    assert!(failure(&url).contains("requires a valid client certificate"));

    cancels_a_query(&at("localhost", &full));

    // An authority's own certificate as the server's, as many guides make it.
    let set = |connection: &mut PgConnection, sql: &str| {
        diesel::sql_query(sql).execute(connection).unwrap();
        diesel::sql_query("SELECT pg_reload_conf()").execute(connection).unwrap();
    };
    let (mut connection, _) = connect(&at("localhost", "sslmode=disable")).unwrap();
    set(&mut connection, "ALTER SYSTEM SET ssl_cert_file = 'own.crt'");
    set(&mut connection, "ALTER SYSTEM SET ssl_key_file = 'own.key'");
    let url =
        at("localhost", &format!("sslmode=verify-full&sslrootcert={}", cluster.file("own.crt")));
    eventually(|| failure(&url).contains("an authority's own"));

    // No TLS: `prefer` goes on without it, `require` doesn't.
    set(&mut connection, "ALTER SYSTEM SET ssl = off");
    eventually(|| !speaks_tls(&mut connect(&at("localhost", "")).unwrap().0));
    assert!(failure(&at("localhost", "sslmode=require")).contains("TLS turned off"));
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Speaks the protocol itself, since Diesel has no way to cancel.
fn cancels_a_query(url: &str) {
    let plan = open_with(url, &nothing).unwrap();
    let inside = Conninfo::parse(plan.url().expose_secret(), &nothing).unwrap();
    let server = inside.servers().unwrap().remove(0);
    let socket = Path::new(&server.host).join(format!(".s.PGSQL.{}", server.port));
    let message = |stream: &mut UnixStream| {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        stream.read_exact(&mut body).unwrap();
        (head[0], body)
    };
    let mut stream = UnixStream::connect(&socket).unwrap();
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let mut startup = u32::try_from(parameters.len() + 8).unwrap().to_be_bytes().to_vec();
    startup.extend(196_608_u32.to_be_bytes());
    startup.extend(parameters);
    stream.write_all(&startup).unwrap();
    let mut key = Vec::new();
    loop {
        match message(&mut stream) {
            (b'K', body) => key = body,
            (b'Z', _) => break,
            (b'E', body) => panic!("{}", String::from_utf8_lossy(&body)),
            _ => {}
        }
    }
    let query = b"SELECT pg_sleep(60)\0";
    stream.write_all(b"Q").unwrap();
    stream.write_all(&u32::try_from(query.len() + 4).unwrap().to_be_bytes()).unwrap();
    stream.write_all(query).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    let mut other = UnixStream::connect(&socket).unwrap();
    let mut cancel = 16_u32.to_be_bytes().to_vec();
    cancel.extend(80_877_102_u32.to_be_bytes());
    cancel.extend(key);
    other.write_all(&cancel).unwrap();
    let body = loop {
        match message(&mut stream) {
            (b'E', body) => break body,
            (kind, _) => assert_eq!(kind, b'T', "the query came to its end"),
        }
    };
    assert!(String::from_utf8_lossy(&body).contains("C57014"));
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut about = CertificateParams::new(Vec::new()).unwrap();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        about.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate in PEM, and its key.
    fn certificate_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut about = CertificateParams::new(vec![name.to_owned()]).unwrap();
        about.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = about.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A Postgres of its own, with TLS, that ends with the test.
struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Cluster {
    /// None if Postgres isn't installed.
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let strict = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!strict, "Postgres (initdb, pg_ctl) is missing, and CI=true skips nothing");
            eprintln!("SKIPPED: Postgres (initdb, pg_ctl) is missing");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { programs, folder: tempfile::tempdir().unwrap(), port };
        if let Some((user, group)) = server_user() {
            chown(cluster.folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = cluster.folder.path().join("data");
        let mut initdb = cluster.command("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--locale=C", "--encoding=UTF8"]);
        run(initdb.args(["--no-sync", "-D"]).arg(&data));

        let authority = Authority::new("Test authority");
        let server = authority.certificate_for("localhost");
        let client = authority.certificate_for("certified");
        let own = Authority::new("Test authority");
        cluster.write("ca.pem", &authority.pem());
        for (name, (certificate, key)) in [("data/server", &server), ("c", &client)] {
            cluster.write(&format!("{name}.crt"), certificate);
            cluster.write(&format!("{name}.key"), key);
        }
        cluster.write("own.crt", &own.pem());
        cluster.write("data/own.crt", &own.pem());
        cluster.write("data/own.key", &own.0.key().serialize_pem());
        // The client's key is read by this process.
        chown(cluster.folder.path().join("c.key"), Some(0), Some(0)).ok();
        cluster.write(
            "data/pg_hba.conf",
            "hostssl all secretive samehost scram-sha-256\n\
             hostssl all certified samehost cert\n\
             host all postgres samehost trust\n",
        );
        cluster.write(
            "data/postgresql.auto.conf",
            &format!(
                "port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = ''\n\
                 fsync = off\nssl = on\nssl_ca_file = '{}'\n",
                cluster.file("ca.pem")
            ),
        );
        let mut start = cluster.command("pg_ctl");
        start.args(["start", "-w", "-s", "-D"]).arg(&data);
        run(start.arg("-l").arg(cluster.folder.path().join("log")));
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(cluster)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = server_user() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = server_user() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = self.command("pg_ctl");
        let _ = stop.args(["stop", "-s", "-m", "immediate", "-D"]).arg(data).status();
    }
}

fn run(command: &mut Command) {
    let status = command.stdout(std::process::Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn programs() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PERENNIAL_TEST_PG_BIN") {
        return Some(named.into());
    }
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found = installed.map(|entry| entry.path().join("bin")).collect::<Vec<_>>();
    found.sort();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    found.into_iter().find(|folder| folder.join("initdb").exists())
}

/// Root may not run Postgres, so it becomes the user `postgres`.
fn server_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata("/proc/self").map(|about| about.uid()).ok()? != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?.to_owned();
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
