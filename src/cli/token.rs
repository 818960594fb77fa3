//! `gatewright token`: a development token for a configured HMAC secret.

use crate::cli::for_people;
use crate::cli::output::{say, write};
use crate::config::document::Document;
use crate::engine::compiler::Compiler;
use crate::engine::registry::Registry;
use clap::Args;
use gatewright_sdk::HumanDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub struct Wanted {
    /// The configuration.
    #[arg(long = "config", value_name = "FILE", env = "GATEWRIGHT_CONFIG", default_value = "config/gateway.yaml")]
    file: std::path::PathBuf,
    /// Whom the token is about (`sub`).
    #[arg(long)]
    sub: String,
    /// A role it carries (`roles`); can be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A scope it carries (`scope`); can be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Another claim, as NAME=VALUE; the value is read as JSON, or else as text.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// How long it is valid.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: HumanDuration,
    /// The name of the jwt plugin, where there are several.
    #[arg(long)]
    plugin: Option<String>,
}

fn duration(text: &str) -> Result<HumanDuration, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

pub fn print(wanted: &Wanted, registry: Registry) -> ExitCode {
    let compiled = Compiler::new(&wanted.file, registry).compile(1);
    let Some(snapshot) = &compiled.snapshot else {
        say(&compiled.sources.render(&compiled.diagnostics, for_people()));
        return ExitCode::FAILURE;
    };
    match token(wanted, &snapshot.plan.document) {
        Ok(token) => write(&format!("{token}\n")),
        Err(message) => {
            say(&format!("no token: {message}\n"));
            ExitCode::FAILURE
        }
    }
}

fn token(wanted: &Wanted, document: &Document) -> Result<String, String> {
    if document.is_production() {
        return Err("this configuration says `environment: production`; tokens come from the identity provider".into());
    }
    let settings = settings(wanted, document)?;
    let secret = settings.get("secret").and_then(Value::as_str);
    let secret = secret.ok_or("the plugin has no HMAC `secret`; only its key holder can sign tokens")?;
    let algorithm = settings.get("algorithms").and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or("HS256");
    let algorithm = Algorithm::from_str(algorithm).map_err(|error| error.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(wanted.sub));
    claims.insert("iss".into(), settings.get("issuer").cloned().unwrap_or_default());
    claims.insert("aud".into(), settings.get("audiences").and_then(|list| list.get(0)).cloned().unwrap_or_default());
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
        let (name, value) = claim.split_once('=').ok_or_else(|| format!("`{claim}` is not NAME=VALUE"))?;
        claims.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).map_err(|error| error.to_string())
}

fn settings<'a>(wanted: &Wanted, document: &'a Document) -> Result<&'a Map<String, Value>, String> {
    let mut plugins = document.plugins.iter().filter(|(_, spec)| spec.kind == "jwt");
    let found = match &wanted.plugin {
        Some(name) => {
            plugins.find(|(known, _)| known == name).ok_or_else(|| format!("`{name}` is not a jwt plugin"))?
        }
        None => {
            let all: Vec<_> = plugins.collect();
            match all.as_slice() {
                [one] => *one,
                [] => return Err("the configuration has no jwt plugin".into()),
                many => {
                    let names: Vec<_> = many.iter().map(|(name, _)| *name).collect();
                    return Err(format!("say which one with --plugin: {}", names.join(", ")));
                }
            }
        }
    };
    found.1.settings.as_object().ok_or_else(|| "its settings are not a map".into())
}
