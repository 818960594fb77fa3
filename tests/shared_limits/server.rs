//! A redis-server of its own, on a Unix socket in its own folder, or with a password on a free port.

use crate::harness::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

pub struct Server {
    folder: TempDir,
    child: Child,
    password: Option<String>,
    port: u16,
    tls: bool,
}

impl Server {
    pub fn start() -> Self {
        Self::new(None, tempfile::tempdir().unwrap(), false)
    }

    /// With TLS on a port. The folder has the files `ca.crt`, `server.crt` and `server.key`; clients must present a certificate
    /// of the authority.
    pub fn over_tls(folder: TempDir) -> Self {
        Self::new(None, folder, true)
    }

    pub fn with_password(password: &str) -> Self {
        Self::new(Some(password.to_owned()), tempfile::tempdir().unwrap(), false)
    }

    fn new(password: Option<String>, folder: TempDir, tls: bool) -> Self {
        let port = if password.is_some() || tls { free_port() } else { 0 };
        let child = Self::spawn(&folder, password.as_deref(), port, tls);
        let server = Self { folder, child, password, port, tls };
        server.wait();
        server
    }

    fn spawn(folder: &TempDir, password: Option<&str>, port: u16, tls: bool) -> Child {
        let mut command = Command::new("redis-server");
        let port = port.to_string();
        if tls {
            command.args(["--port", "0", "--tls-port", &port]);
            for (option, file) in [("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "ca.crt")] {
                command.arg(format!("--tls-{option}-file")).arg(folder.path().join(file));
            }
        } else {
            command.args(["--port", &port]);
        }
        command.arg("--unixsocket").arg(folder.path().join("redis.sock"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir"]).arg(folder.path());
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.expect("redis-server is installed (apt-get install redis-server)")
    }

    /// The URL for gateways. With a password, it names database 3.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/3", self.port),
            None if self.tls => format!("rediss://127.0.0.1:{}", self.port),
            None => format!("redis+unix://{}", self.folder.path().join("redis.sock").display()),
        }
    }

    /// Changes the password, and closes the connections of clients.
    pub fn change_password(&mut self, password: &str) {
        self.command(&["CONFIG", "SET", "requirepass", password]);
        self.password = Some(password.to_owned());
        self.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty.
    pub fn run(&mut self) {
        self.child = Self::spawn(&self.folder, self.password.as_deref(), self.port, self.tls);
        self.wait();
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    fn wait(&self) {
        let until = Instant::now() + PATIENCE;
        while self.try_command("0", &["PING"]).is_none_or(|answer| !answer.contains("PONG")) {
            assert!(Instant::now() < until, "redis-server does not start");
            std::thread::yield_now();
        }
    }

    /// The response as it is sent.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command("0", words).unwrap()
    }

    pub fn number(&self, words: &[&str]) -> i64 {
        self.number_in("0", words)
    }

    pub fn number_in(&self, database: &str, words: &[&str]) -> i64 {
        let answer = self.try_command(database, words).unwrap();
        answer.trim_start_matches(':').trim_end().parse().unwrap_or_else(|_| panic!("{words:?}: {answer}"))
    }

    /// The strings of an array.
    pub fn strings(&self, words: &[&str]) -> Vec<String> {
        let answer = self.command(words);
        answer.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
    }

    fn try_command(&self, database: &str, words: &[&str]) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("redis.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut asked = Vec::new();
        let auth = self.password.as_deref().map(|password| vec!["AUTH", password]);
        let all = auth.into_iter().chain([vec!["SELECT", database], words.to_vec(), vec!["QUIT"]]);
        let before = if self.password.is_some() { 2 } else { 1 };
        for words in all {
            asked.extend(format!("*{}\r\n", words.len()).bytes());
            words.iter().for_each(|word| asked.extend(format!("${}\r\n{word}\r\n", word.len()).bytes()));
        }
        stream.write_all(&asked).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        // Without the `+OK` of AUTH, SELECT and QUIT.
        let answer = answer.splitn(before + 1, "\r\n").last()?;
        Some(answer.trim_end_matches("+OK\r\n").to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap().local_addr().unwrap().port()
}
