//! Escapes text as it is written: a log line is one line and colors nothing, whatever a client sent.

use std::fmt::{self, Write};

/// Escapes up to `end` bytes of `text` for a JSON string. Control characters, and those that change the text direction
/// or break lines on a screen, become `\uXXXX`: a log line is one line, whatever a client sent.
pub(super) struct Escaped<'a> {
    pub text: &'a mut String,
    pub end: usize,
    /// Whether something did not fit.
    pub cut: bool,
}

impl Escaped<'_> {
    fn one(&mut self, character: char) -> fmt::Result {
        let before = self.text.len();
        match character {
            '"' => self.text.push_str("\\\""),
            '\\' => self.text.push_str("\\\\"),
            '\n' => self.text.push_str("\\n"),
            '\r' => self.text.push_str("\\r"),
            '\t' => self.text.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                write!(self.text, "\\u{:04x}", u32::from(c))?;
            }
            c => self.text.push(c),
        }
        if self.text.len() > self.end {
            self.text.truncate(before);
            self.cut = true;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        let harmless = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        let mut rest = value;
        loop {
            // Nearly all text needs no escaping and is written in one piece.
            let length = rest.bytes().position(|byte| !harmless(byte)).unwrap_or(rest.len());
            let (piece, other) = rest.split_at_checked(length).unwrap_or((rest, ""));
            let room = self.end.saturating_sub(self.text.len());
            if piece.len() > room {
                self.text.push_str(piece.get(..room).unwrap_or_default());
                self.cut = true;
                return Err(fmt::Error);
            }
            self.text.push_str(piece);
            let mut characters = other.chars();
            match characters.next() {
                Some(character) => self.one(character)?,
                None => return Ok(()),
            }
            rest = characters.as_str();
        }
    }
}
