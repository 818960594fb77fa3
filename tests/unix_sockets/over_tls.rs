//! Commands that reach Unix sockets over TLS.

use super::text;
use crate::harness::{command, exit_code};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn the_commands_reach_sockets_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let yaml = "version: 1\nadmin: { address: \"unix:admin.sock\", tls: { cert_file: c.pem, key_file: k.pem } }\n\
                listeners: { web: { address: \"unix:web.sock\", tls: { certificates: [{ cert_file: c.pem, key_file: k.pem }] } } }\n\
                routes: { a: { path: /, respond: { text: a } } }\n";
    let files = [("gateway.yaml", yaml), ("c.pem", &made.cert.pem()), ("k.pem", &made.signing_key.serialize_pem())];
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    let run = |arguments: &[&str]| {
        let mut command = command(folder.path());
        let output = command.env("XDG_STATE_HOME", folder.path()).args(arguments).output().unwrap();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let mut child = command(folder.path());
    child.env("XDG_STATE_HOME", folder.path()).args(["run", "gateway.yaml", "--runtime-file", "run.json"]);
    let mut child = child.stdout(Stdio::null()).spawn().unwrap();
    let waited = run(&["reload", "--wait", "gateway.yaml"]);
    assert_eq!(waited, (true, "reloaded: generation 2 is serving\n".to_owned()));
    for arguments in [
        &["status", "gateway.yaml"][..],
        &["status", "--address", "unix:./admin.sock"],
        &["status", "--address", "unix:admin.sock", "--ca-file", "c.pem"],
        &["healthcheck", "--runtime-file", "run.json"],
        &["healthcheck", "--address", "unix:web.sock", "--ca-file", "c.pem"],
    ] {
        let (ok, output) = run(arguments);
        assert!(ok, "{arguments:?}: {output}");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(exit_code(&mut child), Some(0));
}
