//! The sources of a configuration: the tree of its files, where each value is written, and the files that settings
//! name.

mod files;
mod include;
mod read;

pub use files::{SourceFile, SourceFiles};
pub use read::{MOST_BYTES, Unreadable, absolute, read_bytes, read_stream};

use crate::config::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::config::tree::{At, Node, Origin, Value};
use bytes::Bytes;
use gatewright_sdk::Files;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that a configuration was read from.
pub struct Sources {
    read: Arc<SourceFiles>,
    tree: Node,
    /// The content of the files that settings name.
    named: BTreeMap<PathBuf, Result<Bytes, String>>,
}

/// Files contain secrets, so nothing of them is printed.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("root", &self.root()).finish_non_exhaustive()
    }
}

impl Deref for Sources {
    type Target = SourceFiles;

    fn deref(&self) -> &SourceFiles {
        &self.read
    }
}

impl Sources {
    /// Reads `root` and everything it includes. What cannot be read is reported, and the rest is still returned.
    pub fn read(root: &Path) -> (Self, Diagnostics) {
        Self::read_root(SourceFiles::of(root), None)
    }

    /// The same where the text of the root is known: it came through a pipe that is called `name`. Relative paths start
    /// at the working directory.
    pub fn read_piped(name: &Path, text: Result<String, Unreadable>) -> (Self, Diagnostics) {
        Self::read_root(SourceFiles::in_folder(name, Path::new(".")), Some(text))
    }

    fn read_root(files: SourceFiles, text: Option<Result<String, Unreadable>>) -> (Self, Diagnostics) {
        let root = files.root().to_owned();
        let mut sources = Self {
            read: Arc::new(files),
            tree: Node::new(Value::Map(Vec::new()), At::default(), Origin::Broken),
            named: BTreeMap::new(),
        };
        let mut out = Diagnostics::default();
        if let Some(tree) = include::read_all(&mut sources, &root, text, &mut out) {
            sources.tree = tree;
        }
        (sources, out)
    }

    /// A configuration of one file in memory, and the files that its settings name.
    #[cfg(test)]
    pub fn in_memory(root: &Path, text: &str, files: &[(&str, &[u8])]) -> Self {
        let (mut sources, _) = Self::read(Path::new("/nowhere/at/all.yaml"));
        sources.read = Arc::new(SourceFiles::of(root));
        let file = sources.files_mut().add(root, text.to_owned());
        sources.tree = crate::config::yaml::parse(text, file).0.expect("a document");
        let named =
            files.iter().map(|(name, content)| (sources.folder().join(name), Ok(Bytes::copy_from_slice(content))));
        sources.named = named.collect();
        sources
    }

    /// The combined tree of all files.
    pub const fn tree(&self) -> &Node {
        &self.tree
    }

    pub const fn tree_mut(&mut self) -> &mut Node {
        &mut self.tree
    }

    /// The files that settings name, by path, with the SHA-256 of their content.
    pub fn named_files(&self) -> BTreeMap<String, String> {
        let shown = |path: &Path| path.strip_prefix(self.folder()).unwrap_or(path).display().to_string();
        let read = self.named.iter().filter_map(|(path, content)| Some((path, content.as_ref().ok()?)));
        read.map(|(path, content)| (shown(path), files::hex(Sha256::digest(content).into()))).collect()
    }

    /// The files it was read from, for callers that keep them longer than their content.
    pub const fn read_from(&self) -> &Arc<SourceFiles> {
        &self.read
    }

    /// The files, while they are being read and are not shared.
    pub fn files_mut(&mut self) -> &mut SourceFiles {
        Arc::make_mut(&mut self.read)
    }

    /// Where the value at `path` of the document is written: the value itself if it is a scalar, or the key of a map or
    /// list. If there is no such value, the nearest one around it.
    pub fn locate(&self, path: &str) -> Option<Location> {
        let (key, node) = self.tree.locate(path);
        let container = matches!(node.value, Value::Map(_) | Value::Seq(_) | Value::Null);
        Some(self.location(key.filter(|_| container).map_or(node.at, |key| key.at)))
    }

