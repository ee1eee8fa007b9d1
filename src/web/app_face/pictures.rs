//! Logos that were fetched, kept for a while: what they are, and no more of them than fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// How many are kept at most; beyond it, all are forgotten.
const MOST: usize = 100;
/// How long a picture is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long it is remembered that there was none.
const MISSED: Duration = Duration::from_secs(300);

/// What a picture is, by its first bytes: what its server says of it isn't believed, but for
/// SVG, which has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
    Svg,
}

impl Kind {
    /// The kind of these bytes; `None` where they are no picture.
    pub(super) fn of(bytes: &[u8], said_svg: bool) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ if said_svg && std::str::from_utf8(bytes).is_ok_and(|text| text.contains("<svg")) => {
                Some(Self::Svg)
            }
            _ => None,
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Svg => "image/svg+xml",
        }
    }
}

/// A logo.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

type Kept = Arc<Option<Picture>>;

/// The logos of one node, by their addresses. Clones share them.
#[derive(Clone, Default)]
pub struct Pictures(Arc<Mutex<HashMap<String, (Timestamp, Kept)>>>);

impl Pictures {
    /// What is kept of this address; what is too old isn't.
    pub(super) fn get(&self, uri: &str, now: Timestamp) -> Option<Kept> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, picture) = all.get(uri)?;
        (*until > now).then(|| Arc::clone(picture))
    }

    /// Keeps what was fetched.
    pub(super) fn put(&self, uri: String, picture: Option<Picture>, now: Timestamp) -> Kept {
        let until = now.plus(if picture.is_some() { KEPT } else { MISSED });
        let picture = Arc::new(picture);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(uri, (until, Arc::clone(&picture)));
        picture
    }
}

/// A tile with a letter, in place of a logo.
pub(super) fn tile(letter: &str) -> String {
    let letter = letter.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"56\" height=\"56\">\
         <rect width=\"56\" height=\"56\" rx=\"14\" fill=\"#e4e9da\"/>\
         <text x=\"28\" y=\"37\" font-family=\"system-ui, sans-serif\" font-size=\"26\" \
         font-weight=\"600\" text-anchor=\"middle\" fill=\"#3c5518\">{letter}</text></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_pictures() {
        assert_eq!(Kind::of(b"\x89PNG\r\n\x1a\nrest", false), Some(Kind::Png));
        assert_eq!(Kind::of(b"\xff\xd8\xff\xe0", false), Some(Kind::Jpeg));
        assert_eq!(Kind::of(b"GIF89a", false), Some(Kind::Gif));
        assert_eq!(Kind::of(b"RIFF\x01\x02\x03\x04WEBPVP8 ", false), Some(Kind::Webp));
        assert_eq!(Kind::of(b"<svg xmlns=''/>", true), Some(Kind::Svg));
        for wrong in [b"<svg/>".as_slice(), b"<html>", b"", b"\x89PNG"] {
            assert_eq!(Kind::of(wrong, false), None);
        }
        assert_eq!(Kind::of(b"<html>", true), None);
        assert_eq!(Kind::of(b"<svg\xff", true), None);
    }

    #[test]
    fn they_are_kept_for_a_while_and_never_too_many() {
        let pictures = Pictures::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let picture = || Some(Picture { kind: Kind::Png, bytes: vec![1] });
        pictures.put("a".into(), picture(), at(0));
        pictures.put("b".into(), None, at(0));
        assert!(pictures.get("a", at(3599)).unwrap().is_some());
        assert!(pictures.get("a", at(3600)).is_none());
        assert!(pictures.get("b", at(299)).unwrap().is_none());
        assert!(pictures.get("b", at(300)).is_none());
        for number in 0..1000 {
            pictures.put(number.to_string(), picture(), at(0));
        }
        assert!(pictures.0.lock().unwrap().len() <= MOST);
    }

    #[test]
    fn a_letter_stays_a_letter() {
        assert!(tile("<").contains(">&lt;<"));
    }
}
