//! What a command prints: one answer in two forms, for people and for programs.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// The form that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Aligned, for people.
    Text,
    /// JSON, for programs.
    Json,
}

/// What a command found or did.
#[derive(Debug)]
pub(super) struct Answer {
    json: String,
    text: String,
}

impl Answer {
    /// One answer in both forms.
    pub(super) fn new(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        let json = serde_json::to_string_pretty(value).map_err(Failure::because)?;
        Ok(Self { json, text: text.into() })
    }

    /// For commands that have no JSON form.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { json: String::new(), text: text.into() }
    }

    /// Prints it on standard output.
    pub(super) fn print(&self, form: Form) -> Result<(), Failure> {
        let text = match form {
            Form::Text => self.text.trim_end(),
            Form::Json => &self.json,
        };
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // `perennial user list | head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| Failure::Failed(format!("standard output: {error}"))),
        }
    }
}

/// Columns under their heads. `nothing` is what to say when there are no rows.
pub(super) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    nothing: &str,
) -> String {
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    if lines.len() == 1 {
        return nothing.to_owned();
    }
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    lines.iter().map(|line| aligned(line, &widths)).collect()
}

/// Labels and what stands under them; what is empty is left out.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let shown: Vec<(&str, String)> =
        facts.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let widest = shown.iter().map(|(label, _)| width(label)).max().unwrap_or_default();
    shown
        .iter()
        .map(|(label, value)| aligned(&[(*label).to_owned(), plain(value)], &[widest, 0]))
        .collect()
}

/// "1 session", "2 sessions".
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// "yes" or "no".
pub(super) fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, widest) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(cell)) + 2));
    }
    format!("{}\n", line.trim_end())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Without anything that a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["zoë".to_owned(), "yes".to_owned()], ["linden".to_owned(), String::new()]];
        assert_eq!(
            table(["NAME", "ADMIN"], rows, "nobody"),
            "NAME    ADMIN\nzoë     yes\nlinden\n"
        );
        assert_eq!(table(["NAME"], [], "nobody"), "nobody");
    }

    #[test]
    fn what_is_empty_is_left_out_and_a_terminal_is_told_nothing() {
        let shown =
            facts([("a", "1\u{1b}[2J".to_owned()), ("longer", String::new()), ("bc", "2".into())]);
        assert_eq!(shown, "a   1 [2J\nbc  2\n");
    }
}
