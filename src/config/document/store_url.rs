//! URLs of stores. One that may hold a password is not shown.

use super::postgres_url::{FILES, PostgresUrl};
use gatewright_sdk::{Code, Fault, Secret, Written};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use redis::IntoConnectionInfo;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// Where a store is: `sqlite://PATH`, `sqlite::memory:`, `postgres://…`, `redis://…` or `redis+unix://…`. Relative paths are resolved against
/// the folder of the main configuration file.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    written: Secret,
    pub store: StoreKind,
}

/// What kind of store it is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreKind {
    SqliteFile(PathBuf),
    SqliteMemory,
    Postgres,
    Redis,
}

impl StoreUrl {
    /// The same store with its files, if it has some, as absolute paths. A relative path starts in `folder`, which must be
    /// absolute and free of symbolic links.
    #[must_use]
    pub fn resolved(&self, folder: &Path) -> Self {
        match &self.store {
            StoreKind::SqliteFile(path) => self.with_file(resolve(path, folder)),
            StoreKind::Postgres => self.with_certificates(folder),
            _ => self.clone(),
        }
    }

    /// The same database, whose certificates are found from everywhere.
    fn with_certificates(&self, folder: &Path) -> Self {
        let Some((place, query)) = self.expose().split_once('?') else { return self.clone() };
        let options = query.split('&').map(|option| match option.split_once('=') {
            Some((name, value)) if FILES.contains(&name) && value != "system" => {
                let path = percent_decode_str(value).decode_utf8_lossy();
                let path = resolve(Path::new(&*path), folder).display().to_string();
                format!("{name}={}", utf8_percent_encode(&path, IN_PATH))
            }
            _ => option.to_owned(),
        });
        let text = format!("{place}?{}", options.collect::<Vec<_>>().join("&"));
        Self { written: Secret::new(text), store: StoreKind::Postgres }
    }

    /// A SQLite store in another file.
    #[must_use]
    pub fn with_file(&self, file: PathBuf) -> Self {
        Self { written: self.written.clone(), store: StoreKind::SqliteFile(file) }
    }

    /// The URL as written. It may contain a password.
    pub fn expose(&self) -> &str {
        self.written.expose()
    }

    /// The URL as written, but without passwords.
    pub fn without_password(&self) -> String {
        let (place, query) = self.expose().split_once('?').map_or((self.expose(), None), |(a, b)| (a, Some(b)));
        let place = match place.split_once("//").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
            Some((scheme, Some((user, host)))) => {
                format!("{scheme}//{}@{host}", user.split(':').next().unwrap_or_default())
            }
            _ => place.to_owned(),
        };
        let options = query.unwrap_or_default().split('&').filter(|option| !option.is_empty());
        let options: Vec<_> = options.filter(|option| !option.starts_with("pass")).collect();
        if options.is_empty() { place } else { format!("{place}?{}", options.join("&")) }
    }

    /// Whether a password may be in `url`, so that it must not be shown. The path of a SQLite file is no secret.
    pub fn may_hold_password(url: &str) -> bool {
        url.contains('@') || url.contains("pass")
    }

    /// What tells resolved stores apart: two with the same key are one store.
    pub fn key(&self) -> Cow<'_, str> {
        match &self.store {
            StoreKind::SqliteFile(file) => Cow::Owned(format!("sqlite {}", file.display())),
            _ => Cow::Borrowed(self.written.expose()),
        }
    }
}

/// What is written with `%` in the path of an option.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Only the steps at the start of `path` are taken: what `..` means later on depends on symbolic links.
fn resolve(path: &Path, folder: &Path) -> PathBuf {
    let (mut resolved, mut rest) = (folder.to_owned(), path.components());
    loop {
        let before = rest.as_path();
        match rest.next() {
            Some(Component::CurDir) => {}
            Some(Component::ParentDir) => drop(resolved.pop()),
            _ => return resolved.join(before),
        }
    }
}

const WAYS: &str = "write `sqlite://data/gatewright.db` or `sqlite::memory:`";
const SCHEMES: &str = "write `sqlite://data/gatewright.db` or `postgres://HOST/DATABASE` for resources, or \
                       `redis://127.0.0.1:6379` for limits";
const REDIS: &str = "write `redis://HOST:PORT/DATABASE`, or `redis+unix:///run/redis.sock`";
const MEMORY: &str = "write `sqlite::memory:`";
const PATH: &str = "write only the path, such as `sqlite://data/gatewright.db`";

