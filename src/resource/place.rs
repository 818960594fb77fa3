//! Which file the URL of a store names: one relative to the configuration, or one where earlier versions looked.

use crate::config::document::store_url::{StoreKind, StoreUrl};
use std::path::{Component, Path, PathBuf};

/// A store's URL with an absolute path.
pub struct Place {
    pub url: StoreUrl,
    /// Where the URL points, if there is no file and one in the working directory is used instead.
    pub vacant: Option<PathBuf>,
    /// A file in the working directory that is not used, because there is one where the URL points.
    pub unused: Option<StoreUrl>,
}

impl Place {
    /// The place of `url` in a configuration whose files are in `folder`. Earlier versions resolved relative paths against the
    /// working directory: a database that is only there is used, so that no data seems to be lost. A path that leaves the
    /// working directory may be the database of someone else. Looks at the disk and changes nothing.
    pub fn of(url: &StoreUrl, folder: &Path) -> Self {
        let resolved = url.resolved(folder);
        let working_directory = Path::new(".").canonicalize().unwrap_or_default();
        let former = url.resolved(&working_directory);
        match (&resolved.store, &former.store) {
            (StoreKind::SqliteFile(file), StoreKind::SqliteFile(former))
                if former != file
                    && former.starts_with(&working_directory)
                    && !former.components().any(|part| part == Component::ParentDir)
                    && former.is_file() =>
            {
                let former = url.with_file(former.clone());
                match file.try_exists() {
                    Ok(false) => Self { url: former, vacant: Some(file.clone()), unused: None },
                    _ => Self { url: resolved, vacant: None, unused: Some(former) },
                }
            }
            _ => Self { url: resolved, vacant: None, unused: None },
        }
    }
}
