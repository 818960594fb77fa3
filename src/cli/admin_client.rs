//! How `status` and `reload` find the admin address and the token of a running gateway, and ask it.

use crate::cli::admin_token;
use crate::cli::client::{Call, Reply};
use crate::cli::configuration::{ConfigurationFile, is_stream};
use crate::cli::runtime_file::reachable;
use crate::config::document::process::Admin;
use crate::config::schema::ConfigSchema;
use crate::config::{environment, load};
use crate::engine::registry::Registry;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use gatewright_sdk::Secret;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

#[derive(Args)]
pub struct AdminAccess {
    #[command(flatten)]
    file: ConfigurationFile,
    /// Admin address of the gateway [default: `admin.address` of the configuration].
    #[arg(long, value_name = "HOST:PORT", env = "GATEWRIGHT_ADMIN_ADDRESS")]
    address: Option<String>,
    /// Admin token [default: `admin.token` of the configuration, or else the file that the running gateway writes].
    #[arg(long, value_name = "TOKEN", env = "GATEWRIGHT_ADMIN_TOKEN", hide_env_values = true)]
    #[arg(value_parser = secret)]
    token: Option<Secret>,
}

/// The admin API of a gateway.
pub struct AdminClient {
    url: Uri,
    token: Secret,
    /// Where the token comes from, for people.
    origin: String,
}

impl AdminAccess {
    /// Finds out where to ask, and with which token.
    pub fn find(&self, registry: &Registry) -> anyhow::Result<AdminClient> {
        let settings = self.settings(registry)?;
        let address = match (given(self.address.as_ref()), &settings) {
            (Some(address), _) => address.clone(),
            (None, Some((admin, _))) => reachable(admin.address.0).to_string(),
            (None, None) => reachable(Admin::default().address.0).to_string(),
        };
        let url = url(&address)?;
        let (token, origin) = self.token(&url, settings)?;
        Ok(AdminClient { url, token, origin })
    }

    /// The section `admin` of the configuration, and the name of its file. What else is wrong there is of no interest: a
    /// reload asks for it.
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
                None if given(self.address.as_ref()).is_some() => Ok(None),
                None => bail!("{shown} has no valid `admin` section; give the address of the gateway with --address"),
            },
            None if file.exists() => Ok(None),
            None => bail!("{shown} does not exist"),
        }
    }

    fn token(&self, url: &Uri, settings: Option<(Admin, String)>) -> anyhow::Result<(Secret, String)> {
        if let Some(token) = self.token.as_ref().filter(|token| !token.expose().is_empty()) {
            return Ok((token.clone(), "--token or GATEWRIGHT_ADMIN_TOKEN".to_owned()));
        }
        if let Some((Some(token), file)) = settings.map(|(admin, file)| (admin.token, file)) {
            return Ok((token, format!("`admin.token` of {file}")));
        }
        let path = url.port_u16().and_then(admin_token::path);
        let path = path.context("no admin token is known; give it with --token or GATEWRIGHT_ADMIN_TOKEN")?;
        let (shown, address) = (path.display(), url.authority().map_or("", Authority::as_str));
        let token = admin_token::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "no gateway of this user is running at the admin address {address}: {shown} does not exist\n  \
                 help: start one with `gatewright`, or name its address and token with --address and --token"
            ),
            _ => anyhow!("the admin token cannot be read from {shown}: {error}"),
        })?;
        Ok((token, shown.to_string()))
    }
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// The value of an option, unless it is empty.
fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// `HOST:PORT`, with or without `http://`, as a URL.
fn url(address: &str) -> anyhow::Result<Uri> {
    let wrong = || anyhow!("`{address}` is not a valid admin address; write HOST:PORT");
    let text = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let mut parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
    let authority = parts.authority.as_ref().filter(|authority| authority.port_u16().is_some()).ok_or_else(wrong)?;
    if parts.scheme != Some(Scheme::HTTP) || authority.as_str().contains('@') {
        return Err(wrong());
    }
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|_| wrong())
}

impl AdminClient {
    /// The address as people write it.
    pub fn address(&self) -> &str {
        self.url.authority().map_or("", Authority::as_str)
    }

    /// Sends a request. Fails unless the response is JSON and its status one of `expected`.
    pub fn send(
        &self,
        method: Method,
        path: &'static str,
        patience: Duration,
        expected: &[StatusCode],
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let url = Uri::from_parts(parts)?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .with_context(|| format!("the admin token ({}) is not allowed in a header value", self.origin))?;
        authorization.set_sensitive(true);
        let call = Call { method, url: &url, http2: false, authorization: Some(authorization), patience };
        let reply = call.send()?;
        if reply.status == StatusCode::UNAUTHORIZED {
            bail!("the gateway at {} rejected the admin token, which is from {}", self.address(), self.origin);
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
        anyhow!("{} responds {}{colon}{message}; is it the admin address of a gateway?", self.address(), reply.status)
    }
}
