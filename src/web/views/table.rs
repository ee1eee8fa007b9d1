//! Tables: heads that sort, pages that follow a key, and links that keep the filter.

/// The way a column is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
}

/// A column of a table, as the code of a page lists it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The words at its head.
    pub label: &'static str,
    /// The key of the `sort` parameter, if the column sorts.
    pub key: Option<&'static str>,
    /// Whether it steps back where there is little room.
    pub extra: bool,
    /// Whether it holds numbers, set to the end.
    pub end: bool,
}

impl Column {
    /// A column that doesn't sort.
    pub const fn plain(label: &'static str) -> Self {
        Self { label, key: None, extra: false, end: false }
    }

    /// A column that sorts by a key.
    pub const fn sorted(label: &'static str, key: &'static str) -> Self {
        Self { label, key: Some(key), extra: false, end: false }
    }

    /// The same, stepping back first.
    pub const fn extra(mut self) -> Self {
        self.extra = true;
        self
    }

    /// The same, for numbers.
    pub const fn end(mut self) -> Self {
        self.end = true;
        self
    }
}

/// The head of a column.
#[derive(Clone, Debug)]
pub struct Head {
    /// The words.
    pub label: &'static str,
    /// Where a click sorts by it.
    pub href: Option<String>,
    /// How the table is sorted by it now.
    pub sort: Option<Direction>,
    /// The classes.
    pub class: &'static str,
}

impl Head {
    /// The icon's name in the sprite.
    pub fn icon(&self) -> &'static str {
        match self.sort {
            None => "sort",
            Some(Direction::Up) => "sort-up",
            Some(Direction::Down) => "sort-down",
        }
    }

    /// The value of `aria-sort`.
    pub fn aria(&self) -> Option<&'static str> {
        self.sort.map(|direction| match direction {
            Direction::Up => "ascending",
            Direction::Down => "descending",
        })
    }
}

/// The heads of a table sorted by `sort`: a key, or a key after a minus for largest first.
///
/// `query` is what the links keep; its `sort` and `after` are replaced.
pub fn heads(columns: &[Column], sort: &str, path: &str, query: &[(&str, &str)]) -> Vec<Head> {
    let (current, direction) = match sort.strip_prefix('-') {
        Some(key) => (key, Direction::Down),
        None => (sort, Direction::Up),
    };
    let kept: Vec<(&str, &str)> =
        query.iter().copied().filter(|(key, _)| !matches!(*key, "sort" | "after")).collect();
    columns
        .iter()
        .map(|column| {
            let now = column.key.filter(|key| *key == current).map(|_| direction);
            let link = column.key.map(|key| {
                let next = match now {
                    Some(Direction::Down) => key.to_owned(),
                    _ => format!("-{key}"),
                };
                let mut pairs = kept.clone();
                pairs.push(("sort", next.as_str()));
                href(path, &pairs)
            });
            Head {
                label: column.label,
                href: link,
                sort: now,
                class: match (column.end, column.extra) {
                    (false, false) => "",
                    (false, true) => "extra",
                    (true, false) => "end",
                    (true, true) => "end extra",
                },
            }
        })
        .collect()
}

/// A link with parameters; empty ones are left out.
pub fn href(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(key, value);
    }
    let query = pairs.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// What stands above a table: the count in bold, then how it was filtered and sorted.
#[derive(Clone, Debug)]
pub struct Caption {
    /// "18,902 sessions".
    pub count: String,
    /// "last refreshed first".
    pub rest: String,
}

/// The links under a table. Pages follow a key, so there is a first one and a next one.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// "1 to 50 of 18,902", where it is known.
    pub shown: String,
    /// The first page, when this isn't it.
    pub first: Option<String>,
    /// The next page, when there is one.
    pub next: Option<String>,
}

impl Pager {
    /// Whether there is another page at all.
    pub fn needed(&self) -> bool {
        self.first.is_some() || self.next.is_some()
    }
}

/// What stands where a list has nothing.
#[derive(Clone, Debug)]
pub struct Empty {
    /// What there isn't.
    pub heading: String,
    /// What to do about it.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::sorted("Person", "user"),
        Column::plain("Device"),
        Column::sorted("Generation", "generation").end().extra(),
    ];

    #[test]
    fn links_keep_the_filter_and_start_at_the_first_page() {
        let query = [("q", "a&b"), ("state", ""), ("sort", "-user"), ("after", "x")];
        let heads = heads(&COLUMNS, "-user", "/id/admin/sessions", &query);
        assert_eq!(heads[0].href.as_deref(), Some("/id/admin/sessions?q=a%26b&sort=user"));
        assert_eq!(heads[0].aria(), Some("descending"));
        assert_eq!(heads[1].href, None);
        assert_eq!(heads[2].href.as_deref(), Some("/id/admin/sessions?q=a%26b&sort=-generation"));
        assert_eq!((heads[2].aria(), heads[2].class, heads[2].icon()), (None, "end extra", "sort"));
    }

    #[test]
    fn a_link_without_parameters_is_its_path() {
        assert_eq!(href("/admin", &[("q", "")]), "/admin");
    }
}
