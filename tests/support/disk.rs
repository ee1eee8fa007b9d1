//! What is left of some files when the power fails: what was synced surely, and of the rest
//! whatever the drive likes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::trace::Event;

/// What becomes of writes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// None reached the disk.
    Lost,
    /// All did but the last of each file, of which half did.
    Torn,
}

/// A file: what is on disk, and what may be.
#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
    /// Whether its name is on disk.
    named: bool,
    /// Whether a process finds it.
    there: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

/// Some files of one folder, under a trace.
pub struct Disk {
    folder: String,
    files: BTreeMap<String, File>,
    /// How many changes of which file each sync covers that has not returned, or which names.
    begun: BTreeMap<usize, (String, usize)>,
    naming: BTreeMap<usize, BTreeSet<(String, bool)>>,
    version: u64,
}

impl Disk {
    /// The files of a folder as they are, safe on disk: those whose name begins so.
    pub fn of(folder: &Path, beginning: &str) -> Disk {
        Disk::copied(folder, folder, beginning)
    }

    /// The same, of a copy that was made of a folder before it changed.
    pub fn copied(copy: &Path, folder: &Path, beginning: &str) -> Disk {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(copy).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if is_durable(&name, beginning) {
                let synced = std::fs::read(entry.path()).unwrap();
                files.insert(
                    folder.join(&name).display().to_string(),
                    File { synced, since: Vec::new(), named: true, there: true },
                );
            }
        }
        Disk {
            folder: folder.display().to_string(),
            files,
            begun: BTreeMap::new(),
            naming: BTreeMap::new(),
            version: 0,
        }
    }

    /// Grows whenever what is surely on disk changes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Carries out what a process did to these files; other files are let be.
    ///
    /// # Errors
    /// A write that doesn't say where.
    pub fn apply(&mut self, event: &Event, beginning: &str) -> Result<(), String> {
        let own = |path: &str| {
            path.strip_prefix(&self.folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| is_durable(name, beginning))
        };
        match event {
            Event::Written { path, offset, bytes } if own(path) => {
                let offset = offset.ok_or_else(|| format!("a write at no place to {path}"))?;
                let file = self.files.entry(path.clone()).or_default();
                file.since.push(Change::Write(offset, bytes.clone()));
            }
            Event::Resized { path, length } if own(path) => {
                let file = self.files.entry(path.clone()).or_default();
                file.since.push(Change::Resize(*length));
            }
            Event::Opened { path } if own(path) => {
                let file = self.files.entry(path.clone()).or_default();
                if !file.there {
                    // A new file under a name that may still lead to the old one.
                    *file = File { named: false, there: true, ..File::default() };
                }
            }
            Event::Removed { path } if own(path) => {
                if let Some(file) = self.files.get_mut(path) {
                    file.there = false;
                }
            }
            Event::SyncBegun { path, call } if own(path) => {
                let covered = self.files.get(path).map_or(0, |file| file.since.len());
                self.begun.insert(*call, (path.clone(), covered));
            }
            Event::SyncDone { path, call } if own(path) => self.synced(path, *call),
            Event::SyncBegun { path, call } if *path == self.folder => {
                let names = self.files.iter().map(|(path, file)| (path.clone(), file.there));
                self.naming.insert(*call, names.collect());
            }
            Event::SyncDone { path, call } if *path == self.folder => {
                for (path, there) in self.naming.remove(call).unwrap_or_default() {
                    if let Some(file) = self.files.get_mut(&path) {
                        file.named = there;
                    }
                }
                self.version += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn synced(&mut self, path: &str, call: usize) {
        let covered = self.begun.remove(&call).map_or(0, |(_, covered)| covered);
        let Some(file) = self.files.get_mut(path) else { return };
        let covered = covered.min(file.since.len());
        for change in file.since.drain(..covered) {
            change.make(&mut file.synced);
        }
        // Another sync that is under way has that much less to cover.
        for (_, left) in self.begun.values_mut().filter(|(own, _)| own == path) {
            *left = left.saturating_sub(covered);
        }
        self.version += 1;
    }

    /// Writes what a power failure at this moment leaves into an empty folder.
    pub fn fail(&self, unsynced: Unsynced, folder: &Path) {
        for (path, file) in &self.files {
            let found = match unsynced {
                Unsynced::Lost => file.named,
                Unsynced::Torn => file.there,
            };
            if !found {
                continue;
            }
            let mut bytes = file.synced.clone();
            if unsynced == Unsynced::Torn {
                let last = file.since.len().saturating_sub(1);
                for (n, change) in file.since.iter().enumerate() {
                    match change {
                        Change::Write(offset, all) if n == last => {
                            let half = all[..all.len() / 2].to_vec();
                            Change::Write(*offset, half).make(&mut bytes);
                        }
                        change => change.make(&mut bytes),
                    }
                }
            }
            let name = Path::new(path).file_name().unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// SQLite makes the index of its log anew after a failure; it is never synced.
fn is_durable(name: &str, beginning: &str) -> bool {
    name.starts_with(beginning) && !name.ends_with("-shm")
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => {
                let end = offset + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(new);
            }
            Self::Resize(length) => bytes.resize(*length, 0),
        }
    }
}

#[test]
fn only_what_was_synced_is_left() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(before.path().join("db"), "old!").unwrap();
    let mut disk = Disk::of(before.path(), "db");
    let path = |name: &str| before.path().join(name).display().to_string();
    let folder = before.path().display().to_string();
    let written = |name: &str, bytes: &[u8]| Event::Written {
        path: path(name),
        offset: Some(0),
        bytes: bytes.to_vec(),
    };
    let mut apply = |event| disk.apply(&event, "db").unwrap();
    apply(written("db", b"NEW"));
    apply(Event::SyncBegun { path: path("db"), call: 1 });
    apply(written("db", b"ABCD"));
    apply(Event::SyncDone { path: path("db"), call: 1 });
    apply(Event::Opened { path: path("db-wal") });
    apply(written("db-wal", b"log"));
    apply(Event::SyncBegun { path: path("db-wal"), call: 2 });
    apply(Event::SyncDone { path: path("db-wal"), call: 2 });
    let left = |disk: &Disk, unsynced| {
        let folder = tempfile::tempdir_in(after.path()).unwrap();
        disk.fail(unsynced, folder.path());
        ["db", "db-wal"].map(|name| std::fs::read_to_string(folder.path().join(name)).ok())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(left(&disk, Unsynced::Lost), [some("NEW!"), None]);
    assert_eq!(left(&disk, Unsynced::Torn), [some("ABW!"), some("log")]);
    // The name is on disk once its folder was synced.
    disk.apply(&Event::SyncBegun { path: folder.clone(), call: 3 }, "db").unwrap();
    disk.apply(&Event::SyncDone { path: folder, call: 3 }, "db").unwrap();
    assert_eq!(left(&disk, Unsynced::Lost), [some("NEW!"), some("log")]);
}
