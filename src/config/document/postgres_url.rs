//! Connection strings of PostgreSQL, as libpq reads them: URL, `sslmode`, and the variables `PG*`.

use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// A parsed connection string.
#[derive(Debug, Clone)]
pub struct PostgresUrl {
    pub config: Config,
    pub verify: Verify,
    /// The authorities that may sign the server's certificate; without it, those that browsers trust.
    pub root_file: Option<PathBuf>,
    /// The certificate that shows the server who this is, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What is checked of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    Nothing,
    /// Who signed it.
    Authority,
    /// Who signed it, and the name.
    Full,
}

const WAYS: &str = "write `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`";
const MODES: &str = "use `disable`, `prefer`, `require`, `verify-ca`, or `verify-full`";
const ROOT: &str = "add `sslrootcert=FILE` with the authorities to trust, or use `sslmode=verify-full`";

const IDENTITY: &str = "name both files: the certificate and its private key";
const PORT: UrlFault = ("the variable `PGPORT` is not a port", "set it to a port such as 5432");

/// A fault: the message, and what to write instead.
pub type UrlFault = (&'static str, &'static str);

impl PostgresUrl {
    /// Reads a URL. What it does not say comes from `variable`: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`,
    /// `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT`, `PGSSLKEY`, `PGAPPNAME`, `PGCONNECT_TIMEOUT` and `PGOPTIONS`.
    pub fn read(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, UrlFault> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let authority = place.split_once("//").map_or("", |(_, rest)| rest);
        if authority.matches('@').count() > 1 {
            return Err(("`url` has more than one `@`", "write `%40` for an `@` in the password"));
        }
        let (mut mode, mut root) = (variable("PGSSLMODE"), variable("PGSSLROOTCERT"));
        let (mut certificate, mut key) = (variable("PGSSLCERT"), variable("PGSSLKEY"));
        let mut rest = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or(("an option after `?` in `url` has no value", WAYS))?;
            let value = || percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => mode = Some(value()),
                "sslrootcert" => root = Some(value()),
                "sslcert" => certificate = Some(value()),
                "sslkey" => key = Some(value()),
                _ => rest.push(option),
            }
        }
        let rest = rest.join("&");
        let has_port = rest.split('&').any(|option| option.starts_with("port="));
        let port =
            variable("PGPORT").filter(|_| !has_port).map(|port| port.parse::<u16>().map_err(|_| PORT)).transpose()?;
        let place = port.map_or_else(|| place.to_owned(), |port| with_port(place, port));
        let plain = if rest.is_empty() { place } else { format!("{place}?{rest}") };
        let mut config: Config = plain.parse().map_err(|_| ("`url` is not a valid PostgreSQL URL", WAYS))?;
        let root_file = root.filter(|root| root != "system").map(PathBuf::from);
        let (tls, verify) = match mode.as_deref().unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Verify::Nothing),
            "allow" | "prefer" => (SslMode::Prefer, Verify::Nothing),
            // As libpq does, for compatibility with its older versions.
            "require" if root_file.is_some() => (SslMode::Require, Verify::Authority),
            "require" => (SslMode::Require, Verify::Nothing),
            "verify-ca" if root_file.is_none() => return Err(("`sslmode=verify-ca` requires `sslrootcert`", ROOT)),
            "verify-ca" => (SslMode::Require, Verify::Authority),
            "verify-full" => (SslMode::Require, Verify::Full),
            _ => return Err(("`sslmode` is not valid", MODES)),
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(("`sslcert` requires `sslkey`", IDENTITY)),
            (None, Some(_)) => return Err(("`sslkey` requires `sslcert`", IDENTITY)),
        };
        config.ssl_mode(tls);
        fill(&mut config, variable)?;
        Ok(Self { config, verify, root_file, identity })
    }

    /// What tells databases apart: where it is, and what else decides which tables are found. Whoever connects, and how it is
    /// encrypted, is not part of it.
    pub fn database(&self) -> String {
        let Self { config, .. } = self;
        let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
        format!(
            "{:?} {:?} {:?} {name} {:?}",
            config.get_hosts(),
            config.get_hostaddrs(),
            config.get_ports(),
            config.get_options()
        )
    }

    /// Where it is, without secrets: `HOST:PORT/DATABASE`.
    pub fn place(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let host = self.config.get_hosts().first().map_or_else(String::new, |host| match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => path.display().to_string(),
        });
        format!("{host}/{}", self.config.get_dbname().or(self.config.get_user()).unwrap_or_default())
    }
}

