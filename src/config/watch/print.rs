//! What the files hold, as hashes: the only thing that tells a change from noise.

use crate::config::sources::{MOST_BYTES, SourceFiles, read_bytes};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How far two equal readings must lie apart, so that a file in the middle of being written is not taken.
const APART: Duration = Duration::from_millis(20);
/// How often it is read until two readings are equal.
const MOST_READINGS: usize = 50;

type Print = [u8; 32];

/// What each path held when it was read last.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prints(BTreeMap<PathBuf, Print>);

impl Prints {
    /// As it was when the configuration was read; folders as they are now.
    pub fn loaded(sources: &SourceFiles, paths: &[PathBuf]) -> Self {
        let mut prints: BTreeMap<_, _> = sources.prints().map(|(path, print)| (path.to_owned(), print)).collect();
        for path in paths {
            prints.entry(path.clone()).or_insert_with(|| print(path));
        }
        Self(prints)
    }

    /// Reads everything again. Whether it is different from what it was; if it is still being written, it is not.
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

/// The hash of a file's content, of a folder's names, or of the reason why there is none.
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
