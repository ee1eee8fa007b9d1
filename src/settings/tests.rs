//! Settings as a whole: which source wins, and what each mistake is told.

use std::ffi::OsString;
use std::io::Write as _;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("perennial.toml");
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    (folder, path)
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn complaint(sources: &Sources) -> String {
    Settings::load(sources).unwrap_err().to_string()
}

fn complaint_about_file(text: &str) -> String {
    let (folder, path) = file(text);
    complaint(&Sources { file: Some(path), ..Sources::default() })
        .replace(&format!("{}/", folder.path().display()), "")
}

fn complaint_about_variable(name: &str, value: &str) -> String {
    complaint(&Sources { environment: environment(&[(name, value)]), ..Sources::default() })
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let settings = Settings::load(&Sources::default()).unwrap();
    assert_eq!(settings.issuer.as_str(), "http://localhost:8080");
    assert_eq!(settings.tokens.access_token, Duration::from_secs(600));
    assert_eq!(settings.tokens.refresh_absolute, Some(Duration::from_secs(31_536_000)));
    assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
}

#[test]
fn defaults_pass_their_own_rules() {
    for key in keys() {
        let value = key.default.trim_matches('"').trim_matches(['[', ']']);
        let set = Sources::only([(key.name, value)]);
        let settings = Settings::load(&set).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()), "{}", key.name);
    }
}

#[test]
fn each_source_is_stronger_than_the_one_before() {
    let (_folder, path) = file(
        "site_name = \"file\"\nissuer = \"https://file.example\"\n[log]\nfilter = \"warn\"\n\
         [tokens]\naccess_token_seconds = 60\n",
    );
    let mut sources = Sources { file: Some(path), ..Sources::default() };
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.site_name, "file");
    assert_eq!(settings.tokens.access_token.as_secs(), 60);

    sources.environment = environment(&[
        ("PERENNIAL_SITE_NAME", "environment"),
        ("PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS", "70"),
        ("PERENNIAL_CONFIG", "ignored.toml"),
        ("HOME", "/root"),
    ]);
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.site_name, "environment");
    assert_eq!(settings.tokens.access_token.as_secs(), 70);

    sources.flags.set =
        vec!["tokens.access_token_seconds=80".to_owned(), "issuer=https://set.example".to_owned()];
    sources.flags.issuer = Some("https://flag.example".to_owned());
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.tokens.access_token.as_secs(), 80);
    assert_eq!(settings.issuer.as_str(), "https://flag.example");
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn an_optional_file_may_be_missing_and_a_named_one_may_not() {
    let sources = Sources {
        optional_file: Some(PathBuf::from("/nowhere/perennial.toml")),
        ..Sources::default()
    };
    assert!(Settings::load(&sources).is_ok());
    let sources =
        Sources { file: Some(PathBuf::from("/nowhere/perennial.toml")), ..Sources::default() };
    let why = complaint(&sources);
    assert!(why.contains("/nowhere/perennial.toml: this settings file can't be read"), "{why}");
}

