//! Follows `include` and merges the files into one tree.

use super::read::{Trouble, Unreadable, read_text};
use super::{MOST_BYTES, Sources, absolute};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::config::tree::{At, Key, Node, Origin, Value};
use crate::config::yaml;
use gatewright_sdk::Code;
use globset::GlobBuilder;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Sections that may occur in several files: their entries are merged.
const JOINED: [&str; 7] = ["listeners", "plugins", "chains", "stores", "upstreams", "resources", "routes"];
/// The maximum number of files in a configuration.
const MOST_FILES: usize = 1000;

/// Reads `root`, whose text may be known already, and what it includes.
pub fn read_all(
    sources: &mut Sources,
    root: &Path,
    piped: Option<Result<String, Unreadable>>,
    out: &mut Diagnostics,
) -> Option<Node> {
    let (open, done, whole, sections) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
    let mut reader = Reader { sources, piped, out, open, done, whole, sections };
    let read = reader.file(root, None);
    let whole = reader.whole;
    read.then(|| Node::new(Value::Map(whole), At { line: 1, column: 1, ..At::default() }, Origin::Plain))
}

struct Reader<'a> {
    sources: &'a mut Sources,
    /// The text of the root, if it was read from a pipe.
    piped: Option<Result<String, Unreadable>>,
    out: &'a mut Diagnostics,
    /// The files being read, outermost first, by canonical path.
    open: Vec<PathBuf>,
    done: Vec<PathBuf>,
    whole: Vec<(Key, Node)>,
    /// The index of each section in `whole`.
    sections: HashMap<String, usize>,
}

