//! `gatewright token`: a development token for a configured HMAC secret.

use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{fail, say, write};
use crate::config::document::Document;
use crate::config::sources::Sources;
use crate::config::tree::{Node, Origin};
use crate::engine::registry::Registry;
use clap::{Args, ValueHint};
use gatewright_sdk::HumanDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub struct Wanted {
    #[command(flatten)]
    file: ConfigurationFile,
    /// The same as FILE.
    #[arg(long = "config", value_name = "FILE", hide = true, conflicts_with = "file", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Subject (`sub` claim).
    #[arg(long)]
    sub: String,
    /// Role to add (`roles` claim, repeatable).
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Scope to add (`scope` claim, repeatable).
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Another claim (repeatable). The value is JSON; if it is not valid JSON, it is used as text.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// How long the token is valid.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: HumanDuration,
    /// Name of the jwt plugin, if several are configured.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

fn duration(text: &str) -> Result<HumanDuration, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

pub fn print(wanted: &Wanted, registry: Registry) -> ExitCode {
    let file = match &wanted.config {
        Some(file) => &ConfigurationFile::new(Some(file.clone())),
        None => &wanted.file,
    };
    let compiled = match file.valid(registry) {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
    let document = &snapshot.plan.document;
    match chosen(wanted, document).and_then(|(name, settings)| Ok((name, token(wanted, document, settings)?))) {
        Ok((plugin, token)) => {
            if let Some(variable) = unset_variable(plugin, &compiled.sources) {
                say(&format!(
                    "note: {variable} is not set in this shell, so the token is signed with the default value in the \
                     file; the running gateway may use another value\n"
                ));
            }
            write(&format!("{token}\n"))
        }
        Err(message) => fail(&message),
    }
}

/// The variable whose default is the secret of `plugin`, if the file uses one that is not set.
fn unset_variable<'a>(plugin: &str, sources: &'a Sources) -> Option<&'a str> {
    let settings = sources.tree().get("plugins")?.get(plugin)?.get("jwt")?;
    let issuers = settings.get("issuers").map_or(&[][..], Node::items);
    let secret = settings.get("secret").or_else(|| issuers.iter().find_map(|issuer| issuer.get("secret")))?;
    let Origin::Expanded(written) = &secret.origin else { return None };
    let (name, _) = written.strip_prefix("${env.")?.split_once(":-")?;
    std::env::var_os(name).is_none_or(|value| value.is_empty()).then_some(name)
}

fn token(wanted: &Wanted, document: &Document, settings: &Map<String, Value>) -> Result<String, String> {
    if document.is_production() {
        let message = "development tokens are not available with `environment: production`; use your identity provider";
        return Err(message.into());
    }
    let (issuer, secret) = with_secret(settings)
        .ok_or("the jwt plugin has no HMAC `secret`, so only the holder of its private key can sign tokens")?;
    // An issuer without these has those of the plugin.
    let first = |name: &str| {
        let first = |settings: &Map<String, Value>| settings.get(name).and_then(|list| list.get(0)).cloned();
        first(issuer).or_else(|| first(settings)).unwrap_or_default()
    };
    let algorithm = Algorithm::from_str(first("algorithms").as_str().unwrap_or("HS256"));
    let algorithm = algorithm.map_err(|error| error.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(wanted.sub));
    claims.insert("iss".into(), issuer.get("issuer").cloned().unwrap_or_default());
    claims.insert("aud".into(), first("audiences"));
    claims.insert("iat".into(), json!(now));
    claims.insert("nbf".into(), json!(now));
    claims.insert("exp".into(), json!(now + wanted.ttl.get().as_secs()));
    if !wanted.roles.is_empty() {
        claims.insert("roles".into(), json!(wanted.roles));
    }
    if !wanted.scopes.is_empty() {
        claims.insert("scope".into(), json!(wanted.scopes.join(" ")));
    }
    for claim in &wanted.claims {
        let (name, value) =
            claim.split_once('=').ok_or_else(|| format!("`{claim}` is not a valid claim; write NAME=VALUE"))?;
        claims.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).map_err(|error| error.to_string())
}

/// The settings of the issuer that has an HMAC secret, and the secret: the plugin's, or that of the first in `issuers`.
fn with_secret(settings: &Map<String, Value>) -> Option<(&Map<String, Value>, &str)> {
    let secret = |issuer: &'_ Map<String, Value>| issuer.get("secret").is_some_and(Value::is_string);
    let issuers = settings.get("issuers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let issuer = std::iter::once(settings).chain(issuers).find(|issuer| secret(issuer))?;
    Some((issuer, issuer.get("secret")?.as_str()?))
}

/// The jwt plugin that the token is for, with its settings.
fn chosen<'a>(wanted: &Wanted, document: &'a Document) -> Result<(&'a str, &'a Map<String, Value>), String> {
    let plugins: Vec<_> = document.plugins.iter().filter(|(_, spec)| spec.kind == "jwt").collect();
    let names = || plugins.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = match (&wanted.plugin, plugins.as_slice()) {
        (_, []) => return Err("the configuration has no jwt plugin".into()),
        (Some(wanted), _) => plugins
            .iter()
            .find(|(name, _)| name == wanted)
            .ok_or_else(|| format!("`{wanted}` is not the name of a jwt plugin; the configuration has {}", names()))?,
        (None, [one]) => one,
        (None, _) => return Err(format!("several jwt plugins are configured; pick one with --plugin ({})", names())),
    };
    let settings = found.1.settings.as_object().ok_or("the settings of the jwt plugin are not a map")?;
    Ok((found.0, settings))
}
