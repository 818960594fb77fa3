//! Hashes of the files, which distinguish changes from mere events.

use crate::config::sources::{MOST_BYTES, SourceFiles, read_bytes};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The interval between two equal readings, so that a file that is being written is not used.
const APART: Duration = Duration::from_millis(20);
/// How often a file is read until two readings are equal.
const MOST_READINGS: usize = 50;

type Print = [u8; 32];

/// The hash of each path when it was last read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prints(BTreeMap<PathBuf, Print>);

impl Prints {
    /// The hashes when the configuration was read; folders as they are now.
    pub fn loaded(sources: &SourceFiles, paths: &[PathBuf]) -> Self {
        let mut prints: BTreeMap<_, _> = sources.prints().map(|(path, print)| (path.to_owned(), print)).collect();
        for path in paths {
            prints.entry(path.clone()).or_insert_with(|| print(path));
        }
        Self(prints)
    }

    /// Reads everything again. Returns whether it has changed; false while it is still being written.
    pub fn update(&mut self, paths: &[PathBuf]) -> bool {
        let mut now = Self::read(paths);
        if now == *self {
            return false;
        }
        for _ in 0..MOST_READINGS {
            std::thread::sleep(APART);
            let next = Self::read(paths);
            if next == now {
                let different = now != *self;
                *self = now;
                return different;
            }
            now = next;
        }
        false
    }

    fn read(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| (path.clone(), print(path))).collect())
    }
}

/// The hash of a file's content, of the names in a folder, or of the error.
fn print(path: &Path) -> Print {
    // Folders of globs end with a dot, see `sources::include`.
    if path.as_os_str().as_encoded_bytes().ends_with(b"/.") {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        let mut hasher = Sha256::new();
        for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
            hasher.update(name.as_encoded_bytes());
            hasher.update([0]);
        }
        return hasher.finalize().into();
    }
    match read_bytes(path, MOST_BYTES) {
        Ok(content) => Sha256::digest(content).into(),
        Err(reason) => Sha256::digest(reason).into(),
    }
}
