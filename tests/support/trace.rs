//! What strace wrote of a process: its calls that write, sync, make and remove files, and what
//! it sent, in the order in which they began and returned.
//!
//! strace holds each thread at both ends of a call, so that what one thread did before it woke
//! another also stands before it in the trace.

use std::collections::BTreeMap;

/// The calls that are traced. A `?` goes before those that not every machine has.
pub const CALLS: &str = "trace=write,writev,pwrite64,pwritev,?pwritev2,sendto,sendmsg,fsync,\
    fdatasync,ftruncate,openat,?open,?unlink,unlinkat,?rename,?renameat,?renameat2";

/// Something that a process did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A write to a file returned.
    Written {
        /// The file.
        path: String,
        /// Where in it; none for a write that says no place.
        offset: Option<usize>,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file was cut or made longer.
    Resized {
        /// The file.
        path: String,
        /// To this length.
        length: usize,
    },
    /// A file was opened that is made if it isn't there.
    Opened {
        /// The file.
        path: String,
    },
    /// A file was removed.
    Removed {
        /// The file.
        path: String,
    },
    /// A sync of a file or folder began.
    SyncBegun {
        /// The file or folder.
        path: String,
        /// Names this sync.
        call: usize,
    },
    /// It returned, and what was written before it began is on disk.
    SyncDone {
        /// The file or folder.
        path: String,
        /// Names this sync.
        call: usize,
    },
    /// Bytes began to leave for somebody else.
    Sent {
        /// What.
        bytes: Vec<u8>,
    },
}

/// Reads what `strace -f -y -xx` wrote.
///
/// # Errors
/// The line that can't be read, or names a call that this reader has no event for.
pub fn read(text: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut unfinished: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let bad = |why: &str| {
            format!("line {}: {why}: {}", number + 1, line.chars().take(200).collect::<String>())
        };
        let (thread, rest) = line.split_once(' ').ok_or_else(|| bad("no thread"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            begin(&mut events, begun, number).map_err(bad)?;
            unfinished.insert(thread, (number, begun.to_owned()));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((call, begun)) = unfinished.remove(thread) else {
                return Err(bad("resumed but not begun"));
            };
            let (_, tail) = resumed.split_once(" resumed>").ok_or_else(|| bad("not resumed"))?;
            finish(&mut events, &format!("{begun}{tail}"), call).map_err(bad)?;
        } else {
            begin(&mut events, rest, number).map_err(bad)?;
            finish(&mut events, rest, number).map_err(bad)?;
        }
    }
    Ok(events)
}

/// What counts from the moment that a call begins.
fn begin(events: &mut Vec<Event>, call: &str, number: usize) -> Result<(), &'static str> {
    let (name, arguments) = call.split_once('(').ok_or("no call")?;
    match name {
        "fsync" | "fdatasync" => {
            let path = descriptor(arguments).ok_or("no path")?;
            events.push(Event::SyncBegun { path, call: number });
        }
        "write" | "writev" | "sendto" | "sendmsg" if !is_file(arguments) => {
            events.push(Event::Sent { bytes: strings(arguments)?.concat() });
        }
        _ => {}
    }
    Ok(())
}

