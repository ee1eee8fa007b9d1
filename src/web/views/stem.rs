//! A session's history as a stem: it grows from the sign-in upward, and forks where a token was used twice.

use super::words::{When, count, thousands};

/// Who came, when, and with what.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When, exact.
    pub when: When,
    /// The address.
    pub ip: String,
    /// Whether this session hadn't seen that network before.
    pub ip_new: bool,
    /// The program, as [`super::program`] says it.
    pub with: String,
    /// Whether this session hadn't seen that program before.
    pub with_new: bool,
}

/// One entry of the stem. Each kind names its own classes and words.
#[derive(Clone, Debug)]
pub enum Knot {
    /// The person signed in: the root.
    SignedIn {
        /// The generation given.
        generation: u64,
        /// Who came.
        facts: Facts,
        /// How, and what was allowed.
        note: String,
    },
    /// A counted run of refreshes that nothing was special about.
    Quiet {
        /// How many.
        count: u64,
        /// The first generation of the run.
        from: u64,
        /// The last one.
        to: u64,
        /// From when to when.
        when: String,
        /// From where: "2 networks".
        networks: String,
        /// With what.
        with: String,
    },
    /// A refresh that is kept by itself.
    Refreshed {
        /// The generation given.
        generation: u64,
        /// Who came.
        facts: Facts,
        /// The caller's letter, where there are two.
        caller: Option<char>,
        /// Whether it is the newest generation of a live session.
        current: bool,
        /// A sentence about it.
        note: Option<String>,
    },
    /// The same answer given again.
    Retry {
        /// How often.
        times: u64,
        /// The generation given again.
        generation: u64,
        /// Who came.
        facts: Facts,
        /// A sentence about it.
        note: Option<String>,
    },
    /// The token before the newest, presented too late for a retry: a new generation was given.
    Reissue {
        /// The generation presented.
        presented: u64,
        /// The generation that was left behind.
        left_behind: u64,
        /// The generation given.
        generation: u64,
        /// Who came.
        facts: Facts,
        /// Whether the person and the administrators were told.
        alarm: bool,
    },
    /// A request that its own retry had overtaken.
    Late {
        /// The generation presented.
        presented: u64,
        /// Who came.
        facts: Facts,
    },
    /// A token newer than the database: it was adopted.
    Ahead {
        /// The generation presented.
        presented: u64,
        /// The generation given.
        generation: u64,
        /// Who came.
        facts: Facts,
    },
    /// A token that was used twice.
    Reuse {
        /// The generation that was used twice.
        generation: u64,
        /// Who came second.
        facts: Facts,
        /// That caller's letter.
        caller: Option<char>,
        /// What tells it from a retry.
        note: String,
    },
    /// The end.
    Ended {
        /// "Revoked", "Signed out, both callers".
        title: String,
        /// When, exact.
        when: When,
        /// Who ended it.
        by: String,
        /// What follows from it, or the reason given.
        note: Option<String>,
    },
}

impl Knot {
    /// The headline.
    pub fn title(&self) -> String {
        match self {
            Self::SignedIn { generation, .. } => {
                format!("Signed in, generation {}", thousands(*generation))
            }
            Self::Quiet { count: 1, from, .. } => {
                format!("1 refresh, generation {}", thousands(*from))
            }
            Self::Quiet { count: many, from, to, .. } => format!(
                "{}, generations {} to {}",
                count(*many, "refresh", "refreshes"),
                thousands(*from),
                thousands(*to)
            ),
            Self::Refreshed { generation, .. } => {
                format!("Refreshed, generation {}", thousands(*generation))
            }
            Self::Retry { times: 0 | 1, generation, .. } => {
                format!("Retry, generation {} given again", thousands(*generation))
            }
            Self::Retry { times, generation, .. } => {
                format!(
                    "{} retries, generation {} given again",
                    thousands(*times),
                    thousands(*generation)
                )
            }
            Self::Reissue { presented, alarm: true, .. } => {
                format!("Asked again with token {}, after a stranger", thousands(*presented))
            }
            Self::Reissue { presented, .. } => {
                format!("Asked again with token {}, long after", thousands(*presented))
            }
            Self::Late { presented, .. } => format!("Token {} came late", thousands(*presented)),
            Self::Ahead { presented, .. } => {
                format!("Token {} was newer than the database", thousands(*presented))
            }
            Self::Reuse { generation, .. } => {
                format!("Token {} used a second time", thousands(*generation))
            }
            Self::Ended { title, .. } => title.clone(),
        }
    }