/// The options that are files.
pub const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// A URL without its options, whose hosts have a port each.
fn with_port(place: &str, port: u16) -> String {
    let Some((scheme, rest)) = place.split_once("//") else { return place.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (user, hosts) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let hosts = hosts.split(',').map(|host| {
        // Not within the brackets of an address of IPv6.
        let named = host.rsplit(']').next().unwrap_or_default();
        if host.is_empty() || named.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
    });
    format!("{scheme}//{user}{}{path}", hosts.collect::<Vec<_>>().join(","))
}

/// Takes what the URL does not say from the environment.
fn fill(config: &mut Config, variable: impl Fn(&str) -> Option<String>) -> Result<(), UrlFault> {
    if config.get_hosts().is_empty() {
        config.host(variable("PGHOST").unwrap_or_else(|| "localhost".to_owned()));
    }
    if config.get_ports().is_empty()
        && let Some(port) = variable("PGPORT")
    {
        config.port(port.parse().map_err(|_| PORT)?);
    }
    if config.get_user().is_none()
        && let Some(user) = variable("PGUSER")
    {
        config.user(user);
    }
    if config.get_password().is_none()
        && let Some(password) = variable("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none()
        && let Some(name) = variable("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_options().is_none()
        && let Some(options) = variable("PGOPTIONS")
    {
        config.options(options);
    }
    if config.get_application_name().is_none() {
        config.application_name(variable("PGAPPNAME").unwrap_or_else(|| "gatewright".to_owned()));
    }
    if config.get_connect_timeout().is_none() {
        let seconds = variable("PGCONNECT_TIMEOUT").and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        config.connect_timeout(Duration::from_secs(seconds.unwrap_or(5)));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PostgresUrl, UrlFault> {
        PostgresUrl::read(text, |_| None)
    }

    #[test]
    fn sslmode_means_what_it_means_to_libpq() {
        for (mode, tls, verify) in [
            ("disable", SslMode::Disable, Verify::Nothing),
            ("prefer", SslMode::Prefer, Verify::Nothing),
            ("require", SslMode::Require, Verify::Nothing),
            ("require&sslrootcert=ca.pem", SslMode::Require, Verify::Authority),
            ("verify-ca&sslrootcert=ca.pem", SslMode::Require, Verify::Authority),
            ("verify-full", SslMode::Require, Verify::Full),
            ("verify-full&sslrootcert=system", SslMode::Require, Verify::Full),
        ] {
            let url = read(&format!("postgres://app@db/users?sslmode={mode}")).unwrap();
            assert_eq!((url.config.get_ssl_mode(), url.verify), (tls, verify), "{mode}");
        }
        for (bad, message) in [
            ("postgres://db/users?sslmode=verify-ca", "requires `sslrootcert`"),
            ("postgres://db/users?sslmode=yes", "`sslmode` is not valid"),
            ("postgres://db/users?sslcert=a.crt", "`sslcert` requires `sslkey`"),
            ("postgres://db/users?sslkey=a.key", "`sslkey` requires `sslcert`"),
            ("postgres://db:port/users", "is not a valid PostgreSQL URL"),
            ("postgres://db/users?colour=red", "is not a valid PostgreSQL URL"),
            ("postgres://db/users?sslmode", "has no value"),
            ("postgres://app:x@SECRET@db/users", "more than one `@`"),
            ("postgres://app:x/y@SECRET@db/users", "more than one `@`"),
        ] {
            assert!(read(bad).unwrap_err().0.contains(message), "{bad}");
        }
    }

    #[test]
    fn variables_fill_what_the_url_does_not_say() {
        let variables = [
            ("PGHOST", "db.internal"),
            ("PGPORT", "6432"),
            ("PGUSER", "app"),
            ("PGPASSWORD", "hunter2"),
            ("PGDATABASE", "users"),
            ("PGSSLMODE", "require"),
        ];
        let of = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let url = PostgresUrl::read("postgres://", of).unwrap();
        assert_eq!(url.place(), "db.internal:6432/users");
        assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
        for (url, place) in [
            ("postgres://db/x", "db:6432/x"),
            ("postgres://app:p%40:x@db", "db:6432/users"),
            ("postgres://[::1]/x", "::1:6432/x"),
            ("postgres://[::1]:9/x", "::1:9/x"),
            ("postgres://db:9,other/x", "db:9/x"),
            ("postgres:///x?host=db&port=9", "db:9/x"),
            ("postgres:///x", "db.internal:6432/x"),
        ] {
            assert_eq!(PostgresUrl::read(url, of).unwrap().place(), place, "{url}");
        }
        let several = PostgresUrl::read("postgres://db:9,other/x", of).unwrap();
        assert_eq!(several.config.get_ports(), [9, 6432]);
        let url = PostgresUrl::read("postgres://me:x@other:1/mine?sslmode=disable", of).unwrap();
        assert_eq!((url.place().as_str(), url.config.get_user()), ("other:1/mine", Some("me")));
        assert_eq!(url.config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn who_connects_is_not_part_of_which_database_it_is() {
        let of = |text: &str| read(text).unwrap().database();
        let one = of("postgres://app:a@db/users?options=-csearch_path%3Dx");
        assert_eq!(
            one,
            of("postgres://other:b@db:5432/users?sslmode=require&options=-csearch_path%3Dx&connect_timeout=9")
        );
        for other in [
            "postgres://app:a@db2/users?options=-csearch_path%3Dx",
            "postgres://app:a@db:5433/users?options=-csearch_path%3Dx",
            "postgres://app:a@db/users2?options=-csearch_path%3Dx",
            "postgres://app:a@db/users?options=-csearch_path%3Dy",
        ] {
            assert_ne!(one, of(other), "{other}");
        }
        assert_ne!(of("postgres://app@db"), of("postgres://other@db"), "the database has the name of the user");
    }
}
