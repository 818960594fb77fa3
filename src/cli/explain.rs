//! `gatewright explain`: where a request goes and why, from the file alone.

use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{Format, fail, write, write_json};
use crate::engine::explain::Question;
use crate::engine::registry::Registry;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::process::ExitCode;

/// The request to explain.
#[derive(Args)]
pub struct Explain {
    /// Method, such as GET.
    #[arg(value_name = "METHOD")]
    method: Method,
    /// URL or path, such as `https://api.example.com/orders` or `/api/users/7`.
    #[arg(value_name = "URL")]
    url: Uri,
    #[command(flatten)]
    file: ConfigurationFile,
    /// Header of the request (repeatable).
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Listener that receives the request [default: the first].
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, hide = true, conflicts_with = "format")]
    json: bool,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `NAME: VALUE`")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a valid header name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "not a valid header value".to_owned())?;
    Ok((name, value))
}

impl Explain {
    pub fn print(&self, registry: Registry) -> ExitCode {
        let compiled = match self.file.valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        let (method, uri, listener) = (&self.method, &self.url, self.listener.as_deref());
        match snapshot.explain(&Question { listener, method, uri, headers: &headers }) {
            Ok(explanation) if self.json || self.format == Format::Json => write_json(&explanation),
            Ok(explanation) => write(&explanation.to_string()),
            Err(message) => fail(&message),
        }
    }
}
