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
    INCLUDE_PATTERN = "GW0103": "invalid `include` pattern",
    INCLUDE_FINDS_NOTHING = "GW0104": "`include` pattern that matches no files",
    INCLUDE_CYCLE = "GW0105": "a file includes itself",
    TOO_LARGE = "GW0106": "the configuration is too large",
    YAML_SYNTAX = "GW0110": "the file is not valid YAML",
    DUPLICATE_KEY = "GW0111": "duplicate key",
    SECOND_DOCUMENT = "GW0112": "more than one YAML document",
    MERGE_KEY = "GW0113": "YAML merge keys are not supported",
    YAML_TAG = "GW0114": "YAML tags are not supported",
    INVALID_KEY = "GW0115": "key that is not a string",
    RECURSIVE_ALIAS = "GW0116": "recursive YAML alias",
    INDENTATION = "GW0117": "entry that is not indented enough",
    UNSET_VARIABLE = "GW0120": "undefined environment variable",
    EXPANSION_SYNTAX = "GW0121": "invalid `${…}`",
    NESTED_EXPANSION = "GW0122": "nested `${…}`",
    EXPANSION_FILE = "GW0123": "`${file.…}` that cannot be read",
    EXPANSION_IN_KEY = "GW0124": "`${…}` in a key",
    OVERRIDE = "GW0125": "invalid environment override",

    // Types, keys and values.
    UNKNOWN_KEY = "GW0201": "unknown key",
    MISSING_KEY = "GW0202": "missing required key",
    WRONG_TYPE = "GW0203": "value of the wrong type",
    NO_VALUE = "GW0204": "key without a value",
    UNKNOWN_WORD = "GW0205": "value that is not allowed",
    OUT_OF_RANGE = "GW0206": "number out of range",
    WRONG_LENGTH = "GW0207": "value that is empty, too short or too long",
    UNQUOTED_BOOLEAN = "GW0208": "unquoted string that YAML 1.1 reads as a boolean",
    WRONG_FORM = "GW0209": "value in the wrong format",
    INVALID_NAME = "GW0210": "invalid name",
    ONE_ENTRY = "GW0211": "map that takes exactly one entry",
    NOT_IMPLEMENTED = "GW0212": "setting that is not implemented yet",
    MASKED_VALUE = "GW0213": "masked value",
    RENAMED = "GW0214": "renamed key or value",
    INVALID_DURATION = "GW0220": "invalid duration",
    INVALID_SIZE = "GW0221": "invalid size",
    INVALID_ADDRESS = "GW0222": "invalid listen address",
    INVALID_HOST = "GW0223": "invalid host name",
    INVALID_METHOD = "GW0224": "invalid HTTP method",
    INVALID_NETWORK = "GW0225": "invalid network",
    INVALID_PATH = "GW0226": "invalid path",
    INVALID_URL = "GW0227": "invalid URL",
    INVALID_HEADER_NAME = "GW0228": "invalid header name",
    INVALID_HEADER_VALUE = "GW0229": "invalid header value",
    DUPLICATE_HEADER = "GW0230": "duplicate header",
    ZERO = "GW0231": "zero where a positive value is required",

    // Names and references.
    UNKNOWN_REFERENCE = "GW0301": "undefined name",
    TYPE_FOR_PLUGIN = "GW0302": "plugin type where a plugin is expected",
    UNUSED = "GW0303": "unused definition",
    UNKNOWN_SERVICE = "GW0304": "unregistered service",
    UNKNOWN_PLACEHOLDER = "GW0305": "unknown placeholder",
    LITERAL_PLACEHOLDER = "GW0306": "placeholder that is not expanded",

    // Plugins, and their order in chains.
    PLUGIN_SETTING = "GW0400": "invalid plugin setting",
    UNKNOWN_PLUGIN_TYPE = "GW0401": "unknown plugin type",
    ONE_PLUGIN_TYPE = "GW0402": "plugin without exactly one type",
    PLUGIN_PANICKED = "GW0403": "plugin that panicked",
    MISSING_PLUGIN = "GW0404": "plugin that requires another one before it",
    WITHOUT_NEEDED = "GW0405": "`without` removes a required plugin",
    PLUGIN_ORDER = "GW0406": "plugins in the wrong order",
    PLUGIN_TWICE = "GW0407": "duplicate plugin in a chain",
    WITHOUT_NOTHING = "GW0408": "`without` names a plugin that is not in the chain",
    MANAGED_HEADER = "GW0409": "header that the gateway manages itself",
    CONTESTED_HEADER = "GW0410": "two plugins that use the same header",
    NOTHING_TO_DO = "GW0411": "plugin that does nothing",
    NO_TIMEOUT = "GW0412": "chain without a timeout in front of an upstream",
    UNGUARDED = "GW0413": "route that bypasses a plugin",
    NESTED_LIMIT = "GW0414": "limit that has no effect because an outer one is lower",
    NO_CLIENT_CERTIFICATES = "GW0415": "plugin that reads client certificates on a listener that requests none",
    NOTHING_TO_OBSERVE = "GW0416": "`mode: observe` for a plugin that rejects nothing",
    EARLY_TIMEOUT = "GW0417": "timeout that ends before that of the resource behind it",
    INVALID_ORIGIN = "GW0420": "invalid origin",
    WILDCARD_WITH_CREDENTIALS = "GW0421": "`*` combined with `credentials: true`",
    CORS_CREDENTIAL_HEADER = "GW0422": "CORS that does not allow the header of a login",
    ONE_TOKEN_KEY = "GW0430": "no verification key, or more than one",
    TOKEN_ALGORITHM = "GW0431": "algorithms that do not match the key",
    UNUSABLE_KEY = "GW0432": "key file that cannot be used",
    SHORT_SECRET = "GW0433": "secret that is too short",
    KNOWN_SECRET = "GW0434": "publicly known secret",
    KEY_SET = "GW0435": "key set that cannot be fetched or used",
    TOKEN_CHECK = "GW0436": "token validation that accepts too much",
    PASSWORD_FILE = "GW0437": "password file that cannot be used",
    KEY_FILE = "GW0438": "file with API keys that cannot be used",
    ANY_OF = "GW0439": "`any_of` whose members cannot be asked in turn",
    RATE_LIMIT = "GW0440": "rate limit that cannot work",
    IP_FILTER = "GW0445": "IP filter that may not match the intended clients",
    EXPRESSION = "GW0446": "invalid expression",
    VALIDATION_SCHEMA = "GW0447": "no usable JSON Schema for requests",

    // Routes, upstreams and listeners.
    ROUTE_PATH = "GW0501": "route without exactly one path",
    NO_TARGET = "GW0502": "route without a target",
    SEVERAL_TARGETS = "GW0503": "route with more than one target",
    AMBIGUOUS_ROUTES = "GW0504": "two routes that match the same requests",
    REFUSED_PATH = "GW0505": "path that listeners reject",
    UNREGISTERED_METHOD = "GW0506": "method that is probably misspelled",
    COLLECTION_PATH = "GW0507": "invalid collection path",
    REDIRECT = "GW0508": "invalid redirect",
    RESPONSE_BODY = "GW0510": "invalid `respond` body",
    NEEDS_UPSTREAM = "GW0511": "key that requires an `upstream`",
    STRIP_PREFIX = "GW0512": "`strip_prefix` that does not match the route's path",
    ROOT_ONLY = "GW0513": "route that matches only `/`",
    SHADOWED_PATH = "GW0514": "route shadowed by a health endpoint",
    SHARED_PATH = "GW0515": "endpoints with the same path",
    SPLIT = "GW0516": "invalid `split`",
    REWRITE = "GW0517": "invalid `rewrite`",
    QUEUE = "GW0518": "`queue` without `concurrency`",
    RETRY_TIMEOUT = "GW0519": "`per_try_timeout` without a retry",
    NO_LISTENER = "GW0520": "no listeners",
    DUPLICATE_ADDRESS = "GW0521": "address used more than once",
    TRUSTS_EVERYONE = "GW0522": "listener that trusts `X-Forwarded-For` from every client",
    ALL_LISTENERS = "GW0523": "routes that are served on every listener",
    SOCKET_MODE = "GW0524": "`socket_mode` without a Unix socket",
    SIGN_IN = "GW0526": "invalid `sign_in`",
    SIGN_IN_TOKEN = "GW0527": "plugin that cannot sign the tokens of a `sign_in`",
    SIGN_IN_BLOCKED = "GW0528": "`sign_in` behind a plugin that requires a token",
    CHOSEN_CLAIM = "GW0529": "claim with which callers can give themselves permissions",
    DUPLICATE_TARGET = "GW0531": "duplicate upstream target",
    OPENAPI_FILE = "GW0532": "unusable OpenAPI file",
    SIGN_IN_PASSWORD = "GW0533": "password that an access token is enough to change",
    OTHER_ISSUER = "GW0534": "rule that takes the subjects of two issuers for the same callers",
    NO_ROUTES = "GW0535": "configuration without routes",

    // Resources and stores.
    STORE_URL = "GW0601": "invalid store URL",
    STORE_KIND = "GW0602": "store that cannot hold items",
    TABLE_NAME = "GW0603": "invalid table name",
    SHARED_TABLE = "GW0604": "two resources with the same table",
    FIELD_NAME = "GW0605": "invalid field name",
    FIELD_OPTION = "GW0606": "key that does not apply to the type of its field",
    FIELD_CONTRADICTION = "GW0607": "conflicting field settings",
    FIELD_PATTERN = "GW0608": "invalid `pattern`",
    FIELD_SCHEMA = "GW0609": "invalid JSON Schema",
    FIELD_BOUNDS = "GW0610": "bounds that no value can meet",
    FIELD_VALUE = "GW0611": "value that is not valid for its field",
    UNKNOWN_FIELD = "GW0612": "unknown field",
    SORT = "GW0613": "invalid sort order",
    FILTER = "GW0614": "unsupported filter operator",
    INDEX = "GW0615": "invalid index",
    ID_GENERATE = "GW0617": "invalid `generate` for an `id`",
    BULK = "GW0618": "list requests that the resource cannot serve",
    SOFT_DELETE = "GW0619": "contradiction with `soft_delete`",
    NO_RULE = "GW0620": "operation without an access rule",
    ACCESS_CONDITION = "GW0621": "invalid access condition",
    PUBLIC_WRITES = "GW0622": "anyone can write without a token",
    PUBLIC_CLAIM = "GW0623": "claim where callers may be anonymous",
    NO_ONE_MAY = "GW0624": "access rule that no caller can meet",
    NOT_PUBLIC = "GW0625": "public rule behind a plugin that rejects anonymous requests",
    CLAIM = "GW0626": "invalid reference to a claim",
    PRESET = "GW0627": "preset of access rules that cannot hold",
    BEYOND_PRESET = "GW0628": "setting that reaches beyond a preset",
    TABLE_CHANGE = "GW0630": "table change that a reload cannot make",
    FOREIGN_TABLE = "GW0631": "table that gatewright did not create",
    STORE_MOVED = "GW0632": "store URL that changes while it is in use",
    HIDDEN_VALUES = "GW0633": "edit that hides stored values",
    STORE_PLACE = "GW0634": "database that is not at its configured path",
    UNEVEN_VALUES = "GW0635": "field with values, or gaps, from an earlier configuration",
    STORE_CANNOT_COUNT = "GW0636": "store that cannot count",
    ACTING_KEY = "GW0637": "foreign key by which the database changes items",
    KEPT_DUPLICATES = "GW0638": "unique rule with older items that are equal",

    // Administration, telemetry and the process.
    ENVIRONMENT = "GW0701": "unknown `environment`",
    ADMIN_TOKEN = "GW0702": "admin token that is too short",
    ADMIN_EXPOSED = "GW0703": "admin address that is reachable from other machines",
    METRICS_WITHOUT_ADMIN = "GW0704": "metrics without an admin address",
    TELEMETRY_TLS = "GW0710": "invalid TLS settings of an exporter",

    // Starting and reloading.
    ADDRESS_IN_USE = "GW0801": "address that is already in use",
    ADDRESS_UNUSABLE = "GW0802": "address that cannot be bound",
    TLS_FILE = "GW0803": "certificate or private key that cannot be used",
    CERTIFICATE_DATES = "GW0804": "certificate that is not valid now or expires soon",
    PROTECTION_LOST = "GW0805": "edit that leaves a route without protection",
    STORE_UNAVAILABLE = "GW0810": "database that cannot be opened",
    SHARED_FILE = "GW0811": "two stores that use the same file",
    INTERNAL = "GW0890": "internal error while reading the configuration",
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
