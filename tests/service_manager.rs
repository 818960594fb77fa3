//! What systemd learns from the gateway: when it is ready, reloads, stops, and is alive.

use crate::harness::{Gateway, HEAD, PATIENCE, command};
use std::os::unix::net::UnixDatagram;

const YAML: &str = "listeners: { web: { address: \"127.0.0.1:0\" } }
routes: { root: { path: /, respond: { text: hello } } }\n";

/// A service manager that only listens.
struct Manager {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Manager {
    /// Starts a gateway, with more variables, as a service of type `notify`.
    fn start(variables: &[(&str, &str)]) -> (Self, Gateway) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let gateway = Gateway::start_as(&format!("{HEAD}{YAML}"), |folder| {
            let mut command = command(folder);
            command.env("NOTIFY_SOCKET", path).envs(variables.iter().copied());
            command
        });
        (Self { socket, _folder: folder }, gateway)
    }

    /// The lines of the next message that is not about the watchdog.
    fn next(&self) -> Vec<String> {
        loop {
            let lines = self.any();
            if lines != ["WATCHDOG=1"] {
                return lines;
            }
        }
    }

    fn any(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a message to the service manager");
        String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect()
    }

    /// Whether nothing more was sent.
    fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        self.socket.recv(&mut [0; 4096]).is_err()
    }
}

/// The time of a message that announces a reload.
fn reloading(message: &[String]) -> u64 {
    assert_eq!(message[0], "RELOADING=1", "{message:?}");
    message[1]
        .strip_prefix("MONOTONIC_USEC=")
        .and_then(|time| time.parse().ok())
        .unwrap_or_else(|| panic!("{message:?}"))
}

#[test]
fn a_service_manager_learns_of_the_start_of_reloads_and_of_the_end() {
    let (manager, mut gateway) = Manager::start(&[]);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving generation 1"]);

    assert_eq!(gateway.reload(&YAML.replace("hello", "hi")).status, 200);
    let first = reloading(&manager.next());
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving generation 2"]);

    assert!(gateway.reload("listeners: {}\nnonsense: 1\n").status >= 400);
    assert!(reloading(&manager.next()) > first);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Configuration rejected; generation 2 keeps serving"]);

    gateway.signal("HUP");
    reloading(&manager.next());
    assert_eq!(manager.next()[0], "READY=1", "also after a signal that finds the same errors");

    gateway.signal("TERM");
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=Shutting down"]);
    assert_eq!(gateway.wait(), Some(0));
    assert!(
        manager.is_silent(),
        "a process that stops is not ready again, and without WATCHDOG_USEC there is no watchdog"
    );
}

#[test]
fn the_watchdog_is_reset_while_the_gateway_serves() {
    let (manager, gateway) = Manager::start(&[("WATCHDOG_USEC", "20000")]);
    assert_eq!(manager.next(), ["READY=1", "STATUS=Serving generation 1"]);
    for _ in 0..3 {
        assert_eq!(manager.any(), ["WATCHDOG=1"]);
    }
    assert_eq!(gateway.get("/").body, "hello");
}

#[test]
fn a_service_manager_that_is_gone_does_not_stop_the_gateway() {
    let (manager, mut gateway) = Manager::start(&[]);
    drop(manager);
    assert_eq!(gateway.reload(&YAML.replace("hello", "hi")).status, 200);
    assert_eq!(gateway.get("/").body, "hi");
    gateway.wait_for_log(|line| line["message"] == "cannot notify the service manager");
}
