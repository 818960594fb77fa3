//! Stable codes of diagnostics: one for each kind of mistake, so that it can be looked up, searched for and filtered.

use std::fmt;

/// The code of a kind of mistake: `GW0201`. It never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static Mistake);

/// A kind of mistake.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mistake {
    /// As it is printed: `GW0201`.
    pub id: &'static str,
    /// In capitals, as the name of a constant: `UNKNOWN_KEY`.
    pub name: &'static str,
    /// Lowercase, no full stop.
    pub title: &'static str,
}

impl Code {
    /// A code that a plugin defines for its own diagnostics. Give it a prefix of your own (`ACME001`): `GW` belongs to the
    /// gateway.
    #[must_use]
    pub const fn own(mistake: &'static Mistake) -> Self {
        Self(mistake)
    }

    /// The code as it is printed: `GW0201`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.0.id
    }

    /// A short title: lowercase, no full stop.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.0.title
    }

    /// The name as code scanners show it: `UnknownKey`.
    #[must_use]
    pub fn name(self) -> String {
        let word = |word: &str| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            first.to_owned() + &rest.to_ascii_lowercase()
        };
        self.0.name.split('_').map(word).collect()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal: $title:literal,)*) => {
        impl Code {
            /// Every code of the gateway, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            $(
                #[doc = concat!($id, ": ", $title, ".")]
                pub const $name: Self = Self(&Mistake { id: $id, name: stringify!($name), title: $title });
            )*
        }
    };
}

