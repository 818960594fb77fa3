//! A process whose admin API is on a socket.

use super::text;
use crate::harness::{command, exit_code};
use std::fs;
use std::process::{Child, Command, Stdio};

/// A process in a folder with its configuration.
pub struct Process {
    pub folder: tempfile::TempDir,
    child: Child,
}

impl Process {
    /// Waits until it serves.
    pub fn start(yaml: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        let mut child = command(folder.path());
        child.env("XDG_STATE_HOME", folder.path()).args(["run", "gateway.yaml", "--runtime-file", "run.json"]);
        let started = Self { child: child.stdout(Stdio::null()).spawn().unwrap(), folder };
        let waited = started.run(&["reload", "--wait", "gateway.yaml"]);
        assert_eq!(waited, (true, "reloaded, though no file has changed: generation 2 is serving\n".to_owned()));
        started
    }

    /// Whether a command in the folder succeeds, and its output.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = command(self.folder.path());
        let output = command.env("XDG_STATE_HOME", self.folder.path()).args(arguments).output().unwrap();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    pub fn stop(&mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert_eq!(exit_code(&mut self.child), Some(0));
    }
}