impl Reader<'_> {
    /// Reads one file and merges it. `named` is where it was included.
    fn file(&mut self, path: &Path, named: Option<(At, &str)>) -> bool {
        let fault = |this: &mut Self, code: Code, message: String| {
            let mut diagnostic = Diagnostic::error(code, if named.is_some() { "include" } else { "" }, message);
            diagnostic.at = Some(this.sources.location(named.map_or_else(At::default, |(at, _)| at)));
            diagnostic.help = named.map(|_| "include only files in the configuration directory".to_owned());
            this.out.push(diagnostic);
            false
        };
        let shown = named.map_or_else(|| path.display().to_string(), |(_, written)| written.to_owned());
        let piped = self.piped.take();
        let real = match &piped {
            // A pipe has no folder, so its includes are relative to the working directory.
            Some(_) => self.sources.folder().canonicalize().unwrap_or_default().join("<stdin>"),
            None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        };
        let text = match piped.unwrap_or_else(|| read_text(path, MOST_BYTES)) {
            Ok(text) => text,
            Err(unreadable) => {
                self.unreadable(path, &shown, named.map(|(at, _)| at), &unreadable);
                return false;
            }
        };
        if named.is_some() && !self.belongs(&real) {
            return fault(
                self,
                Code::INCLUDE_PATTERN,
                format!("`{shown}` is a symlink that points outside the configuration directory"),
            );
        }
        if self.open.contains(&real) {
            return fault(self, Code::INCLUDE_CYCLE, format!("`{shown}` includes itself"));
        }
        if self.done.contains(&real) {
            return true;
        }
        if self.sources.files().len() >= MOST_FILES {
            return fault(self, Code::TOO_LARGE, format!("too many files: at most {MOST_FILES} are allowed"));
        }
        let id = self.sources.files_mut().add(path, text);
        self.open.push(real.clone());
        let read = self.parse(path, id);
        self.open.pop();
        self.done.push(real);
        read
    }

    /// Reports a file that cannot be read, where it is included or at the line that is not text.
    fn unreadable(&mut self, path: &Path, shown: &str, included: Option<At>, unreadable: &Unreadable) {
        let whole = included.map_or_else(|| Location::whole(path), |at| self.sources.location(at));
        let (help, at) = match (included, unreadable.trouble) {
            (_, Trouble::NotText(line, column)) => {
                let at = Location { file: path.into(), line, column, end_line: line, end_column: column };
                (unreadable.help(path), at)
            }
            (Some(_), Trouble::Folder) => {
                (format!("include the files in it: `{}/*.yaml`", shown.trim_end_matches('/')), whole.clone())
            }
            (Some(_), Trouble::Missing) => {
                (format!("resolved to {}; paths are relative to the including file", absolute(path)), whole.clone())
            }
            _ => (unreadable.help(path), whole.clone()),
        };
        let inside = if included.is_some() { "include" } else { "" };
        let message = format!("`{shown}` {}", unreadable.reason);
        let diagnostic = Diagnostic::error(Code::FILE_UNREADABLE, inside, message).help(help).at(at.clone());
        let related = Some(whole).filter(|whole| included.is_some() && *whole != at);
        self.out.push(diagnostic.related(related, "included here"));
    }

    /// Whether a file is in the folder of the configuration, or in the folder that its root file is linked from.
    fn belongs(&self, real: &Path) -> bool {
        let folder = self.sources.folder().canonicalize().ok();
        let linked = self.open.first().and_then(|root| root.parent());
        folder.as_deref().into_iter().chain(linked).any(|folder| real.starts_with(folder))
    }

    fn parse(&mut self, path: &Path, id: u32) -> bool {
        let text = self.sources.files().last().map_or("", |file| file.text.as_str());
        let is_blank = text.trim().is_empty();
        let (node, flaws) = yaml::parse(text, id);
        if node.is_some() {
            self.sources.files_mut().is_parsed();
        }
        let broken = node.is_none() && !flaws.is_empty();
        for flaw in flaws {
            if flaw.code == Code::YAML_TAG {
                self.sources.files_mut().hide([flaw.at]);
            }
            self.sources.files_mut().hide(flaw.dropped);
            let mut diagnostic = Diagnostic::error(flaw.code, "", flaw.message).at(self.sources.location(flaw.at));
            diagnostic.help = flaw.help.map(String::from);
            let related = flaw.related.map(|related| (self.sources.location(related.0), related.1.to_owned()));
            diagnostic.related.extend(related);
            self.out.push(diagnostic);
        }
        let start = At { file: id, line: 1, column: 1, ..At::default() };
        let fault = |this: &mut Self, at: At, message: String, help: &str| {
            this.out
                .push(Diagnostic::error(Code::NO_CONFIGURATION, "", message).help(help).at(this.sources.location(at)));
            false
        };
        match node {
            _ if broken => false,
            Some(Node { value: Value::Map(entries), .. }) => {
                self.join(path, entries);
                true
            }
            // An included file may have nothing to add. One without even a comment may be written by halves.
            None | Some(Node { value: Value::Null, .. }) if self.open.len() > 1 => {
                if is_blank {
                    let help = "write its sections, or a comment if it is meant to add nothing";
                    let warning = Diagnostic::warning(Code::NO_CONFIGURATION, "", "the file is empty").help(help);
                    self.out.push(warning.at(self.sources.location(start)));
                }
                true
            }
            None | Some(Node { value: Value::Null, .. }) => {
                fault(self, start, "the file is empty".to_owned(), "write at least `version: 1` and `listeners`")
            }
            Some(node) => fault(
                self,
                node.at,
                "expected a map of sections at the top level".to_owned(),
                "start with `version: 1`",
            ),
        }
    }

    /// Merges the sections of one file.
    fn join(&mut self, path: &Path, entries: Vec<(Key, Node)>) {
        for (key, node) in entries {
            if key.name == "include" && !self.open.is_empty() {
                self.include(path, &node);
                // The root's list stays in the tree, so that it is validated.
                if self.open.len() > 1 {
                    continue;
                }
            }
            let index = self.sections.get(&key.name);
            let Some((first, known)) = index.and_then(|index| self.whole.get_mut(*index)) else {
                self.sections.insert(key.name.clone(), self.whole.len());
                self.whole.push((key, node));
                continue;
            };
            let mut twice = Vec::new();
            // Within one file it is a duplicate key, which was already reported.
            if first.at.file == key.at.file {
                continue;
            }
            match (&mut known.value, node.value) {
                // An included file may name the version of the format too, for editors and readers.
                (Value::Int(known), Value::Int(version)) if key.name == "version" && *known == version => {}
                (Value::Map(known), Value::Map(more)) if JOINED.contains(&key.name.as_str()) => {
                    let before: HashMap<String, At> =
                        known.iter().map(|(first, _)| (first.name.clone(), first.at)).collect();
                    for (name, node) in more {
                        match before.get(&name.name) {
                            Some(first) => twice.push((*first, name)),
                            None => known.push((name, node)),
                        }
                    }
                }
                (Value::Seq(known), Value::Seq(more)) if key.name == "tests" => known.extend(more),
                _ => twice.push((first.at, key.clone())),
            }
            for (first, name) in twice {
                let section = if name.name == key.name { String::new() } else { format!("{}.", key.name) };
                let help = if section.is_empty() {
                    "define this section in only one file"
                } else {
                    "rename it; names must be unique across all files"
                };
                let diagnostic = Diagnostic::error(
                    Code::DUPLICATE_KEY,
                    format!("{section}{}", name.name),
                    format!("duplicate `{}`: already defined in another file", name.name.escape_debug()),
                )
                .help(help)
                .at(self.sources.location(name.at))
                .related(Some(self.sources.location(first)), "first defined here");
                self.out.push(diagnostic);
            }
        }
    }

    fn include(&mut self, from: &Path, list: &Node) {
        for item in list.items() {
            let Value::Str(written) = &item.value else { continue };
            if let Err((message, help)) = self.pattern(from, written, item.at) {
                let at = self.sources.location(item.at);
                self.out.push(Diagnostic::error(Code::INCLUDE_PATTERN, "include", message).help(help).at(at));
            }
        }
    }

    fn pattern(&mut self, from: &Path, written: &str, at: At) -> Result<(), (String, &'static str)> {
        let parts = inside(from, self.sources.folder(), written)
            .map_err(|reason| (format!("`{written}` {reason}"), "include only files in the configuration directory"))?;
        if parts.iter().any(|part| part.contains("**")) {
            return Err((
                format!("`{written}` contains `**`, which is not supported"),
                "write out each directory; `*` matches a single name",
            ));
        }
        if !parts.iter().any(|part| is_pattern(part)) {
            let path = parts.iter().fold(self.sources.folder().to_owned(), |path, part| path.join(part));
            self.sources.files_mut().watch([path.clone()]);
            self.file(&path, Some((at, written)));
            return Ok(());
        }
        let found = self.glob(&parts).map_err(|error| {
            (format!("`{written}` is not a valid pattern: {}", error.kind()), "use `*`, `?`, `[a-z]` and `{a,b}`")
        })?;
        if found.is_empty() {
            let warning =
                Diagnostic::warning(Code::INCLUDE_FINDS_NOTHING, "include", format!("`{written}` matches no files"));
            self.out.push(warning.at(self.sources.location(at)));
        }
        for path in found {
            let shown = path.strip_prefix(self.sources.folder()).unwrap_or(&path).display().to_string();
            self.file(&path, Some((at, &shown)));
        }
        Ok(())
    }

    /// The files that match a pattern, sorted by name. Names that begin with a dot never match.
    fn glob(&mut self, parts: &[String]) -> Result<Vec<PathBuf>, globset::Error> {
        let mut found = vec![self.sources.folder().to_owned()];
        for (depth, part) in parts.iter().enumerate() {
            if !is_pattern(part) {
                let folders: Vec<PathBuf> = found.into_iter().map(|path| path.join(part)).collect();
                let (here, missing) = folders.into_iter().partition(|path| path.exists());
                // One of them may be made later.
                let missing: Vec<PathBuf> = missing;
                self.sources.files_mut().watch(missing);
                found = here;
                continue;
            }
            self.sources.files_mut().watch(found.iter().map(|folder| folder.join(".")));
            let last = depth + 1 == parts.len();
            let fits = GlobBuilder::new(part).literal_separator(true).build()?.compile_matcher();
            let names = |folder: PathBuf| {
                let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
                let mut names: Vec<_> =
                    names.filter(|name| !name.starts_with('.') && fits.is_match(name)).take(MOST_FILES).collect();
                names.sort();
                names.into_iter().map(move |name| folder.join(name)).filter(move |path| last != path.is_dir())
            };
            found = found.into_iter().flat_map(names).collect();
        }
        Ok(found)
    }
}

/// Whether a part of a path is a pattern.
fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '{'])
}

/// The parts of an included path below the configuration's folder.
fn inside(from: &Path, folder: &Path, written: &str) -> Result<Vec<String>, &'static str> {
    let written = Path::new(written);
    if written.is_absolute() {
        return Err("is an absolute path");
    }
    let base = from.parent().and_then(|base| base.strip_prefix(folder).ok()).unwrap_or(Path::new(""));
    let mut parts = Vec::new();
    for part in base.components().chain(written.components()) {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop().ok_or("points outside the configuration directory")?;
            }
            _ => {}
        }
    }
    if parts.is_empty() { Err("does not name a file") } else { Ok(parts) }
}