// Numbers are never reused. Each code has a page in `docs/diagnostics/`.
codes! {
    // Files, YAML and `${…}`.
    FILE_UNREADABLE = "GW0101": "a configuration file cannot be read",
    NO_CONFIGURATION = "GW0102": "the file contains no configuration",
    INCLUDE_PATTERN = "GW0103": "an `include` pattern is not valid",
    INCLUDE_FINDS_NOTHING = "GW0104": "an `include` pattern matches no file",
    INCLUDE_CYCLE = "GW0105": "a file includes itself",
    TOO_LARGE = "GW0106": "the configuration is too large",
    YAML_SYNTAX = "GW0110": "the file is not valid YAML",
    DUPLICATE_KEY = "GW0111": "the same key twice",
    SECOND_DOCUMENT = "GW0112": "a second YAML document",
    MERGE_KEY = "GW0113": "YAML merge keys are not supported",
    YAML_TAG = "GW0114": "YAML tags are not supported",
    INVALID_KEY = "GW0115": "a key that is not text",
    RECURSIVE_ALIAS = "GW0116": "a YAML alias inside the value it stands for",
    INDENTATION = "GW0117": "an entry that is indented too little",
    UNSET_VARIABLE = "GW0120": "an environment variable that is not set",
    EXPANSION_SYNTAX = "GW0121": "a malformed `${…}`",
    NESTED_EXPANSION = "GW0122": "a `${…}` inside the value of another",
    EXPANSION_FILE = "GW0123": "the file of a `${file.…}` cannot be used",
    EXPANSION_IN_KEY = "GW0124": "a `${…}` in a key",
    OVERRIDE = "GW0125": "an environment override that does not fit the configuration",

    // Types, keys and values.
    UNKNOWN_KEY = "GW0201": "unknown key",
    MISSING_KEY = "GW0202": "a required key is missing",
    WRONG_TYPE = "GW0203": "a value of the wrong type",
    NO_VALUE = "GW0204": "a key without a value",
    UNKNOWN_WORD = "GW0205": "not one of the allowed values",
    OUT_OF_RANGE = "GW0206": "a number out of range",
    WRONG_LENGTH = "GW0207": "a value that is empty, too short or too long",
    UNQUOTED_BOOLEAN = "GW0208": "text that other YAML readers take for a boolean",
    WRONG_FORM = "GW0209": "text that does not have the required form",
    INVALID_NAME = "GW0210": "an invalid name",
    ONE_ENTRY = "GW0211": "a map that takes exactly one entry",
    NOT_IMPLEMENTED = "GW0212": "a setting that is not implemented yet",
    MASKED_VALUE = "GW0213": "a masked value pasted from `/config`",
    RENAMED = "GW0214": "an old name of a key or value",
    INVALID_DURATION = "GW0220": "an invalid duration",
    INVALID_SIZE = "GW0221": "an invalid size",
    INVALID_ADDRESS = "GW0222": "an invalid listen address",
    INVALID_HOST = "GW0223": "an invalid host name",
    INVALID_METHOD = "GW0224": "an invalid HTTP method",
    INVALID_NETWORK = "GW0225": "an invalid network",
    INVALID_PATH = "GW0226": "an invalid path",
    INVALID_URL = "GW0227": "an invalid URL",
    INVALID_HEADER_NAME = "GW0228": "an invalid header name",
    INVALID_HEADER_VALUE = "GW0229": "an invalid header value",
    DUPLICATE_HEADER = "GW0230": "the same header twice",
    ZERO = "GW0231": "a zero where a positive value is required",

    // Names and references.
    UNKNOWN_REFERENCE = "GW0301": "a name that is not defined",
    TYPE_FOR_PLUGIN = "GW0302": "a plugin type where a plugin is expected",
    UNUSED = "GW0303": "a definition that nothing uses",
    UNKNOWN_SERVICE = "GW0304": "a service that is not compiled in",
    UNKNOWN_PLACEHOLDER = "GW0305": "an unknown placeholder",
    LITERAL_PLACEHOLDER = "GW0306": "a placeholder that is sent as it is",

    // Plugins, and their order in chains.
    PLUGIN_SETTING = "GW0400": "an invalid plugin setting",
    UNKNOWN_PLUGIN_TYPE = "GW0401": "unknown plugin type",
    ONE_PLUGIN_TYPE = "GW0402": "a plugin without a type, or with several",
    PLUGIN_PANICKED = "GW0403": "a plugin panicked on its settings",
    MISSING_PLUGIN = "GW0404": "a plugin that needs another one before it",
    WITHOUT_NEEDED = "GW0405": "`without` removes a plugin that another one needs",
    PLUGIN_ORDER = "GW0406": "plugins in the wrong order",
    PLUGIN_TWICE = "GW0407": "a plugin twice in one chain",
    WITHOUT_NOTHING = "GW0408": "`without` names a plugin that is not in the chain",
    MANAGED_HEADER = "GW0409": "a header that the gateway manages itself",
    CONTESTED_HEADER = "GW0410": "two plugins that use the same header",
    NOTHING_TO_DO = "GW0411": "a plugin with nothing to do",
    NO_TIMEOUT = "GW0412": "a chain without a timeout in front of an upstream",
    UNGUARDED = "GW0413": "a second way to a guarded target",
    NESTED_LIMIT = "GW0414": "a limit that an outer one makes ineffective",
    INVALID_ORIGIN = "GW0420": "an invalid origin",
    WILDCARD_WITH_CREDENTIALS = "GW0421": "`*` together with `credentials: true`",
    CORS_CREDENTIAL_HEADER = "GW0422": "CORS that does not allow the header of a login",
    ONE_TOKEN_KEY = "GW0430": "no key to verify tokens with, or several",
    TOKEN_ALGORITHM = "GW0431": "algorithms that do not fit the key",
    UNUSABLE_KEY = "GW0432": "a key file that cannot be used",
    SHORT_SECRET = "GW0433": "a secret that is too short",
    KNOWN_SECRET = "GW0434": "a publicly known secret",
    KEY_SET = "GW0435": "a key set that cannot be fetched or used",
    TOKEN_CHECK = "GW0436": "token checks that accept too much",
    RATE_LIMIT = "GW0440": "a rate limit that cannot work",

    // Routes, upstreams and listeners.
    ROUTE_PATH = "GW0501": "a route without a path, or with two",
    NO_TARGET = "GW0502": "a route without a target",
    SEVERAL_TARGETS = "GW0503": "a route with several targets",
    AMBIGUOUS_ROUTES = "GW0504": "two routes that match the same requests",
    REFUSED_PATH = "GW0505": "a path whose requests are refused",
    UNREGISTERED_METHOD = "GW0506": "a method that is probably misspelled",
    COLLECTION_PATH = "GW0507": "a path that a resource cannot have",
    REDIRECT = "GW0508": "an invalid redirect",
    RESPONSE_BODY = "GW0510": "a `respond` whose body does not work",
    NEEDS_UPSTREAM = "GW0511": "a key that needs an `upstream`",
    STRIP_PREFIX = "GW0512": "a `strip_prefix` that is not in the path",
    ROOT_ONLY = "GW0513": "a route for `/` alone",
    SHADOWED_PATH = "GW0514": "a route hidden by a health path",
    SHARED_PATH = "GW0515": "two endpoints with the same path",
    NO_LISTENER = "GW0520": "no listener",
    DUPLICATE_ADDRESS = "GW0521": "the same address twice",
    TRUSTS_EVERYONE = "GW0522": "a listener that trusts every client's `X-Forwarded-For`",
    ALL_LISTENERS = "GW0523": "routes that are served on every listener",
    DUPLICATE_TARGET = "GW0531": "an upstream target twice",

    // Resources and stores.
    STORE_URL = "GW0601": "an invalid store URL",
    STORE_KIND = "GW0602": "a store that cannot hold items",
    TABLE_NAME = "GW0603": "an invalid table name",
    SHARED_TABLE = "GW0604": "two resources with the same table",
    FIELD_NAME = "GW0605": "an invalid field name",
    FIELD_OPTION = "GW0606": "a key that does not fit the type of its field",
    FIELD_CONTRADICTION = "GW0607": "settings of a field that contradict each other",
    FIELD_PATTERN = "GW0608": "an invalid `pattern`",
    FIELD_SCHEMA = "GW0609": "an invalid JSON Schema",
    FIELD_BOUNDS = "GW0610": "bounds that no value can meet",
    FIELD_VALUE = "GW0611": "a value that does not fit its field",
    UNKNOWN_FIELD = "GW0612": "a field that does not exist",
    SORT = "GW0613": "an invalid sort order",
    FILTER = "GW0614": "a filter operator that does not fit",
    INDEX = "GW0615": "an invalid index",
    ID_GENERATE = "GW0617": "an `id` that cannot be generated",
    NO_RULE = "GW0620": "an operation without an access rule",
    ACCESS_CONDITION = "GW0621": "an invalid access condition",
    PUBLIC_WRITES = "GW0622": "anyone can write without a token",
    PUBLIC_CLAIM = "GW0623": "a claim of a caller who may be anonymous",
    NO_ONE_MAY = "GW0624": "an access rule that no caller can meet",
    NOT_PUBLIC = "GW0625": "a public rule behind a plugin that refuses anonymous requests",
    CLAIM = "GW0626": "an invalid reference to a claim",
    TABLE_CHANGE = "GW0630": "a table that cannot follow the configuration",
    FOREIGN_TABLE = "GW0631": "a table that gatewright did not create",
    STORE_MOVED = "GW0632": "a store that moves while it is in use",
    HIDDEN_VALUES = "GW0633": "an edit that hides stored values",
    STORE_PLACE = "GW0634": "a database that is not at its configured place",

    // Administration, telemetry and the process.
    ENVIRONMENT = "GW0701": "unknown `environment`",
    ADMIN_TOKEN = "GW0702": "an admin token that is too short",
    ADMIN_EXPOSED = "GW0703": "an admin address that other machines can reach",
    METRICS_WITHOUT_ADMIN = "GW0704": "metrics without an admin address",
    TELEMETRY_TLS = "GW0710": "TLS settings of an exporter that cannot be used",

    // Starting and reloading.
    ADDRESS_IN_USE = "GW0801": "an address that is already in use",
    ADDRESS_UNUSABLE = "GW0802": "an address that cannot be opened",
    STORE_UNAVAILABLE = "GW0810": "a database that cannot be opened",
    SHARED_FILE = "GW0811": "two stores with the same file",
    INTERNAL = "GW0890": "the gateway failed while it read the configuration",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.id() < b.id()), "sort the table by number");
        for code in Code::ALL {
            let number = code.id().strip_prefix("GW").expect("codes of the gateway begin with GW");
            assert!(number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
            // An abbreviation keeps its capitals.
            let capital = |at| code.title().chars().nth(at).is_some_and(char::is_uppercase);
            assert!(!code.title().ends_with('.') && (!capital(0) || capital(1)), "{code}");
            assert_eq!(Code::ALL.iter().filter(|other| other.name() == code.name()).count(), 1, "{code}");
        }
        assert_eq!(
            (Code::UNKNOWN_KEY.name(), Code::UNKNOWN_KEY.to_string()),
            ("UnknownKey".to_owned(), "GW0201".to_owned())
        );
    }
}
