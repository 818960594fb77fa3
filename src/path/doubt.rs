//! The spellings of a path that servers read differently.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A spelling of a path that servers do not agree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// An encoded slash in a segment, `%2F`: `/projects/group%2Fname`. Routes treat it as part of the segment, and it is
    /// forwarded unchanged. Risk: an upstream that decodes before it splits the path sees one more segment.
    EncodedSlash,
    /// Two slashes in a row: `/a//b`. Routes treat the empty segment as a segment, and all slashes are forwarded
    /// unchanged. Risk: an upstream that merges slashes sees a different path.
    EmptySegments,
    /// Parameters after a `;` in a segment: `/cart;jsessionid=1`. Routes match the part before the `;`, and everything is
    /// forwarded. Risk: an upstream that does not support such parameters sees a different path.
    Parameters,
    /// Percent-escapes that are not UTF-8: `/caf%E9`. Risk: an upstream with another character set sees a different path,
    /// and one that replaces invalid bytes treats different paths as the same.
    NonUtf8,
    /// A character that needs no encoding in a path, and is percent-encoded twice: a letter, a digit or one of
    /// `-_~!$&'()*+,=:@`, as in `/%2561dmin` or `/%2540team`. The path is forwarded unchanged. Risk: an upstream that decodes
    /// twice sees `/admin` or `/@team`. Characters that need encoding may be encoded twice, as in `%2520`, without this
    /// setting.
    DoubleEncoding,
}

impl Doubt {
    const ALL: [Self; 5] =
        [Self::EncodedSlash, Self::EmptySegments, Self::Parameters, Self::NonUtf8, Self::DoubleEncoding];

    const fn bit(self) -> u8 {
        match self {
            Self::EncodedSlash => 1,
            Self::EmptySegments => 2,
            Self::Parameters => 4,
            Self::NonUtf8 => 8,
            Self::DoubleEncoding => 16,
        }
    }

    /// Its name in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::EncodedSlash => "encoded_slash",
            Self::EmptySegments => "empty_segments",
            Self::Parameters => "parameters",
            Self::NonUtf8 => "non_utf8",
            Self::DoubleEncoding => "double_encoding",
        }
    }

    /// The message for the client.
    pub const fn message(self) -> &'static str {
        match self {
            Self::EncodedSlash => "path: must not have an encoded slash (%2F)",
            Self::EmptySegments => "path: must not have empty segments (//)",
            Self::Parameters => "path: must not have `;` in a segment",
            Self::NonUtf8 => "path: must be UTF-8 when decoded",
            Self::DoubleEncoding => "path: must not be percent-encoded twice",
        }
    }
}

/// A set of doubts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Doubts(u8);

impl Doubts {
    pub const NONE: Self = Self(0);

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn with(self, doubt: Doubt) -> Self {
        Self(self.0 | doubt.bit())
    }

    pub const fn has(self, doubt: Doubt) -> bool {
        self.0 & doubt.bit() != 0
    }

    /// The doubts that are not in `allowed`.
    #[must_use]
    pub const fn without(self, allowed: Self) -> Self {
        Self(self.0 & !allowed.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Doubt> {
        Doubt::ALL.into_iter().filter(move |doubt| self.has(*doubt))
    }
}

impl FromIterator<Doubt> for Doubts {
    fn from_iter<I: IntoIterator<Item = Doubt>>(doubts: I) -> Self {
        doubts.into_iter().fold(Self::NONE, Self::with)
    }
}
