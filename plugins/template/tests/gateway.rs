//! The whole program: it reads gateway.yaml, and serves with the plugin.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// The program, ended when dropped.
struct Gateway {
    child: Child,
    address: String,
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_my-gateway"))
}

impl Gateway {
    /// Starts on a free port, which the log names.
    fn start() -> Self {
        let mut command = program();
        command.args(["run", "gateway.yaml"]).env("PORT", "0").env("GATEWRIGHT__TELEMETRY__LOGS__FORMAT", "json");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut entries = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
        let address = entries
            .find(|entry| entry["message"] == "listening")
            .and_then(|entry| entry["address"].as_str().map(str::to_owned));
        Self { child, address: address.expect("the gateway listens") }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_plugin_is_used_where_the_file_names_it() {
    let gateway = Gateway::start();
    let (old, new) = (gateway.get("/v1"), gateway.get("/v2"));
    assert!(old.starts_with("HTTP/1.1 200") && old.contains("sunset: Tue, 31 Dec 2999 00:00:00 GMT"), "{old}");
    assert!(new.starts_with("HTTP/1.1 200") && !new.contains("sunset"), "{new}");
}

#[test]
fn the_schema_describes_the_plugin() {
    let output = program().arg("schema").output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.pointer("/definitions/Plugin/properties/sunset").is_some());
}

#[test]
fn a_wrong_setting_is_reported_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let yaml = std::fs::read_to_string("gateway.yaml").unwrap().replace("2999-12-31T00:00:00Z", "tomorrow");
    std::fs::write(&file, yaml).unwrap();
    let output = program().arg("check").arg(&file).output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(report.contains("gateway.yaml:5:") && report.contains("`tomorrow` is not a valid time"), "{report}");
}
