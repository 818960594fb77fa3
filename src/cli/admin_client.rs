//! The admin API of a running gateway, for `status` and `reload`: its address, its token, and one request to it.

use crate::cli::address::{self, Address, AddressArgument};
use crate::cli::admin_token;
use crate::cli::client::{Call, Reply, trust};
use crate::cli::configuration::{ConfigurationFile, is_stream, maybe_path};
use crate::config::document::process::Admin;
use crate::config::schema::ConfigSchema;
use crate::config::{environment, load};
use crate::engine::registry::Registry;
use crate::tls::trust::Trust;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueHint};
use gatewright_sdk::Secret;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub struct AdminAccess {
    #[command(flatten)]
    file: ConfigurationFile,
    /// Admin address of the gateway; `unix:PATH` for a Unix socket [default: `admin.address` in the configuration].
    #[arg(long, value_name = "HOST:PORT", env = "GATEWRIGHT_ADMIN_ADDRESS")]
    #[arg(value_parser = address::without_path)]
    address: Option<AddressArgument>,
    /// PEM file with the certificate of the gateway, or of the authority that signed it, for https [default: the certificate
    /// in `admin.tls`, or the authorities that browsers trust].
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_CA_FILE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = maybe_path())]
    ca_file: Option<PathBuf>,
    /// Admin token [default: `admin.token` in the configuration, or else the token file of the running gateway].
    #[arg(long, value_name = "TOKEN", env = "GATEWRIGHT_ADMIN_TOKEN", hide_env_values = true)]
    #[arg(value_parser = secret)]
    token: Option<Secret>,
}

/// The origin of a token in the file.
const OF_FILE: &str = "`admin.token`";

/// The admin API of a gateway.
pub struct AdminClient {
    address: Address,
    trust: Trust,
    token: Secret,
    /// Where the token comes from, for messages.
    origin: String,
    /// What to do if nothing responds, and if the token is wrong.
    help: (&'static str, &'static str),
}

/// The file may be newer than what the gateway runs with.
const OTHER_ADDRESS: &str = "\n  help: start one with `gatewright`, or give its address with --address: after a rejected edit, the running gateway \
                             still has the previous `admin.address`";
const OTHER_TOKEN: &str =
    "\n  help: after a rejected edit, the running gateway still has the previous `admin.token`; give that with --token";

impl AdminAccess {
    /// Finds the address and the token.
    pub fn find(&self, registry: &Registry) -> anyhow::Result<AdminClient> {
        let settings = self.settings(registry)?;
        let (admin, file) = settings.clone().unwrap_or_default();
        let folder = std::path::absolute(&file).ok().and_then(|file| Some(file.parent()?.to_owned()));
        let scheme = if admin.tls.is_some() { "https" } else { "http" };
        let configured = Address::of(scheme, &admin.address.below(&folder.unwrap_or_default()));
        let given = trust(self.ca_file.as_deref())?;
        let address = match self.address() {
            // The argument with a socket has no scheme.
            Some(address)
                if given.is_some()
                    || (configured.url.scheme_str() == Some("https") && configured.id() == address.id()) =>
            {
                address.over_tls()
            }
            Some(address) => address.clone(),
            None => configured,
        };
        let trust = match given {
            Some(trust) => trust,
            None => certificate(settings.as_ref())?.unwrap_or_default(),
        };
        let from_file = settings.is_some();
        let (token, origin) = self.token(&address, settings)?;
        let of_address = if from_file && self.address().is_none() { OTHER_ADDRESS } else { "" };
        let of_token = if origin.starts_with(OF_FILE) { OTHER_TOKEN } else { "" };
        Ok(AdminClient { address, trust, token, origin, help: (of_address, of_token) })
    }

    fn address(&self) -> Option<&Address> {
        self.address.as_ref().and_then(AddressArgument::address)
    }