/// What counts once a call has returned, and only if it did what it was asked.
fn finish(events: &mut Vec<Event>, call: &str, number: usize) -> Result<(), &'static str> {
    let (name, arguments) = call.split_once('(').ok_or("no call")?;
    // A process that is killed leaves a call without an end.
    let Some((arguments, result)) = arguments.rsplit_once(" = ") else { return Ok(()) };
    let arguments = arguments.trim_end().strip_suffix(')').ok_or("no end of the call")?;
    let result = result.split(|c: char| c != '-' && !c.is_ascii_digit()).next().unwrap_or("");
    let Ok(count) = usize::try_from(result.parse::<i64>().unwrap_or(-1)) else { return Ok(()) };
    let last = || arguments.rsplit(", ").next().and_then(|last| last.parse::<usize>().ok());
    match name {
        "fsync" | "fdatasync" => {
            let path = descriptor(arguments).ok_or("no path")?;
            events.push(Event::SyncDone { path, call: number });
        }
        "write" | "writev" | "pwrite64" | "pwritev" if is_file(arguments) => {
            let path = descriptor(arguments).ok_or("no path")?;
            let mut bytes = strings(arguments)?.concat();
            if count > bytes.len() {
                return Err("not all of what was written");
            }
            bytes.truncate(count);
            let offset =
                if name.starts_with('p') { Some(last().ok_or("no offset")?) } else { None };
            events.push(Event::Written { path, offset, bytes });
        }
        "ftruncate" => {
            let path = descriptor(arguments).ok_or("no path")?;
            events.push(Event::Resized { path, length: last().ok_or("no length")? });
        }
        "open" | "openat" if arguments.contains("O_CREAT") => {
            events.push(Event::Opened { path: name_of(arguments)? });
        }
        "unlink" | "unlinkat" => events.push(Event::Removed { path: name_of(arguments)? }),
        "rename" | "renameat" | "renameat2" | "pwritev2" => return Err("an unknown call"),
        _ => {}
    }
    Ok(())
}

fn name_of(arguments: &str) -> Result<String, &'static str> {
    let first = strings(arguments)?.into_iter().next().ok_or("no name")?;
    String::from_utf8(first).map_err(|_| "a name that is not text")
}

/// The path or the kind of the descriptor that the arguments begin with.
fn descriptor(arguments: &str) -> Option<String> {
    let (_, rest) = arguments.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    String::from_utf8(unescape(path)).ok()
}

fn is_file(arguments: &str) -> bool {
    descriptor(arguments).is_some_and(|path| path.starts_with('/') && !path.starts_with("/dev/"))
}

/// All that stands in quotes, as bytes.
fn strings(arguments: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    if arguments.contains("\"...") {
        return Err("cut short; strace needs a larger -s");
    }
    Ok(arguments.split('"').skip(1).step_by(2).map(unescape).collect())
}

/// `\x41B` is `AB`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [b'\\', b'x', high, low, tail @ ..] => {
                let digit = |c: &u8| char::from(*c).to_digit(16).unwrap_or_default();
                bytes.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or_default());
                rest = tail;
            }
            [plain, tail @ ..] => {
                bytes.push(*plain);
                rest = tail;
            }
            [] => return bytes,
        }
    }
}

#[test]
fn calls_are_read_at_both_of_their_ends() {
    let text = "\
        7  openat(AT_FDCWD<\\x2f>, \"\\x2f\\x61\", O_RDWR|O_CREAT, 0644) = 3<\\x2f\\x61>\n\
        7  pwrite64(3<\\x2f\\x61>, \"\\x41\\x42\\x43\", 3, 4096) = 2\n\
        7  fdatasync(3<\\x2f\\x61> <unfinished ...>\n\
        8  writev(9<socket:[5]>, [{iov_base=\"\\x4f\", iov_len=1}, {iov_base=\"\\x4b\", iov_len=1}], 2) = 2\n\
        7  <... fdatasync resumed>)          = 0\n\
        7  fdatasync(3<\\x2f\\x61>)          = -1 EIO (Input/output error)\n\
        7  ftruncate(3<\\x2f\\x61>, 5)       = 0\n\
        7  unlink(\"\\x2f\\x61\")            = 0\n\
        7  +++ exited with 0 +++\n";
    let path = "/a".to_owned();
    assert_eq!(
        read(text).unwrap(),
        [
            Event::Opened { path: path.clone() },
            Event::Written { path: path.clone(), offset: Some(4096), bytes: b"AB".to_vec() },
            Event::SyncBegun { path: path.clone(), call: 2 },
            Event::Sent { bytes: b"OK".to_vec() },
            Event::SyncDone { path: path.clone(), call: 2 },
            Event::SyncBegun { path: path.clone(), call: 5 },
            Event::Resized { path: path.clone(), length: 5 },
            Event::Removed { path },
        ]
    );
    let cut = "7  pwrite64(3<\\x2f\\x61>, \"\\x41\"..., 3, 4096) = 3\n";
    assert!(read(cut).unwrap_err().contains("larger -s"));
}
