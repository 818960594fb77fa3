//! Aliases without an anchor.

use super::{Slip, Text, slip};
use crate::config::words;

impl<'a> Text<'a> {
    /// The unknown alias at `at`. `None` if the file has no anchors, so that `*` is hardly meant as an alias.
    pub(super) fn unknown_alias(self, at: usize) -> Option<Slip> {
        let name = name(self.0.get(at + 1..)?);
        let anchors = self.anchors();
        if name.is_empty() || anchors.is_empty() {
            return None;
        }
        let range = at..at + 1 + name.len();
        // A text that is like no anchor may be a secret that begins with `*`.
        Some(match words::nearest(name, &anchors) {
            Some(near) if near == name => {
                let help = format!("move `&{name}` above this line");
                slip(range, format!("the alias `*{name}` comes before its anchor"), help)
            }
            Some(near) => slip(range, format!("unknown alias `*{name}`"), format!("did you mean `*{near}`?")),
            None => {
                let quoted = self.quoted(&self.scan(at), range.clone());
                let help = format!("quote a text that starts with `*`: `{quoted}`, or define the anchor above it");
                slip(range, "`*` starts an alias, and no anchor has this name", help)
            }
        })
    }

    /// The names of the anchors.
    fn anchors(self) -> Vec<&'a str> {
        let text = self.0;
        let begins = |at: usize| text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(START));
        let all = text.match_indices('&').filter(|(at, _)| begins(*at)).filter_map(|(at, _)| text.get(at + 1..));
        all.map(name).filter(|name| !name.is_empty()).collect()
    }
}

/// What may stand before an anchor.
const START: [char; 6] = [' ', '\t', '\n', '[', '{', ','];

/// The name of the anchor or alias that `text` begins with.
fn name(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || "[]{},".contains(c)).next().unwrap_or_default()
}
