//! What an app asks for, in sentences, in groups of rising risk.

use super::claims::claim_line;

/// What a scope may do to the data of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// It only looks.
    Read,
    /// It changes something.
    Write,
}

/// A scope as the server knows it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeInfo<'a> {
    /// The name in the protocol.
    pub name: &'a str,
    /// What an administrator wrote about it.
    pub description: Option<&'a str>,
    /// What an administrator said of its risk; by the name's ending where nothing is said.
    pub risk: Option<Risk>,
}

/// The words that the sentences need.
#[derive(Clone, Debug, Default)]
pub struct ScopeWords {
    /// The name of the site.
    pub site: String,
    /// The person's email address, shown with the sentence about it.
    pub email: Option<String>,
    /// Their telephone number, likewise.
    pub phone: Option<String>,
    /// Their postal address, likewise.
    pub address: Option<String>,
    /// What their profile says beside name and picture, from [`also`](super::claims::also).
    pub also: Option<String>,
    /// How long access lasts unused: "30 days".
    pub idle: String,
}

/// The groups, least risk first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScopeGroup {
    /// Who the person is.
    Know,
    /// Reading.
    See,
    /// Writing.
    Change,
    /// Access that goes on without the person.
    Away,
    /// A scope that nobody described.
    Undescribed,
}

impl ScopeGroup {
    /// The headline.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Know => "Know who you are",
            Self::See => "See your data",
            Self::Change => "Change your data",
            Self::Away => "While you are away",
            Self::Undescribed => "Not described",
        }
    }

    /// The icon's name in the sprite.
    pub fn icon(&self) -> &'static str {
        match self {
            Self::Know => "user",
            Self::See => "eye",
            Self::Change => "pencil",
            Self::Away => "moon",
            Self::Undescribed => "help",
        }
    }

    /// Whether it is drawn with care.
    pub fn care(&self) -> bool {
        matches!(self, Self::Change | Self::Away | Self::Undescribed)
    }
}

/// One thing that an app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeLine {
    /// The group it stands in.
    pub group: ScopeGroup,
    /// What the app does, beginning with a verb.
    pub sentence: String,
    /// More about it.
    pub detail: Option<String>,
}

/// A group with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeBlock {
    /// The group.
    pub group: ScopeGroup,
    /// Its lines, never none.
    pub lines: Vec<ScopeLine>,
}

/// The sentence of one scope; `openid` has one only in company, see [`scope_lines`].
pub fn scope_line(scope: ScopeInfo<'_>, words: &ScopeWords) -> ScopeLine {
    let line = |group, sentence: &str, detail: Option<String>| ScopeLine {
        group,
        sentence: sentence.to_owned(),
        detail,
    };
    match scope.name {
        "openid" => line(ScopeGroup::Know, "Know your account number here", None),
        "profile" => line(ScopeGroup::Know, "See your name and picture", words.also.clone()),
        "email" => line(ScopeGroup::Know, "See your email address", words.email.clone()),
        "phone" => line(ScopeGroup::Know, "See your phone number", words.phone.clone()),
        "address" => line(ScopeGroup::Know, "See your postal address", words.address.clone()),
        "offline_access" => line(
            ScopeGroup::Away,
            "Keep this access when you aren’t using the app",
            Some(format!("It ends when you take it back, or after {} without use.", words.idle)),
        ),
        name => match scope.description.map(str::trim).filter(|text| !text.is_empty()) {
            Some(description) => {
                let writes = match scope.risk {
                    Some(risk) => risk == Risk::Write,
                    // A name that doesn't say that it only reads is taken for one that writes.
                    None => !(name.ends_with(".read") || name.ends_with(":read")),
                };
                line(if writes { ScopeGroup::Change } else { ScopeGroup::See }, description, None)
            }
            None => line(
                ScopeGroup::Undescribed,
                name,
                Some(format!("{} has no description of it", words.site)),
            ),
        },
    }
}