impl FromStr for StoreUrl {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let store = match text.split_once(':') {
            Some(("sqlite", rest)) => sqlite(rest),
            // The environment is looked at when the store is opened.
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                PostgresUrl::read(text, |_| None).map(|_| StoreKind::Postgres)
            }
            Some((scheme, _)) if REDIS_SCHEMES.contains(&scheme) => redis(text),
            _ => Err(("`url` does not start with a supported scheme", SCHEMES)),
        };
        let store = store.map_err(|(message, help)| Fault::new("", message).code(Code::STORE_URL).help(help))?;
        Ok(Self { written: Secret::new(text), store })
    }
}

/// Reads what follows `sqlite:`.
fn sqlite(rest: &str) -> Result<StoreKind, (&'static str, &'static str)> {
    if rest == ":memory:" {
        return Ok(StoreKind::SqliteMemory);
    }
    // Other programs write it with slashes, `file:` or options. As a path each connection would have its own.
    if rest.to_ascii_lowercase().contains(":memory:") {
        return Err(("not a valid `url` for an in-memory store", MEMORY));
    }
    let Some(path) = rest.strip_prefix("//") else {
        return Err(("`url` must have the form `sqlite://PATH`", WAYS));
    };
    let (file, options) = path.split_once('?').map_or((path, None), |(file, options)| (file, Some(options)));
    if file.is_empty() || file.ends_with('/') || file.contains('\0') {
        Err(("`url` is missing a file path", WAYS))
    } else if file.starts_with("file:") {
        Err(("`file:` is not supported in `url`", PATH))
    } else if options.is_some() {
        Err(("options after `?` are not supported in `url`", PATH))
    } else {
        Ok(StoreKind::SqliteFile(file.into()))
    }
}

/// Valkey speaks the same protocol.
const REDIS_SCHEMES: [&str; 6] = ["redis", "rediss", "redis+unix", "valkey", "valkeys", "valkey+unix"];

fn redis(text: &str) -> Result<StoreKind, (&'static str, &'static str)> {
    let Ok(url) = Url::parse(text) else { return Err(("`url` is not a valid Redis URL", REDIS)) };
    let (unix, path) = (url.scheme().ends_with("+unix"), url.path().trim_start_matches('/'));
    if unix && path.is_empty() {
        return Err(("`url` is missing the path of the socket", REDIS));
    }
    if !unix && url.host_str().is_none_or(str::is_empty) {
        return Err(("`url` is missing a host", REDIS));
    }
    if !unix && !path.is_empty() && path.parse::<u16>().is_err() {
        return Err(("the database in `url` is not a number", REDIS));
    }
    let known: &[&str] = if unix { &["db", "user", "pass", "protocol"] } else { &["protocol"] };
    if url.query_pairs().any(|(name, _)| !known.contains(&&*name)) {
        return Err(("an option after `?` in `url` is not supported", REDIS));
    }
    if url.fragment().is_some() {
        return Err(("`#` is not supported in `url`", "write `%23` for a `#` in a password"));
    }
    if text.into_connection_info().is_err() {
        return Err(("`url` is not a valid Redis URL", REDIS));
    }
    Ok(StoreKind::Redis)
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl Written for StoreUrl {
    const FORMAT: &'static str = "store-url";
    const STAND_IN: Option<&'static str> = Some("sqlite::memory:");
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer)?.expose().parse().map_err(|fault: Fault| de::Error::custom(fault.message))
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.written.expose();
        serializer.serialize_str(if Self::may_hold_password(text) { "***" } else { text })
    }
}

