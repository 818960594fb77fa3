//! Commands that reach Unix sockets over TLS.

use super::process::Process;

#[test]
fn the_commands_reach_sockets_over_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let yaml = "version: 1\nadmin: { address: \"unix:admin.sock\", tls: { cert_file: c.pem, key_file: k.pem } }\n\
                listeners: { web: { address: \"unix:web.sock\", tls: { certificates: [{ cert_file: c.pem, key_file: k.pem }] } } }\n\
                routes: { a: { path: /, respond: { text: a } } }\n";
    let files = [("c.pem", &*made.cert.pem()), ("k.pem", &*made.signing_key.serialize_pem())];
    let mut process = Process::start(yaml, &files);
    for arguments in [
        &["status", "gateway.yaml"][..],
        &["status", "--address", "unix:./admin.sock"],
        &["status", "--address", "unix:admin.sock", "--ca-file", "c.pem"],
        &["healthcheck", "--runtime-file", "run.json"],
        &["healthcheck", "--address", "unix:web.sock", "--ca-file", "c.pem"],
    ] {
        let (ok, output) = process.run(arguments);
        assert!(ok, "{arguments:?}: {output}");
    }
    process.stop();
}
