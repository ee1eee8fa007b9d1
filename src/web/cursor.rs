//! Where the next page of a list begins: after a value of the sorted column and an id.

use std::fmt::Display;
use std::str::FromStr;

/// As it stands in the `after` parameter.
pub fn encode(value: i64, id: impl Display) -> String {
    format!("{value}_{id}")
}

/// Reads it back; anything else begins at the first page.
pub fn decode<Id: FromStr>(text: &str) -> Option<(i64, Id)> {
    let (value, id) = text.split_once('_')?;
    Some((value.parse().ok()?, id.parse().ok()?))
}

/// How many rows stand on a page.
pub const PAGE: usize = 25;

/// How many rows are asked for: one more tells that there is another page.
pub const ASKED: i64 = PAGE as i64 + 1;

/// The page's rows, and the last of them when more follow.
pub fn cut<T: Clone>(mut rows: Vec<T>) -> (Vec<T>, Option<T>) {
    if rows.len() <= PAGE {
        return (rows, None);
    }
    rows.truncate(PAGE);
    let last = rows.last().cloned();
    (rows, last)
}

/// "1 to 25 of 18,902" on the first page, "25 on this page" on later ones.
pub fn shown(rows: usize, total: u64, first: bool) -> String {
    use super::views::thousands;
    let here = rows as u64;
    if !first {
        format!("{} on this page, {} in all", thousands(here), thousands(total))
    } else if here < total {
        format!("1 to {} of {}", thousands(here), thousands(total))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::FamilyId;

    #[test]
    fn a_cursor_is_read_back_and_nonsense_is_none() {
        let id = FamilyId::from_bytes([7; 16]);
        assert_eq!(decode(&encode(-5, id)), Some((-5, id)));
        for bad in ["", "5", "5_", "_x", "x_07070707-0707-0707-0707-070707070707", "5_7_7"] {
            assert_eq!(decode::<FamilyId>(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_full_page_ends_with_its_last_row() {
        assert_eq!(cut(vec![1; PAGE]), (vec![1; PAGE], None));
        let (rows, last) = cut((0..=PAGE).collect());
        assert_eq!((rows.len(), last), (PAGE, Some(PAGE - 1)));
        assert_eq!(shown(25, 1_000, true), "1 to 25 of 1,000");
        assert_eq!(shown(3, 3, true), "");
        assert_eq!(shown(3, 28, false), "3 on this page, 28 in all");
    }
}
