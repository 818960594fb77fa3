//! Which file the URL of a store names: one relative to the configuration, or one where earlier versions looked.

use crate::config::document::store_url::{StoreKind, StoreUrl};
use std::path::{Path, PathBuf};

/// A store's URL with an absolute path.
pub struct Place {
    pub url: StoreUrl,
    /// Where the URL points, if there is no file and one in the working directory is used instead.
    pub vacant: Option<PathBuf>,
}

impl Place {
    /// The place of `url` in a configuration whose files are in `folder`. Earlier versions resolved relative paths against the
    /// working directory: a database that is only there is used, so that no data seems to be lost. Looks at the disk and
    /// changes nothing.
    pub fn of(url: &StoreUrl, folder: &Path) -> Self {
        let resolved = url.resolved(folder);
        let former = Path::new(".").canonicalize().map(|working_directory| url.resolved(&working_directory));
        match (&resolved.store, former.as_ref().map(|former| &former.store)) {
            (StoreKind::SqliteFile(file), Ok(StoreKind::SqliteFile(former)))
                if former != file && former.is_file() && matches!(file.try_exists(), Ok(false)) =>
            {
                Self { url: url.with_file(former.clone()), vacant: Some(file.clone()) }
            }
            _ => Self { url: resolved, vacant: None },
        }
    }
}