    /// The sentence under the facts.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::SignedIn { note, .. } | Self::Reuse { note, .. } => {
                Some(note.clone()).filter(|text| !text.is_empty())
            }
            Self::Quiet { .. } => {
                Some("Quiet refreshes are counted, not kept one by one.".to_owned())
            }
            Self::Refreshed { note, .. } | Self::Retry { note, .. } | Self::Ended { note, .. } => {
                note.clone()
            }
            Self::Reissue { left_behind, generation, alarm: true, .. } => Some(format!(
                "Token {} had gone to a caller this session hadn’t met, and was left behind. Generation {} was given; the person was told.",
                thousands(*left_behind),
                thousands(*generation),
            )),
            Self::Reissue { left_behind, generation, .. } => Some(format!(
                "Its answer must have got lost, so token {} was left behind. Generation {} was given.",
                thousands(*left_behind),
                thousands(*generation),
            )),
            Self::Late { .. } => Some(
                "Its own retry had overtaken it. It was asked to try again; nothing was given out."
                    .to_owned(),
            ),
            Self::Ahead { generation, .. } => Some(format!(
                "The app had a newer token than the database: the database was restored or failed over. The session went on with generation {}.",
                thousands(*generation)
            )),
        }
    }

    /// Who came, where somebody came.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::SignedIn { facts, .. }
            | Self::Refreshed { facts, .. }
            | Self::Retry { facts, .. }
            | Self::Reissue { facts, .. }
            | Self::Late { facts, .. }
            | Self::Ahead { facts, .. }
            | Self::Reuse { facts, .. } => Some(facts),
            Self::Quiet { .. } | Self::Ended { .. } => None,
        }
    }

    /// The letter of the caller.
    pub fn caller(&self) -> Option<char> {
        match self {
            Self::Refreshed { caller, .. } | Self::Reuse { caller, .. } => *caller,
            _ => None,
        }
    }

    /// What is new about the caller: "New network and program".
    pub fn news(&self) -> Option<&'static str> {
        match self {
            Self::SignedIn { .. } | Self::Reuse { .. } => None,
            _ => match self.facts().map(|facts| (facts.ip_new, facts.with_new)) {
                Some((true, true)) => Some("New network and program"),
                Some((true, false)) => Some("New network"),
                Some((false, true)) => Some("New program"),
                _ => None,
            },
        }
    }

    /// Whether it is the newest generation of a live session.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Refreshed { current: true, .. })
    }

    /// Whether it is drawn as an alarm.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Reuse { .. })
    }

    fn gives(&self, wanted: u64) -> bool {
        match self {
            Self::SignedIn { generation, .. }
            | Self::Refreshed { generation, .. }
            | Self::Reissue { generation, .. }
            | Self::Ahead { generation, .. } => *generation == wanted,
            Self::Quiet { from, to, .. } => (*from..=*to).contains(&wanted),
            _ => false,
        }
    }

    fn is_old(&self) -> bool {
        matches!(self, Self::SignedIn { .. } | Self::Quiet { .. })
    }
}

/// An entry with its place on the stem.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry.
    pub knot: Knot,
    /// The classes of the list item.
    pub classes: String,
    /// Whether the second lane runs here.
    pub two_lanes: bool,
    /// The classes of the knot.
    pub knot_classes: String,
    /// The icon in the knot; the number is there where there is none.
    pub icon: Option<&'static str>,
    /// The number in the knot.
    pub number: String,
    /// How many leaves the quiet run has, as a list to walk.
    pub leaves: Vec<()>,
    /// Whether a dead stub stands beside the knot.
    pub stub: bool,
}

