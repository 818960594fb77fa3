//! Reads one file within bounds: no pipes, no devices, nothing endless, nothing that is not text. A pipe is read where the
//! command line names one.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read as configuration.
pub const MOST_BYTES: u64 = 8 << 20;

/// The reason why a file cannot be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub trouble: Trouble,
    /// Lowercase and without the file's name: `does not exist`.
    pub reason: String,
}

/// The kind of reason, which decides the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Missing,
    Denied,
    Folder,
    TooLarge,
    /// UTF-16.
    Utf16,
    /// Not UTF-8: the line and column of the first byte that is not, from 1.
    NotText(u32, u32),
    Other,
}

impl Unreadable {
    fn new(trouble: Trouble, reason: impl Into<String>) -> Self {
        Self { trouble, reason: reason.into() }
    }

    /// What to do if it is the main file.
    pub fn help(&self, path: &Path) -> String {
        match self.trouble {
            Trouble::Missing => "correct the path; `gatewright init` writes a new file".to_owned(),
            Trouble::Denied => {
                "grant that user read access, for example with `chown`, or `chmod g+r` and a shared group".to_owned()
            }
            Trouble::Folder => format!("use a file in it, such as `{}`", path.join("gateway.yaml").display()),
            Trouble::TooLarge => "split it with `include`".to_owned(),
            Trouble::Utf16 | Trouble::NotText(..) => "save the file as UTF-8".to_owned(),
            Trouble::Other => "use a readable regular file".to_owned(),
        }
    }
}

/// The absolute path, if known.
pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The text of a file, without a byte order mark.
pub fn read_text(path: &Path, most: u64) -> Result<String, Unreadable> {
    text(read(path, most)?)
}

/// The same of a stream, such as standard input, to its end.
pub fn read_stream(stream: impl Read, most: u64) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    stream.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error, None))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) { Err(too_large(None, most)) } else { text(bytes) }
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    let line = |good: &[u8]| good.iter().filter(|byte| **byte == b'\n').count() + 1;
    let not_text = |good: &[u8], reason: String| {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let last = good.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last).chars().count() + 1;
        Unreadable::new(Trouble::NotText(small(line(good)), small(column)), reason)
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Unreadable::new(Trouble::Utf16, "is UTF-16, not UTF-8"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        not_text(good, format!("is not valid UTF-8 on line {}", line(good)))
    })?;
    if let Some(at) = text.find('\0') {
        let good = text.as_bytes().get(..at).unwrap_or_default();
        return Err(not_text(good, format!("contains a NUL byte on line {}", line(good))));
    }
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// The content of a regular file of at most `most` bytes; or why there is none, as [`Unreadable::reason`].
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    read(path, most).map_err(|unreadable| unreadable.reason)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
    // Opening a pipe would wait for a writer, so the file type is checked first.
    let kind = fs::metadata(path).map_err(|error| unreadable(&error, None))?;
    if kind.is_dir() {
        return Err(Unreadable::new(Trouble::Folder, "is a directory, not a file"));
    }
    if !kind.is_file() {
        return Err(Unreadable::new(Trouble::Other, "is not a regular file"));
    }
    if kind.len() > most {
        return Err(too_large(Some(kind.len()), most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default());
    let file = File::open(path).map_err(|error| unreadable(&error, Some(&kind)))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error, Some(&kind)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) { Err(too_large(None, most)) } else { Ok(bytes) }
}

/// `length` is that of the file, if it is known.
fn too_large(length: Option<u64>, most: u64) -> Unreadable {
    let length = length.map(|length| format!("has {length} bytes and ")).unwrap_or_default();
    Unreadable::new(Trouble::TooLarge, format!("{length}exceeds the size limit of {}", size(most)))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        unreadable(&error, None)
    }
}

fn unreadable(error: &io::Error, kind: Option<&Metadata>) -> Unreadable {
    match error.kind() {
        ErrorKind::NotFound => Unreadable::new(Trouble::Missing, "does not exist"),
        ErrorKind::PermissionDenied => {
            let user = user().map(|user| format!(" {user}")).unwrap_or_default();
            let why = kind.map_or_else(|| ": a parent directory is not accessible to that user".to_owned(), mode);
            Unreadable::new(Trouble::Denied, format!("is not readable by user{user}{why}"))
        }
        _ => Unreadable::new(Trouble::Other, format!("cannot be read: {error}").to_lowercase()),
    }
}

/// The user ID of this process, if known.
#[cfg(unix)]
fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

#[cfg(unix)]
fn mode(kind: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!(" (mode {:04o}, owner {})", kind.mode() & 0o7777, kind.uid())
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> String {
    String::new()
}
