//! Requests events for the relevant folders, and again when a folder was replaced.

use super::relevance::Relevance;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum number of links followed from one path.
const MOST_LINKS: usize = 16;

/// The watched folders.
pub struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// With device and inode, to detect that a folder was replaced by another with the same name.
    armed: BTreeMap<PathBuf, (u64, u64)>,
    /// Which of their events matter.
    relevance: Arc<Mutex<Relevance>>,
    warned: bool,
}

impl Folders {
    /// Calls `event` for every event in one of them.
    pub fn new(event: impl Fn() + Send + 'static) -> Self {
        let relevance = Arc::new(Mutex::new(Relevance::default()));
        let relevant = Arc::clone(&relevance);
        let handler = move |result: notify::Result<Event>| {
            // An error may mean that events were lost, so it counts as one.
            if result.is_ok_and(|event| !relevant.lock().concerns(&event)) {
                return;
            }
            event();
        };
        let mut folders = Self { watcher: None, armed: BTreeMap::new(), relevance, warned: false };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => folders.watcher = Some(watcher),
            Err(error) => folders.warn(&error),
        }
        folders
    }

    /// Watches the current folders of these paths.
    pub fn arm(&mut self, paths: &[PathBuf]) {
        let mut around = Around::default();
        paths.iter().for_each(|path| around.add(path));
        let Around { folders: wanted, relevance } = around;
        *self.relevance.lock() = relevance;
        let gone: Vec<PathBuf> = self.armed.keys().filter(|folder| !wanted.contains(*folder)).cloned().collect();
        for folder in gone {
            self.forget(&folder);
        }
        for folder in wanted {
            let identity = fs::metadata(&folder).map(|folder| (folder.dev(), folder.ino())).ok();
            if identity.is_some() && identity == self.armed.get(&folder).copied() {
                continue;
            }
            self.forget(&folder);
            let (Some(watcher), Some(identity)) = (&mut self.watcher, identity) else { continue };
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.armed.insert(folder, identity)),
                Err(error) => self.warn(&error),
            }
        }
    }

    /// Stops watching.
    pub fn disarm(&mut self) {
        let armed: Vec<PathBuf> = self.armed.keys().cloned().collect();
        for folder in armed {
            self.forget(&folder);
        }
    }

    fn forget(&mut self, folder: &Path) {
        if let (Some(_), Some(watcher)) = (self.armed.remove(folder), &mut self.watcher) {
            // A deleted folder is no longer watched anyway.
            let _ = watcher.unwatch(folder);
        }
    }

    /// Logs once that there are no events.
    fn warn(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%error, "file events are not available; polling the configuration files");
        }
    }
}

/// What surrounds the files: the folders to watch, and the names that matter in them.
#[derive(Default)]
struct Around {
    folders: BTreeSet<PathBuf>,
    relevance: Relevance,
}

impl Around {
    /// Adds the folder of `path`, the folder around that one, and those of everything that a link in it leads to.
    fn add(&mut self, path: &Path) {
        // Folders of globs end with a dot, see `sources::include`.
        let is_glob = path.as_os_str().as_encoded_bytes().ends_with(b"/.");
        let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        for _ in 0..MOST_LINKS {
            if is_glob {
                self.folders.insert(path.clone());
                self.relevance.add_glob(&path);
            }
            self.relevance.add(&path);
            let Some(folder) = path.parent() else { return };
            self.folders.insert(folder.to_owned());
            self.relevance.add(folder);
            let root = Path::new("/");
            // If the whole folder is replaced, its parent has the event.
            self.folders.extend(folder.parent().filter(|around| *around != root).map(Path::to_owned));
            let link = path.ancestors().find(|part| part.is_symlink()).map(Path::to_owned);
            let Some(link) = link else { return };
            self.relevance.add(&link);
            let (Some(holder), Ok(target)) = (link.parent(), fs::read_link(&link)) else { return };
            self.folders.insert(holder.to_owned());
            let rest = path.strip_prefix(&link).map(Path::to_owned).unwrap_or_default();
            path = if rest.as_os_str().is_empty() { holder.join(target) } else { holder.join(target).join(rest) };
        }
    }
}