/// The whole stem, latest first.
#[derive(Clone, Debug)]
pub struct Stem {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether it forks.
    pub forked: bool,
    /// Whether a retry is among them, for the legend.
    pub retried: bool,
}

impl Stem {
    /// Grows the stem from its entries, latest first.
    ///
    /// It forks at the generation that was used twice, or, where that is older
    /// than what is kept, at the quiet run.
    pub fn grow(latest_first: Vec<Knot>) -> Self {
        let twice = latest_first.iter().find_map(|knot| match knot {
            Knot::Reuse { generation, .. } => Some(*generation),
            _ => None,
        });
        let fork = twice.and_then(|twice| {
            latest_first
                .iter()
                .position(|knot| knot.gives(twice))
                .or_else(|| latest_first.iter().position(Knot::is_old))
        });
        let retried = latest_first.iter().any(|knot| matches!(knot, Knot::Retry { .. }));
        let entries = latest_first
            .into_iter()
            .enumerate()
            .map(|(place, knot)| {
                let here = fork == Some(place);
                let torn = fork.is_some_and(|fork| place < fork);
                entry(knot, place == 0, here, torn)
            })
            .collect();
        Self { entries, forked: fork.is_some(), retried }
    }
}

fn entry(knot: Knot, tip: bool, fork: bool, torn: bool) -> Entry {
    let mut classes: Vec<&str> = Vec::new();
    let (number, icon, mut shape): (u64, Option<&'static str>, Vec<&str>) = match &knot {
        Knot::SignedIn { generation, .. } => {
            classes.push("root");
            (*generation, Some("sprout"), vec!["fill"])
        }
        Knot::Quiet { from, .. } => {
            classes.push("quiet");
            (*from, None, Vec::new())
        }
        Knot::Refreshed { generation, current, .. } => {
            (*generation, None, if *current || fork { vec!["fill"] } else { Vec::new() })
        }
        Knot::Retry { generation, .. } => (*generation, Some("renew"), vec!["bud"]),
        Knot::Reissue { generation, .. } => (*generation, None, vec!["warn"]),
        Knot::Late { presented, .. } => (*presented, Some("clock"), vec!["bud"]),
        Knot::Ahead { generation, .. } => (*generation, None, vec!["warn"]),
        Knot::Reuse { generation, .. } => (*generation, None, vec!["fill", "on-2"]),
        Knot::Ended { .. } => {
            classes.push("cut");
            (0, Some("cut"), vec!["fill"])
        }
    };
    if fork {
        classes.push("fork");
    }
    if torn {
        classes.push("torn");
        shape.push("gone");
    } else if matches!(knot, Knot::Ended { .. }) {
        shape.push("over");
        classes.push("over");
    }
    if tip {
        classes.push("tip");
    }
    let number = short(number);
    if icon.is_none() && number.len() > 3 {
        shape.push("long");
    }
    let leaves = match &knot {
        Knot::Quiet { count, .. } => vec![
            ();
            if *count < 10 {
                2
            } else if *count < 100 {
                3
            } else {
                4
            }
        ],
        _ => Vec::new(),
    };
    Entry {
        classes: classes.join(" "),
        two_lanes: torn || fork,
        knot_classes: shape.iter().map(|class| format!(" {class}")).collect(),
        icon,
        number,
        leaves,
        stub: matches!(knot, Knot::Reissue { .. }),
        knot,
    }
}