impl JsonSchema for StoreUrl {
    fn schema_name() -> Cow<'static, str> {
        Self::FORMAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": Self::FORMAT })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_which_store_it_is() {
        for good in ["sqlite::memory:", "sqlite://data/x.db", "sqlite:///nowhere/at/all.db", "postgres://h/db"] {
            assert!(good.parse::<StoreUrl>().is_ok(), "{good}");
        }
        for good in [
            "redis://127.0.0.1",
            "redis://:secret@h:6379/1",
            "rediss://user:p%23@h:6380",
            "valkey://[::1]:6379",
            "redis+unix:///run/redis.sock?db=1&pass=x",
        ] {
            assert!(good.parse::<StoreUrl>().is_ok(), "{good}");
        }
        for (bad, message) in [
            ("", "does not start with a supported scheme"),
            ("data/a.db", "does not start with a supported scheme"),
            ("mysql://root:hunter2@h/db", "does not start with a supported scheme"),
            ("redis:", "is missing a host"),
            ("redis://", "is missing a host"),
            ("redis:///0", "is missing a host"),
            ("redis://h:99999", "is not a valid Redis URL"),
            ("redis://h/0?db=1", "an option after `?` in `url` is not supported"),
            ("redis://h/main", "the database in `url` is not a number"),
            ("rediss://h/#insecure", "`#` is not supported"),
            ("redis+unix://", "is missing the path of the socket"),
            ("sqlite:", "must have the form `sqlite://PATH`"),
            ("sqlite:a.db", "must have the form `sqlite://PATH`"),
            ("sqlite://", "is missing a file path"),
            ("sqlite://x/", "is missing a file path"),
            ("sqlite://?mode=ro", "is missing a file path"),
            ("sqlite://x.db?mode=ro", "options after `?` are not supported"),
            ("sqlite://file:a.db", "`file:` is not supported"),
            ("sqlite://:memory:", "not a valid `url` for an in-memory store"),
            ("sqlite://file::memory:?cache=shared", "not a valid `url` for an in-memory store"),
            ("sqlite::MEMORY:", "not a valid `url` for an in-memory store"),
        ] {
            let fault = bad.parse::<StoreUrl>().unwrap_err();
            assert!(fault.message.contains(message), "{bad}: {fault}");
            assert!(fault.help.is_some_and(|help| help.starts_with("write ")), "{bad}");
        }
    }

    #[test]
    fn a_relative_path_starts_in_the_folder_of_the_configuration() {
        for (url, file) in [
            ("sqlite://data/x.db", "/etc/gatewright/data/x.db"),
            ("sqlite://./x.db", "/etc/gatewright/x.db"),
            ("sqlite://../../var/x.db", "/var/x.db"),
            ("sqlite://../../../../x.db", "/x.db"),
            ("sqlite://a/../x.db", "/etc/gatewright/a/../x.db"),
            ("sqlite:///var/../x.db", "/var/../x.db"),
        ] {
            let url = url.parse::<StoreUrl>().unwrap().resolved(Path::new("/etc/gatewright"));
            assert_eq!(url.key(), format!("sqlite {file}"));
        }
        assert_eq!("sqlite::memory:".parse::<StoreUrl>().unwrap().resolved(Path::new("/x")).key(), "sqlite::memory:");
        for (url, resolved) in [
            (
                "postgres://h/db?sslrootcert=ca.pem&sslmode=require",
                "postgres://h/db?sslrootcert=/etc/gw/ca.pem&sslmode=require",
            ),
            ("postgres://h/db?sslcert=../my%20cert&sslkey=/k", "postgres://h/db?sslcert=/etc/my%20cert&sslkey=/k"),
            (
                "postgres://h/db?sslmode=verify-full&sslrootcert=system",
                "postgres://h/db?sslmode=verify-full&sslrootcert=system",
            ),
        ] {
            assert_eq!(url.parse::<StoreUrl>().unwrap().resolved(Path::new("/etc/gw")).key(), resolved);
        }
    }

    #[test]
    fn nothing_of_it_is_shown() {
        for url in [
            "postgres://root:hunter2@h/db",
            "postgres://h/db?password=hunter2",
            "redis://:hunter2@h",
            "redis+unix:///r.sock?pass=hunter2",
        ] {
            let url: StoreUrl = url.parse().unwrap();
            assert!(!format!("{url:?} {}", serde_json::to_string(&url).unwrap()).contains("hunter2"));
        }
        for (url, shown) in [
            ("postgres://app:hunter2@h:1/db?sslmode=require", "postgres://app@h:1/db?sslmode=require"),
            ("postgres://h/db?user=app&password=hunter2", "postgres://h/db?user=app"),
            ("postgres://", "postgres://"),
        ] {
            assert_eq!(url.parse::<StoreUrl>().unwrap().without_password(), shown);
        }
        let url: StoreUrl = "sqlite://data/a.db".parse().unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"sqlite://data/a.db\"", "no password can be in it");
        for bad in ["hunter2", "mysql://hunter2@h", "sqlite:hunter2", "sqlite://hunter2?hunter2", "hunter2://hunter2"] {
            assert!(!format!("{:?}", bad.parse::<StoreUrl>().unwrap_err()).contains("hunter2"), "{bad}");
        }
        let read = serde_json::from_str::<StoreUrl>("\"hunter2://\"").unwrap_err();
        assert!(!read.to_string().contains("hunter2"));
    }
}
