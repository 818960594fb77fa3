//! The sources of a configuration: the tree of its files, where each value is written, and the files that settings
//! name.

mod files;
mod include;
mod read;

pub use files::{SourceFile, SourceFiles};
pub use read::{MOST_BYTES, read_bytes, read_stream, read_text};

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

    /// The same if the text of the root is known, because it came through a pipe called `name`. Relative paths start at
    /// the working directory.
    pub fn read_piped(name: &Path, text: Result<String, String>) -> (Self, Diagnostics) {
        Self::read_root(SourceFiles::in_folder(name, Path::new(".")), Some(text))
    }

    fn read_root(files: SourceFiles, text: Option<Result<String, String>>) -> (Self, Diagnostics) {
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
    /// names its origin and never shows the value.
    pub fn place(&self, diagnostic: Diagnostic) -> Diagnostic {
        let (key, node) = self.tree.locate(&diagnostic.path);
        let diagnostic = without_outside(diagnostic, node, key.map_or("", |key| &key.name));
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

/// A diagnostic about `node` under `key`. If its value is external, the diagnostic names its origin and never shows the
/// value.
pub(super) fn without_outside(mut diagnostic: Diagnostic, node: &Node, key: &str) -> Diagnostic {
    let (Some(from), Value::Str(value)) = (node.origin.outside(), &node.value) else { return diagnostic };
    let name = match &node.origin {
        Origin::Variable(name) => format!("`${name}`"),
        _ => from.clone(),
    };
    let known = format!("{name} {key}");
    diagnostic.message = hide(value, &name, &known, &diagnostic.message);
    diagnostic.help = diagnostic.help.map(|help| hide(value, &name, &known, &help));
    if ![&from, &name].iter().any(|from| diagnostic.message.contains(*from)) {
        diagnostic.message = format!("{} (its value is that of {from})", diagnostic.message);
    }
    diagnostic
}

/// The text with the value replaced by `name`, ignoring case. A short value is replaced only in quotes, so that words
/// stay intact. Quoted parts of it are replaced unless they are `known`.
fn hide(value: &str, name: &str, known: &str, text: &str) -> String {
    const FEW: usize = 4;
    if value.is_empty() {
        return text.to_owned();
    }
    let text = replace(text, &format!("`{value}`"), name);
    if value.len() < FEW {
        return text;
    }
    let (text, lower) = (replace(&text, value, "…"), value.to_ascii_lowercase());
    let part =
        |quoted: &str| quoted.len() >= FEW && lower.contains(&quoted.to_ascii_lowercase()) && !known.contains(quoted);
    let pieces =
        (text.split('`').enumerate()).map(|(index, piece)| if index % 2 == 1 && part(piece) { "…" } else { piece });
    pieces.collect::<Vec<_>>().join("`")
}

/// Like `str::replace`, but ignoring ASCII case.
fn replace(text: &str, what: &str, with: &str) -> String {
    let (lower, what) = (text.to_ascii_lowercase(), what.to_ascii_lowercase());
    let (mut replaced, mut end) = (String::with_capacity(text.len()), 0);
    for (at, found) in lower.match_indices(&what) {
        replaced.push_str(text.get(end..at).unwrap_or_default());
        replaced.push_str(with);
        end = at + found.len();
    }
    replaced + text.get(end..).unwrap_or_default()
}
