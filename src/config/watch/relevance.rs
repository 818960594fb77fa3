//! Which file events matter. Other files of the same folders may be written all the time.

use notify::event::ModifyKind;
use notify::{Event, EventKind};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

/// The names that matter. They are compared without their folders: the system may report another path to the same folder.
#[derive(Debug, Default)]
pub struct Relevance {
    /// Of files, of the links to them, and of their folders.
    names: HashSet<OsString>,
    /// Of folders in which files may appear that match a glob.
    globs: HashSet<OsString>,
}

impl Relevance {
    /// Events of this file, folder or link matter.
    pub fn add(&mut self, path: &Path) {
        self.names.extend(path.file_name().map(OsString::from));
    }

    /// Files that appear in this folder, or disappear, matter.
    pub fn add_glob(&mut self, folder: &Path) {
        self.globs.extend(folder.file_name().map(OsString::from));
    }

    pub fn concerns(&self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        // Events may have been lost.
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        let content = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        event.paths.iter().any(|path| self.names_it(path) || (!content && self.may_match(path)))
    }

    fn names_it(&self, path: &Path) -> bool {
        path.file_name().is_none_or(|name| self.names.contains(name))
    }

    fn may_match(&self, path: &Path) -> bool {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let folder = path.parent().and_then(Path::file_name);
        !hidden && folder.is_some_and(|folder| self.globs.contains(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag};

    #[test]
    fn only_files_of_the_configuration_matter() {
        let mut relevance = Relevance::default();
        for path in ["/etc/gw/gateway.yaml", "/etc/gw", "/etc/gw/..data"] {
            relevance.add(Path::new(path));
        }
        relevance.add_glob(Path::new("/etc/gw/routes.d"));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let created = EventKind::Create(CreateKind::File);
        let concerns = |kind, path: &str| relevance.concerns(&Event::new(kind).add_path(path.into()));
        assert!(concerns(data, "/etc/gw/gateway.yaml") && concerns(created, "/private/etc/gw/..data"));
        assert!(!concerns(data, "/etc/gw/data.db") && !concerns(created, "/etc/gw/data.db-journal"));
        assert!(concerns(created, "/etc/gw/routes.d/new.yaml"));
        assert!(!concerns(data, "/etc/gw/routes.d/other.log") && !concerns(created, "/etc/gw/routes.d/.new.swp"));
        assert!(relevance.concerns(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
