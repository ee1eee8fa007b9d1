//! `docs/conformance.md` names a test for each line of the OpenID Foundation's plans: each of
//! them is there, and no line is without one.

use std::collections::BTreeSet;
use std::path::Path;

const DOCUMENT: &str = include_str!("../docs/conformance.md");

/// The cells of the tables' rows, but for heads and rules.
fn rows() -> Vec<Vec<&'static str>> {
    DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `module::name` is a test of this folder, in the way that tests are written here.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let path = module.replace("::", "/");
    [format!("{path}.rs"), format!("{path}/mod.rs")].iter().any(|file| {
        std::fs::read_to_string(tests.join(file)).is_ok_and(|text| {
            let opening = format!("fn {name}(");
            text.contains(&opening)
        })
    })
}

#[test]
fn every_line_has_a_test_that_exists() {
    let rows = rows();
    assert!(rows.len() > 80, "only {} lines", rows.len());
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for row in &rows {
        let [line, asked, tests] = row.as_slice() else {
            faults.push(format!("{row:?} hasn't three cells"));
            continue;
        };
        if !seen.insert(*line) {
            faults.push(format!("{line} stands twice"));
        }
        if asked.is_empty() {
            faults.push(format!("{line} doesn't say what is asked"));
        }
        let named: Vec<&str> = quoted(tests).collect();
        let left_out = tests.starts_with("left out: ");
        if named.is_empty() && !left_out {
            faults.push(format!("{line} has no test"));
        }
        faults.extend(
            named
                .into_iter()
                .filter(|test| !left_out && !exists(test))
                .map(|test| format!("{line}: there is no test {test}")),
        );
    }
    assert!(faults.is_empty(), "docs/conformance.md:\n{}", faults.join("\n"));
}
