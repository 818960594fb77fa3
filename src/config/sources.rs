//! The files of a configuration: how they are read, which belong to it, and where each value was written.

mod include;
mod read;

pub use read::{MOST_BYTES, read_bytes, read_text};

use crate::config::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::config::tree::{At, Node, Origin, Value};
use bytes::Bytes;
use gatewright_sdk::Files;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that a configuration was read from.
pub struct Sources {
    root: PathBuf,
    folder: PathBuf,
    files: Vec<SourceFile>,
    tree: Node,
    /// Where secrets stand in the files: they are masked wherever a line is shown.
    secrets: Vec<At>,
    /// What else must be watched: folders of globs, files of `${file.…}`.
    also: Vec<PathBuf>,
    /// The content of the files that settings name.
    named: BTreeMap<PathBuf, Result<Bytes, String>>,
    /// SHA-256 of each file as it was read.
    prints: Vec<(PathBuf, [u8; 32])>,
    hasher: Sha256,
}

/// One file, as it was read.
pub struct SourceFile {
    /// As it is shown to people.
    pub path: Arc<Path>,
    pub text: String,
    /// Whether it is YAML at all. Where secrets stand in it is not known otherwise.
    pub parsed: bool,
}

/// Files hold secrets, so nothing of them is printed.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads `root` and everything it includes. What cannot be read is said, and the rest is there all the same.
    pub fn read(root: &Path) -> (Self, Diagnostics) {
        let folder = root.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut sources = Self {
            root: root.to_owned(),
            folder: folder.to_owned(),
            files: Vec::new(),
            tree: Node::new(Value::Map(Vec::new()), At::default(), Origin::Broken),
            secrets: Vec::new(),
            also: Vec::new(),
            named: BTreeMap::new(),
            prints: Vec::new(),
            hasher: Sha256::new(),
        };
        let mut out = Diagnostics::default();
        if let Some(tree) = include::read_all(&mut sources, root, &mut out) {
            sources.tree = tree;
        }
        (sources, out)
    }

    /// A configuration of one file that is in memory, and the files that its settings name.
    #[cfg(test)]
    pub fn in_memory(root: &Path, text: &str, files: &[(&str, &[u8])]) -> Self {
        let (mut sources, _) = Self::read(Path::new("/nowhere/at/all.yaml"));
        (sources.root, sources.folder) = (root.to_owned(), root.parent().unwrap_or(root).to_owned());
        let file = sources.add_file(root, text.to_owned());
        sources.tree = crate::config::yaml::parse(text, file).0.expect("a document");
        let named =
            files.iter().map(|(name, content)| (sources.folder.join(name), Ok(Bytes::copy_from_slice(content))));
        sources.named = named.collect();
        sources
    }

    /// The tree of all files together.
    pub const fn tree(&self) -> &Node {
        &self.tree
    }

    pub const fn tree_mut(&mut self) -> &mut Node {
        &mut self.tree
    }

    /// The file that was named.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the configuration; relative files are sought there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Every path that a change of can change the configuration: files, and folders of globs.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().map(|file| &*file.path);
        std::iter::once(&*self.root).chain(files).chain(self.also.iter().map(PathBuf::as_path))
    }

    /// Where the value at `path` of the document is written: the value itself when it is a scalar, the key of a map
    /// or list. Where there is no such value, the nearest thing around it.
    pub fn locate(&self, path: &str) -> Option<Location> {
        let (key, node) = self.tree.locate(path);
        let container = matches!(node.value, Value::Map(_) | Value::Seq(_) | Value::Null);
        Some(self.location(key.filter(|_| container).map_or(node.at, |key| key.at)))
    }

    /// Where each entry of a section is written, as [`Sources::locate`] says it: a file may have many thousands.
    pub fn locate_entries(&self, section: &str) -> HashMap<&str, Location> {
        let entries = self.tree.get(section).map(Node::entries).unwrap_or_default();
        entries.iter().map(|(key, _)| (key.name.as_str(), self.location(key.at))).collect()
    }

    /// Where the name of the entry at `path` is written.
    pub fn locate_key(&self, path: &str) -> Option<Location> {
        let (key, node) = self.tree.locate(path);
        Some(self.location(key.map_or(node.at, |key| key.at)))
    }

    /// The place as it is shown.
    pub fn location(&self, at: At) -> Location {
        let file = usize::try_from(at.file).ok().and_then(|file| self.files.get(file));
        let file = file.map_or_else(|| self.root.as_path().into(), |file| file.path.clone());
        Location { file, line: at.line.max(1), column: at.column.max(1) }
    }

    /// Gives a diagnostic the place that its path leads to, if it has none. Where the value there came from outside,
    /// the diagnostic shows where from and never the value.
    pub fn place(&self, diagnostic: Diagnostic) -> Diagnostic {
        let (key, node) = self.tree.locate(&diagnostic.path);
        let diagnostic = without_outside(diagnostic, node, key.map_or("", |key| &key.name));
        let at = diagnostic.at.clone().or_else(|| self.locate(&diagnostic.path));
        Diagnostic { at, ..diagnostic }
    }

    /// SHA-256 of everything that was read: two configurations with the same hash are the same.
    pub fn hash(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// The hash in hexadecimal.
    pub fn hash_text(&self) -> String {
        self.hash().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Remembers that a secret stands here.
    pub fn hide(&mut self, secrets: impl IntoIterator<Item = At>) {
        self.secrets.extend(secrets);
    }

    pub fn secrets(&self) -> &[At] {
        &self.secrets
    }

    /// Remembers a file whose content became part of the configuration, or should have.
    pub fn note_file(&mut self, path: PathBuf, content: Result<&[u8], &str>) {
        let print: [u8; 32] = Sha256::digest(content.unwrap_or_default()).into();
        self.hasher.update(print);
        if content.is_ok() {
            self.prints.push((path.clone(), print));
        }
        self.also.push(path);
    }

    /// Reads a file that a setting names. Its content is part of the configuration from then on.
    pub fn take_named_file(&mut self, file: &Path) {
        let path = self.folder.join(file);
        if self.named.contains_key(&path) {
            return;
        }
        let content = read_bytes(&path, MOST_BYTES);
        self.note_file(path.clone(), content.as_deref().map_err(String::as_str));
        self.named.insert(path, content.map(Bytes::from));
    }

    /// The files that were read, each with the SHA-256 of what it held.
    pub fn prints(&self) -> impl Iterator<Item = (&Path, [u8; 32])> {
        self.prints.iter().map(|(path, print)| (path.as_path(), *print))
    }

    fn add_file(&mut self, path: &Path, text: String) -> u32 {
        self.hasher.update(path.as_os_str().as_encoded_bytes());
        let print: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.hasher.update(print);
        self.prints.push((path.to_owned(), print));
        self.files.push(SourceFile { path: path.into(), text, parsed: false });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }
}

impl Files for Sources {
    fn content(&self, file: &Path) -> Result<Bytes, String> {
        let read = self.named.get(&self.folder.join(file));
        read.cloned().unwrap_or_else(|| Err("was not read with the configuration".to_owned()))
    }
}

/// A diagnostic about `node`, which stands under `key`: where its value came from outside, it says where from and never the
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

/// The text without the value, however its letters are written: `name` stands where it stood. A value of a few letters
/// is hidden only where it is quoted, or words would be torn. Quoted parts of it are hidden unless they are `known`.
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

/// As `str::replace`, but upper and lower case letters of ASCII are the same.
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