/// The sentences of several scopes, and of claims that are asked for one by one beside them,
/// least risk first, each once.
pub fn scope_lines(
    scopes: &[ScopeInfo<'_>],
    claims: &[&str],
    words: &ScopeWords,
) -> Vec<ScopeLine> {
    let identity = |name: &str| matches!(name, "profile" | "email" | "phone" | "address");
    let told = !claims.is_empty() || scopes.iter().any(|scope| identity(scope.name));
    let alone = scopes.iter().all(|scope| matches!(scope.name, "openid" | "offline_access"));
    let mut lines: Vec<ScopeLine> = Vec::new();
    for scope in scopes {
        if scope.name == "openid" && told {
            continue;
        }
        let mut line = scope_line(*scope, words);
        if scope.name == "openid" && alone {
            line.sentence.push_str(", and nothing else about you");
        }
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    for line in claims.iter().filter_map(|claim| claim_line(claim, words)) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| line.group);
    lines
}

/// Lines in their groups, for the consent page.
pub fn scope_blocks(lines: Vec<ScopeLine>) -> Vec<ScopeBlock> {
    let mut blocks: Vec<ScopeBlock> = Vec::new();
    for line in lines {
        match blocks.iter_mut().find(|block| block.group == line.group) {
            Some(block) => block.lines.push(line),
            None => blocks.push(ScopeBlock { group: line.group, lines: vec![line] }),
        }
    }
    blocks.sort_by_key(|block| block.group);
    blocks
}

/// The sentence about an app that has the scope: "Read your notes" becomes "Reads your notes".
///
/// The verbs are the first word and those that are listed with it: "Write,
/// change and delete your notes".
pub fn third_person(sentence: &str) -> String {
    let mut words: Vec<String> = sentence.split(' ').map(str::to_owned).collect();
    let mut verbs = vec![0_usize];
    let mut at = 0;
    loop {
        let comma = words.get(at).is_some_and(|word| word.ends_with(','));
        let next = words.get(at + 1).map(String::as_str);
        if matches!(next, Some("and" | "or")) {
            verbs.push(at + 2);
            break;
        }
        if !comma {
            break;
        }
        at += 1;
        verbs.push(at);
    }
    for at in verbs {
        if let Some(word) = words.get_mut(at) {
            *word = conjugated(word);
        }
    }
    words.join(" ")
}

fn conjugated(word: &str) -> String {
    let (verb, comma) = match word.strip_suffix(',') {
        Some(verb) => (verb, ","),
        None => (word, ""),
    };
    let ends = |endings: &[&str]| endings.iter().any(|ending| verb.ends_with(ending));
    if verb.is_empty() || !verb.chars().all(char::is_alphabetic) {
        return word.to_owned();
    }
    let vowel_y = ["ay", "ey", "oy", "uy"];
    let third = match verb {
        "Have" | "have" => verb.replace("ve", "s"),
        "Be" => "Is".to_owned(),
        "be" => "is".to_owned(),
        _ if ends(&["s", "x", "z", "ch", "sh", "o"]) => format!("{verb}es"),
        _ if ends(&["y"]) && !ends(&vowel_y) => format!("{}ies", verb.trim_end_matches('y')),
        _ => format!("{verb}s"),
    };
    format!("{third}{comma}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> ScopeWords {
        ScopeWords {
            site: "Northfield ID".into(),
            email: Some("ada@northfield.example".into()),
            phone: Some("+442079460958".into()),
            address: None,
            also: Some("Also your username".into()),
            idle: "30 days".into(),
        }
    }

    fn named(name: &str) -> ScopeInfo<'_> {
        ScopeInfo { name, description: None, risk: None }
    }

    fn described<'a>(name: &'a str, description: &'a str, risk: Option<Risk>) -> ScopeInfo<'a> {
        ScopeInfo { name, description: Some(description), risk }
    }

    #[test]
    fn groups_come_least_risk_first_and_openid_goes_under() {
        let asked = [
            named("offline_access"),
            named("x.unknown"),
            described("notes.write", "Write, change and delete your notes", None),
            named("openid"),
            described("notes.read", "Read your notes and notebooks", None),
            named("profile"),
            named("email"),
            named("email"),
        ];
        let blocks = scope_blocks(scope_lines(&asked, &[], &words()));
        let titles: Vec<_> =
            blocks.iter().map(|block| (block.group.title(), block.lines.len())).collect();
        assert_eq!(
            titles,
            [
                ("Know who you are", 2),
                ("See your data", 1),
                ("Change your data", 1),
                ("While you are away", 1),
                ("Not described", 1)
            ]
        );
        assert_eq!(blocks[0].lines[1].detail.as_deref(), Some("ada@northfield.example"));
        assert_eq!(blocks[4].lines[0].sentence, "x.unknown");
    }

    #[test]
    fn a_claim_by_itself_is_told_of_once_and_openid_goes_under() {
        let lines = scope_lines(&[named("openid")], &["name", "phone_number"], &words());
        let told: Vec<_> =
            lines.iter().map(|line| (line.sentence.as_str(), line.detail.as_deref())).collect();
        assert_eq!(
            told,
            [("See your name", None), ("See your phone number", Some("+442079460958"))]
        );
        let lines = scope_lines(&[named("email"), named("profile")], &["email"], &words());
        assert_eq!(lines.len(), 2, "{lines:?}");
    }

    #[test]
    fn openid_alone_says_so() {
        let lines = scope_lines(&[named("openid"), named("offline_access")], &[], &words());
        assert_eq!(lines[0].sentence, "Know your account number here, and nothing else about you");
        let lines = scope_lines(
            &[named("openid"), described("notes.read", "Read your notes", None)],
            &[],
            &words(),
        );
        assert_eq!(lines[0].sentence, "Know your account number here");
    }

    #[test]
    fn risk_is_said_or_told_by_the_name_and_taken_for_writing_in_doubt() {
        let group = |scope| scope_line(scope, &words()).group;
        assert_eq!(group(described("a.read", "Read", None)), ScopeGroup::See);
        assert_eq!(group(described("a.read", "Read", Some(Risk::Write))), ScopeGroup::Change);
        assert_eq!(group(described("a.write", "Write", Some(Risk::Read))), ScopeGroup::See);
        assert_eq!(group(described("admin", "Look after everything", None)), ScopeGroup::Change);
        assert_eq!(group(described("a.read", "  ", None)), ScopeGroup::Undescribed);
    }

    #[test]
    fn sentences_turn_to_the_third_person() {
        for (first, third) in [
            ("See your name and picture", "Sees your name and picture"),
            ("Read your notes and notebooks", "Reads your notes and notebooks"),
            ("Write, change and delete your notes", "Writes, changes and deletes your notes"),
            ("Read and write your files", "Reads and writes your files"),
            ("Keep this access", "Keeps this access"),
            ("Apply for leave", "Applies for leave"),
            ("Pay your bills", "Pays your bills"),
            ("Watch films", "Watches films"),
            ("Have a look", "Has a look"),
            ("notes.read", "notes.read"),
            ("", ""),
        ] {
            assert_eq!(third_person(first), third);
        }
    }
}