/// A generation that fits into a knot: 39, 1.8k, 12k, 3M.
fn short(number: u64) -> String {
    match number {
        0..=999 => number.to_string(),
        1_000..=9_999 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        10_000..=999_999 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            when: When::exact(0),
            ip: "203.0.113.24".into(),
            ip_new: false,
            with: "curl 8".into(),
            with_new: false,
        }
    }

    fn refreshed(generation: u64) -> Knot {
        Knot::Refreshed { generation, facts: facts(), caller: None, current: false, note: None }
    }

    fn reuse(generation: u64) -> Knot {
        Knot::Reuse { generation, facts: facts(), caller: Some('B'), note: "Late.".into() }
    }

    fn quiet(from: u64, to: u64) -> Knot {
        Knot::Quiet {
            count: to - from + 1,
            from,
            to,
            when: String::new(),
            networks: String::new(),
            with: String::new(),
        }
    }

    fn root() -> Knot {
        Knot::SignedIn { generation: 1, facts: facts(), note: String::new() }
    }

    fn ended() -> Knot {
        Knot::Ended {
            title: "Revoked".into(),
            when: When::exact(0),
            by: "Ada Fern".into(),
            note: None,
        }
    }

    fn classes(stem: &Stem) -> Vec<&str> {
        stem.entries.iter().map(|entry| entry.classes.as_str()).collect()
    }

    #[test]
    fn it_forks_at_the_generation_that_was_used_twice() {
        let stem = Stem::grow(vec![
            ended(),
            reuse(39),
            refreshed(40),
            refreshed(39),
            quiet(2, 38),
            root(),
        ]);
        assert_eq!(classes(&stem), ["cut torn tip", "torn", "torn", "fork", "quiet", "root"]);
        assert!(stem.forked);
        assert_eq!(stem.entries[1].knot_classes, " fill on-2 gone");
        assert_eq!(stem.entries[3].knot_classes, " fill");
        assert!(stem.entries[3].two_lanes && !stem.entries[4].two_lanes);
    }

    #[test]
    fn an_older_fork_lies_in_the_quiet_run_or_at_the_root() {
        let stem = Stem::grow(vec![ended(), reuse(4), refreshed(211), quiet(2, 210), root()]);
        assert_eq!(classes(&stem), ["cut torn tip", "torn", "torn", "quiet fork", "root"]);
        let stem = Stem::grow(vec![reuse(1), refreshed(2), root()]);
        assert_eq!(classes(&stem), ["torn tip", "torn", "root fork"]);
        let stem = Stem::grow(vec![reuse(7)]);
        assert!(!stem.forked);
    }

    #[test]
    fn a_straight_one_ends_without_alarm() {
        let stem = Stem::grow(vec![ended(), refreshed(2), root()]);
        assert_eq!(classes(&stem), ["cut over tip", "", "root"]);
        assert!(!stem.forked && !stem.retried);
        assert!(Stem::grow(Vec::new()).entries.is_empty());
    }

    #[test]
    fn every_kind_has_words() {
        let kinds = [
            root(),
            quiet(2, 37),
            refreshed(38),
            Knot::Retry { times: 2, generation: 38, facts: facts(), note: None },
            Knot::Reissue {
                presented: 40,
                left_behind: 41,
                generation: 42,
                facts: facts(),
                alarm: true,
            },
            Knot::Late { presented: 37, facts: facts() },
            Knot::Ahead { presented: 50, generation: 51, facts: facts() },
            reuse(1_806),
            ended(),
        ];
        let titles: Vec<_> = kinds.iter().map(Knot::title).collect();
        assert_eq!(
            titles,
            [
                "Signed in, generation 1",
                "36 refreshes, generations 2 to 37",
                "Refreshed, generation 38",
                "2 retries, generation 38 given again",
                "Asked again with token 40, after a stranger",
                "Token 37 came late",
                "Token 50 was newer than the database",
                "Token 1,806 used a second time",
                "Revoked"
            ]
        );
        assert!(kinds[4].note().unwrap().starts_with("Token 41 had gone to a caller"));
        assert_eq!(short(1_806), "1.8k");
        assert_eq!(short(12_345), "12k");
        assert_eq!(short(3_000_000), "3M");
    }
}
