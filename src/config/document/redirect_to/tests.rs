//! Valid and invalid targets of redirects.

use super::*;

#[test]
fn a_parameter_is_never_part_of_the_host() {
    for (to, help) in [
        ("https://files.example.com{a}", "`https://files.example.com/{a}`"),
        ("https://files.example.com{a}{b}", "`https://files.example.com/{a}{b}`"),
        ("https://files.example.com{a}/x", "`https://files.example.com/{a}`"),
        ("https://files.example.com:80{a}", "`https://files.example.com:80/{a}`"),
        ("https://files.example.com:{a}", "write a literal host"),
        ("https://{a}.example.com/", "write a literal host"),
        ("https://{a}", "write a literal host"),
        ("https://user@{a}", "write a literal host"),
        ("https://user:{a}@example.com", "write a literal host"),
        ("HTTPS://{a}/", "write a literal host"),
        ("https://{a", "write a literal host"),
    ] {
        let fault = to.parse::<RedirectTo>().unwrap_err();
        assert!(fault.message.contains("in the host of `to`") && fault.help.unwrap().contains(help), "{to}");
    }
}

#[test]
fn what_is_not_an_address_is_a_fault() {
    for to in [
        "",
        "b",
        "{a}",
        "//evil",
        "//{a}",
        "/\\evil",
        "/\\{a}",
        "\\\\{a}",
        "/a b",
        "/\t/evil",
        "/é",
        "/{a",
        "/{{a}}",
        "/a}",
        "ftp://x",
        "javascript:{a}",
        "https:{a}",
        "https:/{a}",
        "https:///{a}",
        "https://",
        "https://?{a}",
        "https://user@host/",
        "https://user:pass@host/",
        "https://host:99999/",
        "https://host:/",
        "https://host:x/",
        "https://ho%2Fst/",
        "https://host\\{a}",
        "/%zz",
        "/%",
        "/%4",
        "/<{a}>",
        "https://a b/",
    ] {
        assert!(to.parse::<RedirectTo>().unwrap_err().help.is_some(), "{to}");
    }
    for to in ["/", "/{a}", "http://host", "https://[::1]:8443/{a}", "https://host?x={a}", "/%7B#{a}", "HTTP://host/"] {
        assert_eq!(to.parse::<RedirectTo>().unwrap().to_string(), to);
    }
}