#[test]
fn a_wrong_value_names_key_value_origin_and_what_would_be_right() {
    assert_eq!(
        complaint_about_file("\n[tokens]\naccess_token_seconds = 5\n"),
        "2 settings are wrong:\n  \
         tokens.access_token_seconds = 5 (perennial.toml, line 3): it must be a whole number of seconds, 10 to 86400"
            .replace("2 settings are wrong:\n  ", "a setting is wrong: ")
    );
    assert_eq!(
        complaint_about_variable("PERENNIAL_LOG__FORMAT", "yaml"),
        "a setting is wrong: log.format = \"yaml\" (environment variable PERENNIAL_LOG__FORMAT): \
         it must be pretty or json"
    );
    assert_eq!(
        complaint(&Sources::only([("workers", "many")])),
        "a setting is wrong: workers = \"many\" (flag --set workers): it must be a whole number, 0 to 1024"
    );
    assert_eq!(
        complaint_about_file("auto_migrate = \"yes\""),
        "a setting is wrong: auto_migrate = \"yes\" (perennial.toml, line 1): it must be true or false, without quotes"
    );
    for (text, part) in [
        ("workers = \"4\"", "a whole number, 0 to 1024, without quotes"),
        ("workers = 1.5", "workers = (float)"),
        ("workers = -1", "workers = -1"),
        ("site_name = \"\"", "it must be some text"),
        ("listen = \"localhost\"", "an IP address and a port"),
        ("listen = 8080", "it must be address and port, in quotes"),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "a list of addresses"),
        ("[log]\nfilter = \"loud=very\"", "a filter of `tracing`"),
        ("[tokens]\nrefresh_absolute_seconds = 59", "or 0 for none"),
    ] {
        let why = complaint_about_file(text);
        assert!(why.contains(part), "{text}: {why}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let why =
        complaint(&Sources::only([("workers", "-1"), ("listen", "here"), ("colour", "green")]));
    assert!(why.starts_with("3 settings are wrong:\n  listen = "), "{why}");
    assert!(why.contains("\n  workers = ") && why.contains("\n  colour "), "{why}");
}

#[test]
fn an_unknown_key_is_told_the_nearest_right_one() {
    assert_eq!(
        complaint_about_file("databse_url = \"postgres://ann:s3cret@db/x\""),
        "a setting is wrong: databse_url (perennial.toml, line 1): there is no such setting; did you mean database_url?"
    );
    for (name, right) in [
        ("PERENNIAL_TOKENS_ACCESS_TOKEN_SECONDS", "PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS?"),
        ("PERENNIAL_ISUER", "PERENNIAL_ISSUER?"),
    ] {
        let why = complaint_about_variable(name, "1");
        assert!(why.contains(right), "{why}");
    }
    let why = complaint(&Sources::only([("access_token_seconds", "60")]));
    assert!(why.contains("did you mean tokens.access_token_seconds?"), "{why}");
    let why = complaint(&Sources::only([("colour", "green")]));
    assert!(why.contains("`perennial serve --help` lists them all"), "{why}");
    let why = complaint_about_file("tokens = 3");
    assert!(why.contains("tokens (perennial.toml, line 1): there is no such setting"), "{why}");
}

#[test]
fn a_file_that_is_not_toml_is_told_its_line_and_none_of_its_text() {
    let why = complaint_about_file("workers = 1\ndatabase_url = \"postgres://ann:s3cret@db\n");
    assert!(why.contains("perennial.toml, line 2: this is not TOML: "), "{why}");
    assert!(!why.contains("s3cret"), "{why}");
}

#[test]
fn no_complaint_holds_a_password() {
    for sources in [
        Sources::only([("database_url", "mysql://ann:s3cret@db/x")]),
        Sources::only([("database_url", "host=db password=s3cret")]),
        Sources::only([("database_ulr", "postgres://ann:s3cret@db/x")]),
        Sources {
            flags: SettingsFlags {
                set: vec!["postgres://ann:s3cret@db/x".to_owned()],
                ..SettingsFlags::default()
            },
            ..Sources::default()
        },
        Sources {
            environment: environment(&[("PERENNIAL_DATABASE_URL", "postgres:/ann:s3cret@db/x")]),
            ..Sources::default()
        },
    ] {
        let why = complaint(&sources);
        assert!(!why.contains("s3cret"), "{why}");
    }
}

#[test]
fn http_is_for_this_machine_alone() {
    let why = complaint(&Sources::only([("issuer", "http://login.example.com")]));
    assert!(why.contains("it must be https") && why.contains("allow_insecure_issuer"), "{why}");
    let allowed =
        Sources::only([("issuer", "http://login.example.com"), ("allow_insecure_issuer", "true")]);
    assert!(Settings::load(&allowed).is_ok());
}

#[test]
fn a_retry_window_ends_before_the_access_token() {
    let why = complaint(&Sources::only([("tokens.access_token_seconds", "20")]));
    assert_eq!(
        why,
        "a setting is wrong: tokens.retry_window_seconds = 30 (the default): it must be at most \
         tokens.access_token_seconds, which is 20, since a retry gives the same access token again"
    );
    let both = Sources::only([
        ("tokens.access_token_seconds", "20"),
        ("tokens.retry_window_seconds", "20"),
    ]);
    assert!(Settings::load(&both).is_ok());
}

#[test]
fn lists_are_written_with_commas_outside_of_files() {
    let (_folder, path) = file("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]");
    let from_file = Settings::load(&Sources { file: Some(path), ..Sources::default() }).unwrap();
    let from_variable = Settings::load(&Sources {
        environment: environment(&[("PERENNIAL_TRUSTED_PROXIES", "10.0.0.0/8, ::1")]),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(from_file.trusted_proxies.len(), 2);
    assert_eq!(from_file.trusted_proxies, from_variable.trusted_proxies);
}
