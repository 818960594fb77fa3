//! The command line as a person uses it.

mod admin;
mod check;
mod documentation;
mod exit_codes;
mod help;
mod init;
mod routes;
mod token;
mod which_file;

use crate::harness::command;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program in the folder of the repository.
fn run(arguments: &[&str]) -> Output {
    run_in(root(), arguments)
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

/// The same with something on standard input.
fn run_with(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = command(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses the pipe may have ended before it is written.
    if let Err(error) = child.stdin.take().unwrap().write_all(input.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_reader_that_has_enough_causes_no_panic() {
    for arguments in [&["schema"][..], &["routes", "config/gateway.yaml"], &["check", "config/gateway.yaml"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(root());
        let status = command.args(arguments).stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}
