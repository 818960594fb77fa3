//! The values of headers that have a fixed set of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to headers that the target has set.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExistingHeaders")]
pub enum Existing {
    /// They are left as they are.
    Keep,
    /// They are replaced.
    Override,
}

/// Defines the values of a header, and `none`.
macro_rules! header {
    ($(#[$docs:meta])* $kind:ident as $name:literal { $($(#[$help:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$docs])*
        #[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
        #[schemars(rename = $name)]
        pub enum $kind {
            $($(#[$help])* #[serde(rename = $value)] $variant,)*
            /// The header is left alone.
            #[serde(rename = "none")]
            None,
        }

        impl $kind {
            /// As it is sent; nothing for `none`.
            pub const fn value(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($value),)*
                    Self::None => None,
                }
            }
        }
    };
}

header! {
    /// Who may show a response in a frame.
    Frames as "FrameOptions" {
        /// No page.
        Deny = "DENY",
        /// Pages of the same origin.
        SameOrigin = "SAMEORIGIN",
    }
}

header! {
    /// What the `Referer` of requests from a page contains.
    Referrer as "ReferrerPolicy" {
        /// Nothing. Browsers then send `Origin: null` with forms.
        Nothing = "no-referrer",
        /// The URL, to the same origin only.
        SameOrigin = "same-origin",
        /// The origin, but not from https to http.
        StrictOrigin = "strict-origin",
        /// The URL to the same origin, otherwise the origin, but not from https to http.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
        /// The origin.
        Origin = "origin",
        /// The URL to the same origin, otherwise the origin.
        OriginWhenCrossOrigin = "origin-when-cross-origin",
        /// The URL, but not from https to http.
        NoReferrerWhenDowngrade = "no-referrer-when-downgrade",
        /// The URL, always.
        UnsafeUrl = "unsafe-url",
    }
}

header! {
    /// With which pages a page shares its window group.
    Opener as "OpenerPolicy" {
        /// Pages of the same origin with the same policy.
        SameOrigin = "same-origin",
        /// The same, and popups that it opens.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// No page that opens it, but popups that it opens.
        NoopenerAllowPopups = "noopener-allow-popups",
        /// All pages.
        UnsafeNone = "unsafe-none",
    }
}

header! {
    /// Which pages may embed a response.
    Sharing as "ResourcePolicy" {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site, subdomains included.
        SameSite = "same-site",
        /// All pages.
        CrossOrigin = "cross-origin",
    }
}

header! {
    /// Which resources of other origins a page may load.
    Embedder as "EmbedderPolicy" {
        /// Those that allow it.
        RequireCorp = "require-corp",
        /// All, without credentials.
        Credentialless = "credentialless",
        /// All.
        UnsafeNone = "unsafe-none",
    }
}
