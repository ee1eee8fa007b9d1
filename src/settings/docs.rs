//! The list of all settings, for `--help` and for `docs/settings.md`.

use super::{Key, keys};

const SECTIONS: &[(&str, &str)] = &[
    ("", "The server"),
    ("log", "The log"),
    ("limits", "Limits on requests"),
    ("database", "The database"),
    ("tokens", "Tokens"),
    ("keys", "Keys"),
    ("sessions", "Browser sign-ins"),
    ("passwords", "Passwords"),
    ("throttle", "Wrong passwords"),
    ("fetch", "Requests to apps"),
    ("retention", "How long things are kept"),
    ("registration", "Apps that come by themselves"),
    ("logout", "Telling apps of sign-outs"),
];

fn title(section: &str) -> &str {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(section, |(_, title)| title)
}

/// Every setting with its default, for the foot of `perennial serve --help`.
pub fn help_text() -> String {
    let mut text = String::from(
        "Settings, from the weakest source to the strongest: the default, the TOML file, the\n\
         environment (PERENNIAL_ISSUER; PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS), the flags\n\
         (--issuer URL; --set tokens.access_token_seconds=300).\n",
    );
    let mut section = None;
    for key in keys() {
        if section != Some(key.section()) {
            section = Some(key.section());
            text.push_str(&format!("\n{}\n", title(key.section())));
        }
        text.push_str(&format!("  {} = {}", key.name, key.default));
        if let Some(words) = &key.default_words {
            text.push_str(&format!("  # {words}"));
        }
        text.push('\n');
        for line in wrapped(&format!("{} ({})", key.doc, key.kind), 82) {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text of `docs/settings.md`.
pub fn manual() -> String {
    let mut text = String::from(MANUAL_HEAD);
    let mut section = None;
    for key in keys() {
        if section != Some(key.section()) {
            section = Some(key.section());
            text.push_str(&heading(&key));
        }
        let words =
            key.default_words.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
        text.push_str(&format!(
            "| `{}` | {} | `{}`{words} | {} |\n",
            key.short_name(),
            key.kind,
            key.default,
            key.doc.replace('|', "\\|"),
        ));
    }
    text
}

fn heading(key: &Key) -> String {
    let section = match key.section() {
        "" => String::new(),
        section => format!(": `[{section}]`"),
    };
    format!(
        "\n## {}{section}\n| key | value | default | what it does |\n|---|---|---|---|\n",
        title(key.section())
    )
}

const MANUAL_HEAD: &str = "# Settings

<!-- Written from src/settings/mod.rs by `PERENNIAL_BLESS=1 cargo test --lib settings`. -->

Perennial starts without any of these. A setting comes from, the later the stronger:

1. its default, in the tables below;
2. a TOML file: `--config FILE`, else `PERENNIAL_CONFIG`, else `perennial.toml` in the working directory where there is one;
3. an environment variable: `PERENNIAL_` and the key in capitals, with two underscores between section and key: `PERENNIAL_ISSUER`, `PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS`. A list is written with commas;
4. a flag: `--database-url`, `--issuer`, `--listen`, `--secret-key-file`, and `--set KEY=VALUE` for every key: `--set tokens.access_token_seconds=300`.

An unknown key, a wrong type and a value out of bounds keep the server from starting; it names them all at once, with where each came from. Relative paths start at the working directory.

```toml
issuer = \"https://login.example.com\"
listen = \"0.0.0.0:8080\"
database_url = \"postgres://perennial:PASSWORD@db.example.com/perennial?sslmode=verify-full\"
secret_key_file = \"/etc/perennial/perennial.key\"
trusted_proxies = [\"10.0.0.0/8\"]

[tokens]
access_token_seconds = 300
```
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_is_the_one_that_the_code_would_write() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let right = manual();
        if std::env::var_os("PERENNIAL_BLESS").is_some() {
            std::fs::write(path, &right).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == right,
            "docs/settings.md is not what the code says; write it anew with\n    \
             PERENNIAL_BLESS=1 cargo test --lib settings"
        );
    }

    #[test]
    fn help_lists_every_setting_with_its_default() {
        let help = help_text();
        for key in keys() {
            assert!(help.contains(&format!("  {} = {}", key.name, key.default)));
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }

    #[test]
    fn every_section_has_a_title_and_every_key_a_sentence() {
        for key in keys() {
            assert_ne!(title(key.section()), key.section(), "{}", key.name);
            assert!(key.doc.ends_with('.'), "{}", key.name);
        }
    }
}
