//! Reads one file with limits: no devices, no endless files, only text. A pipe is read only if the command line names
//! one.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The maximum size of a configuration file.
pub const MOST_BYTES: u64 = 8 << 20;

/// The text of a file, without a byte order mark; or why it cannot be read, lowercase and without the file's name.
pub fn read_text(path: &Path, most: u64) -> Result<String, String> {
    text(read_bytes(path, most)?)
}

/// The same for a stream, such as standard input, to its end.
pub fn read_stream(stream: impl Read, most: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    stream.take(most + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) { Err(too_large(most)) } else { text(bytes) }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text: see line {line}")
    })?;
    if let Some(at) = text.find('\0') {
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        return Err(format!("holds a NUL byte, in line {line}"));
    }
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// The content of a regular file of at most `most` bytes.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for a writer, so the type is checked first.
    let kind = fs::metadata(path).map_err(|error| reason(&error))?;
    if kind.is_dir() {
        return Err("is a directory, not a file".to_owned());
    }
    if !kind.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if kind.len() > most {
        return Err(too_large(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default());
    let file = File::open(path).map_err(|error| reason(&error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: u64) -> String {
    format!("is larger than the greatest size that is read, {} KiB", most >> 10)
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("cannot be read: {error}").to_lowercase(),
    }
}