    /// Where each entry of a section is written, as [`Sources::locate`] reports it. There may be many thousands.
    pub fn locate_entries(&self, section: &str) -> HashMap<&str, Location> {
        let entries = self.tree.get(section).map(Node::entries).unwrap_or_default();
        entries.iter().map(|(key, _)| (key.name.as_str(), self.location(key.at))).collect()
    }

    /// Where the name of the entry at `path` is written.
    pub fn locate_key(&self, path: &str) -> Option<Location> {
        let (key, node) = self.tree.locate(path);
        Some(self.location(key.map_or(node.at, |key| key.at)))
    }

    /// Sets the location of a diagnostic from its path, if it has none. If the value there is external, the diagnostic
    /// names its origin.
    pub fn place(&self, diagnostic: Diagnostic) -> Diagnostic {
        let (_, node) = self.tree.locate(&diagnostic.path);
        let key = diagnostic.path.rsplit('.').next().unwrap_or_default().to_owned();
        let hidden = node.origin.is_file() || self.secrets().contains(&node.at);
        let diagnostic = with_origin(diagnostic, node, &key, hidden);
        let at = diagnostic.at.clone().or_else(|| self.locate(&diagnostic.path));
        Diagnostic { at, ..diagnostic }
    }

    /// Reads a file that a setting names. Its content then becomes part of the configuration.
    pub fn take_named_file(&mut self, file: &Path) {
        let path = self.folder().join(file);
        if self.named.contains_key(&path) {
            return;
        }
        let content = read_bytes(&path, MOST_BYTES);
        self.files_mut().note_file(path.clone(), content.as_deref().map_err(String::as_str));
        self.named.insert(path, content.map(Bytes::from));
    }
}

impl Files for Sources {
    fn content(&self, file: &Path) -> Result<Bytes, String> {
        let read = self.named.get(&self.folder().join(file));
        read.cloned().unwrap_or_else(|| Err("was not read with the configuration".to_owned()))
    }
}

/// A diagnostic about `node` under `key`. If its value is external, the diagnostic names its origin and shows the value,
/// unless it is `hidden`: a message that contains a hidden value is replaced as a whole.
pub(super) fn with_origin(mut diagnostic: Diagnostic, node: &Node, key: &str, hidden: bool) -> Diagnostic {
    const MOST: usize = 80;
    let Some(from) = (if hidden { node.origin.outside_only() } else { node.origin.outside() }) else {
        return diagnostic;
    };
    let value = match &node.value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return diagnostic,
    };
    // A name and password are before an `@`.
    let hidden = hidden || value.contains('@');
    if hidden
        && (shows(&diagnostic.message, &value) || diagnostic.help.as_ref().is_some_and(|help| shows(help, &value)))
    {
        diagnostic.message = format!("the value of {from} is not valid for `{key}`");
        diagnostic.help = Some(format!("set it to a valid value for `{key}`"));
        return diagnostic;
    }
    if diagnostic.message.contains(&from) {
        return diagnostic;
    }
    let known = hidden || value.is_empty() || value.len() > MOST || diagnostic.message.contains(&value);
    let shown = if known { String::new() } else { format!("`{}` ", value.escape_debug()) };
    diagnostic.message = format!("{} ({shown}from {from})", diagnostic.message);
    diagnostic
}

/// Whether a text contains the value, ignoring case: in quotes, or anywhere if it is long.
fn shows(text: &str, value: &str) -> bool {
    const LONG: usize = 8;
    let (text, value) = (text.to_ascii_lowercase(), value.to_ascii_lowercase());
    !value.is_empty() && (text.contains(&format!("`{value}`")) || (value.len() >= LONG && text.contains(&value)))
}
