//! The files that a configuration was read from. They are kept while it serves, to be watched and quoted.

use crate::config::diagnostic::Location;
use crate::config::tree::At;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that a configuration was read from.
#[derive(Clone)]
pub struct SourceFiles {
    root: PathBuf,
    folder: PathBuf,
    absolute_folder: PathBuf,
    files: Vec<SourceFile>,
    /// The locations of secrets, which are masked in every line that is shown.
    secrets: Vec<At>,
    /// What else must be watched: folders of globs, files of `${file.…}`.
    also: Vec<PathBuf>,
    /// The SHA-256 of each file as it was read.
    prints: Vec<(PathBuf, [u8; 32])>,
    hasher: Sha256,
}

/// One file, as it was read.
#[derive(Clone)]
pub struct SourceFile {
    /// The path as shown to people.
    pub path: Arc<Path>,
    pub text: String,
    /// Whether it is valid YAML. Otherwise, the locations of its secrets are unknown.
    pub parsed: bool,
}

/// Files contain secrets, so nothing of them is printed.
impl fmt::Debug for SourceFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFiles").field("root", &self.root).finish_non_exhaustive()
    }
}

impl SourceFiles {
    /// No files at all.
    pub fn none() -> Self {
        Self::in_folder(Path::new(""), Path::new("."))
    }

    /// No files so far.
    pub(super) fn of(root: &Path) -> Self {
        let folder = root.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::in_folder(root, folder)
    }

    /// No files so far; relative paths start at `folder`.
    pub(super) fn in_folder(root: &Path, folder: &Path) -> Self {
        Self {
            root: root.to_owned(),
            folder: folder.to_owned(),
            absolute_folder: absolute(folder),
            files: Vec::new(),
            secrets: Vec::new(),
            also: Vec::new(),
            prints: Vec::new(),
            hasher: Sha256::new(),
        }
    }

    /// The root file.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the configuration, where relative paths start.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same folder as an absolute path without symbolic links.
    pub fn absolute_folder(&self) -> &Path {
        &self.absolute_folder
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Every path that can affect the configuration: files, and folders of globs.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().map(|file| &*file.path);
        std::iter::once(&*self.root).chain(files).chain(self.also.iter().map(PathBuf::as_path))
    }

    /// The location in the form that is shown.
    pub fn location(&self, at: At) -> Location {
        let file = usize::try_from(at.file).ok().and_then(|file| self.files.get(file));
        let (line, column) = (at.line.max(1), at.column.max(1));
        let range = usize::try_from(at.start).unwrap_or_default()..usize::try_from(at.end).unwrap_or_default();
        let written = file.and_then(|file| file.text.get(range)).unwrap_or_default();
        // A tab may be what is wrong.
        let text = if written.trim().is_empty() { written.trim_end_matches(['\r', '\n']) } else { written.trim_end() };
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or_default();
        let (end_line, end_column) = match text.rsplit_once('\n') {
            None => (line, column + count(text)),
            Some((before, last)) => (line + 1 + count(&before.replace(|c| c != '\n', "")), 1 + count(last)),
        };
        let file = file.map_or_else(|| self.root.as_path().into(), |file| file.path.clone());
        Location { file, line, column, end_line, end_column }
    }

    /// SHA-256 of everything that was read: configurations with the same hash are equal.
    pub fn hash(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// The hash in hexadecimal.
    pub fn hash_text(&self) -> String {
        hex(self.hash())
    }

    /// Records the locations of secrets.
    pub fn hide(&mut self, secrets: impl IntoIterator<Item = At>) {
        self.secrets.extend(secrets);
    }

    pub fn secrets(&self) -> &[At] {
        &self.secrets
    }

    /// Records additional paths to watch.
    pub(super) fn watch(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.also.extend(paths);
    }

    /// Records that the file added last is valid YAML.
    pub(super) fn is_parsed(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.parsed = true;
        }
    }

    /// Records a file whose content is part of the configuration, or should be.
    pub fn note_file(&mut self, path: PathBuf, content: Result<&[u8], &str>) {
        let print: [u8; 32] = Sha256::digest(content.unwrap_or_default()).into();
        self.hasher.update(print);
        if content.is_ok() {
            self.prints.push((path.clone(), print));
        }
        self.also.push(path);
    }

    /// The files, each with the SHA-256 of its content.
    pub fn prints(&self) -> impl Iterator<Item = (&Path, [u8; 32])> {
        self.prints.iter().map(|(path, print)| (path.as_path(), *print))
    }

    pub(super) fn add(&mut self, path: &Path, text: String) -> u32 {
        self.hasher.update(path.as_os_str().as_encoded_bytes());
        let print: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.hasher.update(print);
        self.prints.push((path.to_owned(), print));
        self.files.push(SourceFile { path: path.into(), text, parsed: false });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }
}

fn absolute(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().or_else(|_| std::path::absolute(folder));
    real.unwrap_or_else(|_| folder.to_owned())
}

pub(super) fn hex(print: [u8; 32]) -> String {
    print.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
