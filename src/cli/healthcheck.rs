//! `gatewright healthcheck`: asks a running gateway, for containers that have no curl.

use crate::cli::File;
use crate::cli::output::say;
use crate::engine::live::Workshop;
use crate::engine::registry::Registry;
use clap::Args;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct Question {
    #[command(flatten)]
    file: File,
    /// Ask whether the process runs, not whether it can serve.
    #[arg(long)]
    live: bool,
}

pub fn ask(question: &Question, registry: Registry) -> ExitCode {
    let judged = Workshop::new(&question.file.file, registry).judge(1);
    let Some(snapshot) = judged.snapshot else {
        say(&format!("{} is refused: see `gatewright check`\n", question.file.file.display()));
        return ExitCode::FAILURE;
    };
    let health = &snapshot.document.health;
    let path = if question.live { &health.live } else { &health.ready };
    let Some(address) = snapshot.listeners.first().map(|listener| reachable(listener.socket.address())) else {
        say("there is no listener to ask\n");
        return ExitCode::FAILURE;
    };
    match status(address, path) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(other) => {
            say(&format!("http://{address}{path} answers {other}\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("http://{address}{path} does not answer: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// An address that a listener on all interfaces can be reached by.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn status(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let line = std::str::from_utf8(&head).unwrap_or_default();
    line.strip_prefix("HTTP/1.1 ")
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP answer"))
}
