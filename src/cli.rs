//! The command line: arguments in, exit code out.

mod address;
mod admin_client;
mod admin_token;
mod api_key;
mod check;
mod client;
mod code;
mod color;
mod completions;
mod configuration;
mod db;
mod docs;
mod explain;
mod healthcheck;
mod help;
mod init;
mod man;
mod migrate;
mod openapi;
mod output;
mod reload;
mod resource;
mod routes;
mod runtime_file;
mod schema;
mod serve;
mod status;
mod token;
mod unknown;

use crate::cli::color::{Color, has_color};
use crate::config::report::Rendering;
use crate::engine::registry::Registry;
use clap::{CommandFactory, Parser, Subcommand};
use serve::Run;
use std::process::ExitCode;

/// A single-binary API gateway configured by one YAML file.
///
/// Edit the file while the gateway runs: it applies the change, or rejects it and reports the line.
#[derive(Parser)]
#[command(name = "gatewright", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
#[command(after_help = help::MORE, after_long_help = help::PROGRAM)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// When to use colors.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    color: Color,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (default).
    ///
    /// The gateway watches FILE and all files that it refers to, and applies each edit without dropping requests. An
    /// edit with errors is rejected, and the previous configuration keeps serving.
    #[command(after_help = help::RUN)]
    Run(Run),
    /// Write a first configuration, with comments.
    ///
    /// Writes FILE for an API, a proxy or both, with the schema for editors next to it.
    #[command(after_help = help::INIT)]
    Init(init::Init),
    /// Validate a configuration without opening sockets or databases.
    ///
    /// Runs every check of a reload that needs only the files. Errors and warnings go to standard error with file, line and help.
    #[command(after_help = help::CHECK)]
    Check(check::Check),
    /// Print the routes: what they match, their plugins and their target.
    #[command(after_help = help::ROUTES)]
    Routes(routes::Routes),
    /// Explain where a request goes: its route, plugins and limits.
    ///
    /// Shows the matching route and why the other routes lose, the plugins in order with the setting that adds each, and
    /// the limits. If no route matches, shows the routes that come close. No request is sent.
    #[command(after_help = help::EXPLAIN)]
    Explain(explain::Explain),
    /// Print the OpenAPI 3.1 description of what a listener serves.
    ///
    /// The same document that a route with `openapi` serves. No gateway needs to run.
    #[command(name = "openapi", after_help = help::OPENAPI)]
    OpenApi(openapi::OpenApi),
    /// Change the tables of resources where a reload does not.
    ///
    /// Prints the changes that the configuration needs, or makes them with `--apply`: a rename, a wider type, an index on a large
    /// table. A gateway that uses a SQLite file must be stopped first; with PostgreSQL, gateways may run.
    #[command(after_help = help::MIGRATE)]
    Migrate(migrate::Migrate),
    /// Show the state of a running gateway.
    ///
    /// Shows what it serves and since when, the state of its telemetry, and the last edit that it rejected.
    #[command(after_help = help::STATUS)]
    Status(status::Status),
    /// Reload the configuration of a running gateway, and print the result.
    ///
    /// Without this command, a running gateway applies edits when they are saved, unless `reload.watch` is false.
    #[command(after_help = help::RELOAD)]
    Reload(reload::Reload),
    /// Check whether a running gateway is ready.
    ///
    /// Sends one request to the health address. It does not read the configuration: a broken file on disk does not make
    /// a running gateway unhealthy.
    #[command(after_help = help::HEALTHCHECK)]
    Healthcheck(healthcheck::Healthcheck),
    /// Print a resource for a table that exists, as YAML.
    ///
    /// Reads the columns, keys, indexes and rules of a table that another program made, and prints a configuration with a
    /// resource for it. No one has access until you write who has. The database is not changed.
    #[command(after_help = help::RESOURCE)]
    Resource(resource::Resource),
    /// Back up, restore and copy the databases of stores.
    #[command(after_help = help::DB)]
    Db(db::Db),
    /// Print a development token for a configured HMAC secret.
    ///
    /// Signs a JWT that a `jwt` plugin of the configuration accepts. Not available with `environment: production`.
    #[command(after_help = help::TOKEN)]
    Token(token::Wanted),
    /// Print a new API key and its hash.
    ///
    /// The configuration stores only the hash. The key is for the client, and cannot be shown again.
    #[command(after_help = help::API_KEY)]
    ApiKey(api_key::ApiKey),
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = help::SCHEMA)]
    Schema(schema::Schema),
    /// Print a completion script for a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions(completions::Completions),
    /// Print the man page, or write a page for each command to a folder.
    #[command(after_help = help::MAN)]
    Man(man::Man),
    /// Write the generated parts of the documentation.
    #[command(subcommand, hide = true)]
    Docs(docs::Docs),
}

/// Diagnostics for standard error.
fn for_people() -> Rendering {
    Rendering::Human { colour: has_color(&std::io::stderr()) }
}

/// The program with these plugin types, with the arguments of the process.
pub fn main(registry: Registry) -> ExitCode {
    let words = color::behind_command(std::env::args_os().collect());
    match Arguments::try_parse_from(&words) {
        Ok(arguments) => {
            let file = arguments.run.file.named().filter(|_| arguments.command.is_none());
            match file.and_then(|file| unknown::message(file.as_os_str(), &Arguments::command())) {
                Some(message) => output::usage(&message),
                None => run(registry, arguments),
            }
        }
        Err(error) => {
            let first = words.get(1).filter(|_| error.use_stderr());
            match first.and_then(|word| unknown::message(word, &Arguments::command())) {
                Some(message) => output::usage(&message),
                None => error.exit(),
            }
        }
    }
}

/// Runs the program with these plugin types.
fn run(registry: Registry, arguments: Arguments) -> ExitCode {
    arguments.color.apply();
    match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(run) => serve::serve(run, registry),
        Command::Init(init) => init.run(&registry),
        Command::Check(check) => check.run(registry),
        Command::Routes(routes) => routes.print(registry),
        Command::Explain(explain) => explain.print(registry),
        Command::OpenApi(openapi) => openapi.print(registry),
        Command::Migrate(migrate) => migrate.run(registry),
        Command::Status(status) => status.run(&registry),
        Command::Reload(reload) => reload.run(&registry),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Resource(resource) => resource.print(registry),
        Command::Db(db) => db.run(registry),
        Command::Token(wanted) => token::print(&wanted, registry),
        Command::ApiKey(api_key) => api_key.print(),
        Command::Schema(schema) => schema.print(&registry),
        Command::Completions(completions) => completions.print(&Arguments::command()),
        Command::Man(man) => man.print(Arguments::command()),
        Command::Docs(docs) => docs.run(&registry),
    }
}
