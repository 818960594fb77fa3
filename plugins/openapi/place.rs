//! Places in a description, as linters write them: `#/paths/~1orders/get` (RFC 6901, section 6).

use std::fmt;

/// A place in a description. It is made on the way to each value, so it costs nothing until it is written.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    around: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// A member of the document.
    pub const fn root(key: &'a str) -> Self {
        Self { around: None, step: Step::Key(key) }
    }

    /// A member of this place.
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self { around: Some(self), step: Step::Key(key) }
    }

    /// An element of this place.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self { around: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.around {
            Some(around) => around.fmt(f)?,
            None => f.write_str("#")?,
        }
        match self.step {
            Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1").escape_debug()),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}
