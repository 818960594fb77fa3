//! `gatewright explain`: why a request goes where it goes, from the file alone.

use crate::cli::output::{say, write};
use crate::engine::compiler::Compilation;
use crate::engine::explain::Question;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::process::ExitCode;

/// The request that is asked about.
#[derive(Args)]
pub struct Asked {
    /// The method, such as GET.
    #[arg(value_name = "METHOD")]
    method: Method,
    /// The URL, or the path alone: `/api/users/7`, `https://api.example.com/orders`.
    #[arg(value_name = "URL")]
    url: Uri,
    /// A header field of the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The listener that the request comes in on. Without it, the first one.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is not a name of a header field", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "not a value of a header field".to_owned())?;
    Ok((name, value))
}

pub fn print(asked: &Asked, compiled: &Compilation) -> ExitCode {
    let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
    let headers: HeaderMap = asked.headers.iter().cloned().collect();
    let (method, uri, listener) = (&asked.method, &asked.url, asked.listener.as_deref());
    match snapshot.explain(&Question { listener, method, uri, headers: &headers }) {
        Ok(explanation) if asked.json => match serde_json::to_string_pretty(&explanation) {
            Ok(text) => write(&(text + "\n")),
            Err(error) => refuse(&error.to_string()),
        },
        Ok(explanation) => write(&explanation.to_string()),
        Err(message) => refuse(&message),
    }
}

fn refuse(message: &str) -> ExitCode {
    say(&format!("error: {message}\n"));
    ExitCode::FAILURE
}
