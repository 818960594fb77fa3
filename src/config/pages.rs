//! The page of each code: what it means, and an invalid and a valid example. Compiled into the program.

use gatewright_sdk::Code;

/// A page of `docs/diagnostics`.
#[derive(Debug)]
pub struct Page {
    pub code: Code,
    /// Markdown.
    pub text: &'static str,
}

macro_rules! pages {
    ($($name:ident $id:literal),* $(,)?) => {
        &[$(Page { code: Code::$name, text: include_str!(concat!("../../docs/diagnostics/", $id, ".md")) }),*]
    };
}

/// All of them, in the order of [`Code::ALL`].
pub static ALL: &[Page] = pages![
    FILE_UNREADABLE "GW0101",
    NO_CONFIGURATION "GW0102",
    INCLUDE_PATTERN "GW0103",
    INCLUDE_FINDS_NOTHING "GW0104",
    INCLUDE_CYCLE "GW0105",
    TOO_LARGE "GW0106",
    YAML_SYNTAX "GW0110",
    DUPLICATE_KEY "GW0111",
    SECOND_DOCUMENT "GW0112",
    MERGE_KEY "GW0113",
    YAML_TAG "GW0114",
    INVALID_KEY "GW0115",
    RECURSIVE_ALIAS "GW0116",
    INDENTATION "GW0117",
    UNSET_VARIABLE "GW0120",
    EXPANSION_SYNTAX "GW0121",
    NESTED_EXPANSION "GW0122",
    EXPANSION_FILE "GW0123",
    EXPANSION_IN_KEY "GW0124",
    OVERRIDE "GW0125",
    UNKNOWN_KEY "GW0201",
    MISSING_KEY "GW0202",
    WRONG_TYPE "GW0203",
    NO_VALUE "GW0204",
    UNKNOWN_WORD "GW0205",
    OUT_OF_RANGE "GW0206",
    WRONG_LENGTH "GW0207",
    UNQUOTED_BOOLEAN "GW0208",
    WRONG_FORM "GW0209",
    INVALID_NAME "GW0210",
    ONE_ENTRY "GW0211",
    NOT_IMPLEMENTED "GW0212",
    MASKED_VALUE "GW0213",
    RENAMED "GW0214",
    INVALID_DURATION "GW0220",
    INVALID_SIZE "GW0221",
    INVALID_ADDRESS "GW0222",
    INVALID_HOST "GW0223",
    INVALID_METHOD "GW0224",
    INVALID_NETWORK "GW0225",
    INVALID_PATH "GW0226",
    INVALID_URL "GW0227",
    INVALID_HEADER_NAME "GW0228",
    INVALID_HEADER_VALUE "GW0229",
    DUPLICATE_HEADER "GW0230",
    ZERO "GW0231",
    UNKNOWN_REFERENCE "GW0301",
    TYPE_FOR_PLUGIN "GW0302",
    UNUSED "GW0303",
    UNKNOWN_SERVICE "GW0304",
    UNKNOWN_PLACEHOLDER "GW0305",
    LITERAL_PLACEHOLDER "GW0306",
    PLUGIN_SETTING "GW0400",
    UNKNOWN_PLUGIN_TYPE "GW0401",
    ONE_PLUGIN_TYPE "GW0402",
    PLUGIN_PANICKED "GW0403",
    MISSING_PLUGIN "GW0404",
    WITHOUT_NEEDED "GW0405",
    PLUGIN_ORDER "GW0406",
    PLUGIN_TWICE "GW0407",
    WITHOUT_NOTHING "GW0408",
    MANAGED_HEADER "GW0409",
    CONTESTED_HEADER "GW0410",
    NOTHING_TO_DO "GW0411",
    NO_TIMEOUT "GW0412",
    UNGUARDED "GW0413",
    NESTED_LIMIT "GW0414",
    NO_CLIENT_CERTIFICATES "GW0415",
    NOTHING_TO_OBSERVE "GW0416",
    EARLY_TIMEOUT "GW0417",
    INVALID_ORIGIN "GW0420",
    WILDCARD_WITH_CREDENTIALS "GW0421",
    CORS_CREDENTIAL_HEADER "GW0422",
    ONE_TOKEN_KEY "GW0430",
    TOKEN_ALGORITHM "GW0431",
    UNUSABLE_KEY "GW0432",
    SHORT_SECRET "GW0433",
    KNOWN_SECRET "GW0434",
    KEY_SET "GW0435",
    TOKEN_CHECK "GW0436",
    PASSWORD_FILE "GW0437",
    KEY_FILE "GW0438",
    ANY_OF "GW0439",
    RATE_LIMIT "GW0440",
    IP_FILTER "GW0445",
    EXPRESSION "GW0446",
    VALIDATION_SCHEMA "GW0447",
    ROUTE_PATH "GW0501",
    NO_TARGET "GW0502",
    SEVERAL_TARGETS "GW0503",
    AMBIGUOUS_ROUTES "GW0504",
    REFUSED_PATH "GW0505",
    UNREGISTERED_METHOD "GW0506",
    COLLECTION_PATH "GW0507",
    REDIRECT "GW0508",
    RESPONSE_BODY "GW0510",
    NEEDS_UPSTREAM "GW0511",
    STRIP_PREFIX "GW0512",
    ROOT_ONLY "GW0513",
    SHADOWED_PATH "GW0514",
    SHARED_PATH "GW0515",
    SPLIT "GW0516",
    REWRITE "GW0517",
    QUEUE "GW0518",
    RETRY_TIMEOUT "GW0519",
    NO_LISTENER "GW0520",
    DUPLICATE_ADDRESS "GW0521",
    TRUSTS_EVERYONE "GW0522",
    ALL_LISTENERS "GW0523",
    SOCKET_MODE "GW0524",
    SIGN_IN "GW0526",
    SIGN_IN_TOKEN "GW0527",
    SIGN_IN_BLOCKED "GW0528",
    CHOSEN_CLAIM "GW0529",
    DUPLICATE_TARGET "GW0531",
    OPENAPI_FILE "GW0532",
    SIGN_IN_PASSWORD "GW0533",
    OTHER_ISSUER "GW0534",
    STORE_URL "GW0601",
    STORE_KIND "GW0602",
    TABLE_NAME "GW0603",
    SHARED_TABLE "GW0604",
    FIELD_NAME "GW0605",
    FIELD_OPTION "GW0606",
    FIELD_CONTRADICTION "GW0607",
    FIELD_PATTERN "GW0608",
    FIELD_SCHEMA "GW0609",
    FIELD_BOUNDS "GW0610",
    FIELD_VALUE "GW0611",
    UNKNOWN_FIELD "GW0612",
    SORT "GW0613",
    FILTER "GW0614",
    INDEX "GW0615",
    ID_GENERATE "GW0617",
    BULK "GW0618",
    SOFT_DELETE "GW0619",
    NO_RULE "GW0620",
    ACCESS_CONDITION "GW0621",
    PUBLIC_WRITES "GW0622",
    PUBLIC_CLAIM "GW0623",
    NO_ONE_MAY "GW0624",
    NOT_PUBLIC "GW0625",
    CLAIM "GW0626",
    PRESET "GW0627",
    BEYOND_PRESET "GW0628",
    TABLE_CHANGE "GW0630",
    FOREIGN_TABLE "GW0631",
    STORE_MOVED "GW0632",
    HIDDEN_VALUES "GW0633",
    STORE_PLACE "GW0634",
    UNEVEN_VALUES "GW0635",
    STORE_CANNOT_COUNT "GW0636",
    ACTING_KEY "GW0637",
    ENVIRONMENT "GW0701",
    ADMIN_TOKEN "GW0702",
    ADMIN_EXPOSED "GW0703",
    METRICS_WITHOUT_ADMIN "GW0704",
    TELEMETRY_TLS "GW0710",
    ADDRESS_IN_USE "GW0801",
    ADDRESS_UNUSABLE "GW0802",
    TLS_FILE "GW0803",
    CERTIFICATE_DATES "GW0804",
    PROTECTION_LOST "GW0805",
    STORE_UNAVAILABLE "GW0810",
    SHARED_FILE "GW0811",
    INTERNAL "GW0890",
];

/// The page of a code, if it is one of the gateway's.
pub fn page(id: &str) -> Option<&'static Page> {
    ALL.iter().find(|page| page.code.id() == id)
}

impl Page {
    /// What the code means: the text before the first example, on one line.
    pub fn meaning(&self) -> String {
        let (_, text) = self.text.split_once('\n').unwrap_or_default();
        let text = text.split("\n```").next().unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        let pages: Vec<_> = ALL.iter().map(|page| page.code.id()).collect();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(pages, codes);
    }
}
