//! Starts the real program with its own configuration on free ports, and talks to it.

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for anything before it fails. Never what a test measures.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const ADMIN_TOKEN: &str = "an-admin-token-for-tests-only-7Qm2vXr9Tf";

pub const SECRET: &str = "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu";

/// The beginning of every test configuration. Port 0 takes a free port.
pub const HEAD: &str = r#"
version: 1
reload: { watch: false, drain: 5s }
shutdown: { drain: 5s }
admin: { address: "127.0.0.1:0", token: "an-admin-token-for-tests-only-7Qm2vXr9Tf" }
telemetry: { logs: { format: json, level: info } }
"#;

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    folder: TempDir,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// The head of the next request on `stream`, in lower case, for upstreams in tests.
pub fn head_of(stream: &mut impl Read) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

/// A response, completely read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Gateway {
    /// Starts with [`HEAD`] and `rest`. The configuration is in its own folder, where relative paths start.
    pub fn start(rest: &str) -> Self {
        Self::start_whole(&format!("{HEAD}{rest}"))
    }

    pub fn start_whole(yaml: &str) -> Self {
        Self::start_in(&[("gateway.yaml", yaml)])
    }

    /// Starts with `yaml`, using the command that `program` returns for a folder.
    pub fn start_as(yaml: &str, program: impl FnOnce(&Path) -> Command) -> Self {
        Self::launch(&[("gateway.yaml", yaml)], program, &[])
    }

    /// Starts with `gateway.yaml` from a folder with these files.
    pub fn start_in(files: &[(&str, &str)]) -> Self {
        Self::launch(files, command, &[])
    }

    /// The same with more arguments.
    pub fn start_with(files: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::launch(files, command, arguments)
    }

    fn launch(files: &[(&str, &str)], program: impl FnOnce(&Path) -> Command, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut child = program(folder.path());
        let mut child = child.args(["run", "gateway.yaml"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self { child, lines, seen: Vec::new(), folder, address: nowhere, admin: nowhere };
        gateway.address = gateway.wait_for_address("listening");
        gateway.admin = gateway.wait_for_address("admin API listening");
        gateway
    }

    fn wait_for_address(&mut self, message: &str) -> SocketAddr {
        let line = self.wait_for_log(|line| line["message"] == *message);
        line["address"].as_str().unwrap_or_default().parse().unwrap_or_else(|_| panic!("no address in {line}"))
    }

    /// The first log line since the start that `wanted` accepts.
    pub fn wait_for_log(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        let mut position = 0;
        loop {
            while let Some(line) = self.seen.get(position) {
                position += 1;
                match serde_json::from_str(line) {
                    Ok(line) if wanted(&line) => return line,
                    _ => {}
                }
            }
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no such log line; the log was:\n{}", self.seen.join("\n")),
            }
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Replaces the part after [`HEAD`] and reloads through the admin address.
    pub fn reload(&self, rest: &str) -> Answer {
        std::fs::write(self.file(), format!("{HEAD}{rest}")).unwrap();
        self.admin("POST", "/reload")
    }

    pub fn file(&self) -> PathBuf {
        self.folder().join("gateway.yaml")
    }

    pub fn admin(&self, method: &str, path: &str) -> Answer {
        send(self.admin, method, path, &[("authorization", &format!("Bearer {ADMIN_TOKEN}"))], "")
    }

    pub fn generation(&self) -> u64 {
        self.admin("GET", "/status").json()["generation"].as_u64().unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send(self.address, method, path, headers, body)
    }

    pub fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], &body.to_string())
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap().success());
    }

    /// Waits for the process to end by itself; returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        exit_code(&mut self.child)
    }

    /// The log of a process that has ended.
    pub fn whole_log(&mut self) -> String {
        self.seen.extend(self.lines.iter());
        self.seen.join("\n")
    }

    /// The log so far.
    pub fn log(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in `folder`, with an environment that contains only what tests set.
pub fn command(folder: &Path) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_gatewright")), folder)
}

/// The same, after a shell has run `first`, such as setting a limit.
pub fn command_after(first: &str, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_gatewright")]);
    prepared(shell, folder)
}

fn prepared(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("JWT_SECRET", SECRET).stdin(Stdio::null());
    command
}

/// One request on its own connection.
pub fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    send_as_written(to, &format!("{head}\r\n{body}"))
}

/// One literal request on its own connection. It asks for `connection: close`.
pub fn send_as_written(to: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(to);
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes).unwrap_or_else(|| panic!("{request}: no response: {:?}", String::from_utf8_lossy(&bytes)))
}

/// An address that refuses connections while the socket is there: it is bound, so nothing else gets the port, and does not listen.
pub fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one response from a connection that stays open. `None` if it was closed instead.
pub fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let mut answer = parse(&bytes)?;
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Some(answer)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect();
    let rest = &bytes[split + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(rest) } else { rest.to_vec() };
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= bytes.len()) else { break };
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = bytes.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

/// Waits for a process to end by itself; returns its exit code.
pub fn exit_code(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < until, "the gateway does not end");
        std::thread::yield_now();
    }
}