    /// The section `admin` of the configuration, and the name of its file. Other errors in the file
    /// do not matter: a reload reports them.
    fn settings(&self, registry: &Registry) -> anyhow::Result<Option<(Admin, String)>> {
        let file = match self.file.find() {
            Ok(file) if is_stream(&file) => bail!(
                "`-` and pipes are not supported here; name the file of the running gateway, or use --address and --token"
            ),
            Ok(file) => file,
            // Without a file there are the defaults.
            Err(_) => return Ok(None),
        };
        let loaded = load(&file, &environment(), &ConfigSchema::new(registry.kinds()));
        let shown = file.display().to_string();
        match loaded.document {
            Some(document) => match document.admin {
                Some(admin) => Ok(Some((admin, shown))),
                None if self.address().is_some() => Ok(None),
                None if loaded.sources.tree().get("admin").is_none() => bail!(
                    "{shown} has no `admin` section, so a gateway with this file has no admin API\n  \
                     help: add the section (`admin: {{}}`); after a rejected edit, --address and --token still reach the running gateway"
                ),
                None => bail!(
                    "{shown} has no valid `admin` section; `gatewright check {shown}` reports why (a file with the token that \
                     this user may not read, for example), and --address and --token name the gateway"
                ),
            },
            // The default address could be that of another gateway.
            None if file.exists() && self.address().is_none() => bail!(
                "{shown} cannot be parsed, so the address of its gateway is unknown; `gatewright check {shown}` reports \
                 why, and --address names the gateway"
            ),
            None if file.exists() => Ok(None),
            None => bail!("{shown} does not exist"),
        }
    }

    fn token(&self, address: &Address, settings: Option<(Admin, String)>) -> anyhow::Result<(Secret, String)> {
        if let Some(token) = self.token.as_ref().filter(|token| !token.expose().is_empty()) {
            return Ok((token.clone(), "--token or GATEWRIGHT_ADMIN_TOKEN".to_owned()));
        }
        if let Some((Some(token), file)) = settings.map(|(admin, file)| (admin.token, file)) {
            return Ok((token, format!("{OF_FILE} of {file}")));
        }
        let path = admin_token::path(&address.id());
        let path = path.context("no admin token is known; give it with --token or GATEWRIGHT_ADMIN_TOKEN")?;
        let (shown, address) = (path.display(), address.place());
        let token = admin_token::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "no gateway of this user is running at the admin address {address}: {shown} does not exist\n  \
                 help: start one with `gatewright`, or give its address and token with --address and --token; after a rejected edit, \
                 the running gateway still has the previous ones"
            ),
            _ => anyhow!("cannot read the admin token from {shown}: {error}"),
        })?;
        Ok((token, shown.to_string()))
    }
}

/// The certificate in `admin.tls` of the file.
fn certificate(settings: Option<&(Admin, String)>) -> anyhow::Result<Option<Trust>> {
    let Some((Admin { tls: Some(tls), .. }, file)) = settings else { return Ok(None) };
    let folder = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
    trust(Some(&folder.join(tls.cert_file.path())))
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

impl AdminClient {
    /// The address as people write it.
    pub fn address(&self) -> String {
        self.address.place()
    }

    /// Sends a request. Fails unless the response is JSON and its status one of `expected`.
    pub fn send(
        &self,
        method: Method,
        path: &'static str,
        patience: Duration,
        expected: &[StatusCode],
    ) -> anyhow::Result<(StatusCode, Value)> {
        let address = self.address.at_path(path)?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .with_context(|| format!("the admin token ({}) is not allowed in a header value", self.origin))?;
        authorization.set_sensitive(true);
        let (trust, authorization) = (&self.trust, Some(authorization));
        let call = Call { method, address: &address, http2: false, trust, authorization, patience };
        let (silent, wrong) = self.help;
        let reply = call.send().map_err(|error| anyhow!("{error:#}{silent}"))?;
        if reply.status == StatusCode::UNAUTHORIZED {
            bail!("the gateway at {} rejected the admin token from {}{wrong}", self.address(), self.origin);
        }
        match serde_json::from_slice(&reply.body) {
            Ok(body) if expected.contains(&reply.status) => Ok((reply.status, body)),
            _ => Err(self.unexpected(&reply)),
        }
    }

    fn unexpected(&self, reply: &Reply) -> anyhow::Error {
        let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let message = body.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str).unwrap_or_default();
        let colon = if message.is_empty() { "" } else { ": " };
        anyhow!("{} responded {}{colon}{message}; is it the admin address of a gateway?", self.address(), reply.status)
    }
}
