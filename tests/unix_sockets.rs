//! Listeners and the admin API on Unix sockets: who may create the file, who the client is, and what a reload does.

mod over_tls;
mod process;

use crate::harness::{ADMIN_TOKEN, Answer, Gateway, PATIENCE, command, exit_code, head_of, read_answer};
use process::Process;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

const WEB: &str = "  web: { address: \"127.0.0.1:0\" }\n";

/// A gateway with a TCP listener `web`, these other listeners, and routes.
fn with(listeners: &str, rest: &str) -> String {
    format!("\nlisteners:\n{WEB}{listeners}routes:\n  hello: {{ path: /, respond: {{ text: hello }} }}\n{rest}")
}

fn start(listeners: &str, rest: &str) -> Gateway {
    Gateway::start(&with(listeners, rest))
}

/// A connection through the socket, as the type that the harness reads from.
fn connect(socket: &Path) -> std::io::Result<TcpStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(OwnedFd::from(stream).into())
}

fn ask(socket: &Path, path: &str, headers: &str) -> Option<Answer> {
    let mut stream = connect(socket).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").ok()?;
    read_answer(&mut stream)
}

fn body(socket: &Path, path: &str) -> String {
    ask(socket, path, "").map_or_else(String::new, |answer| answer.body)
}

fn mode(socket: &Path) -> u32 {
    fs::metadata(socket).unwrap().permissions().mode() & 0o777
}

/// The output of a command in the folder of the gateway.
fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = command(gateway.folder());
    command.env("XDG_STATE_HOME", gateway.folder()).args(arguments).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn a_listener_serves_on_a_socket_and_removes_it_at_the_end() {
    let mut gateway = start("  sock: { address: \"unix:gate.sock\", protocols: [http1, http2] }\n", "");
    let socket = gateway.folder().join("gate.sock");
    assert_eq!(body(&socket, "/"), "hello");
    assert_eq!(mode(&socket), 0o660);
    let status = gateway.admin("GET", "/status").json();
    assert_eq!(status["listeners"][1]["address"], format!("unix:{}", socket.display()));
    let answered = Command::new("curl")
        .current_dir(gateway.folder())
        .args(["-s", "--http2-prior-knowledge", "--unix-socket", "gate.sock"])
        .args(["-w", " %{http_version}", "http://localhost/"])
        .output()
        .unwrap();
    assert_eq!(text(&answered.stdout), "hello 2");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_deleted_socket_is_created_again_by_a_reload() {
    let gateway = start("  sock: { address: \"unix:gate.sock\" }\n", "");
    let socket = gateway.folder().join("gate.sock");
    for turn in 0..3 {
        let mut open = connect(&socket).unwrap();
        fs::remove_file(&socket).unwrap();
        assert!(connect(&socket).is_err(), "turn {turn}");
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
        assert_eq!((body(&socket, "/"), mode(&socket)), ("hello".to_owned(), 0o660), "turn {turn}");
        // The connection through the deleted socket is still served, and closes with its next response.
        write!(open, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut open).map(|answer| answer.status), Some(200), "turn {turn}");
        // Nothing changes while the file exists.
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
        assert_eq!(body(&socket, "/"), "hello");
    }
}

#[test]
fn a_socket_of_a_killed_process_is_replaced_and_that_of_a_running_one_is_not() {
    let mut gateway = start("  sock: { address: \"unix:gate.sock\", socket_mode: \"0600\" }\n", "");
    let socket = gateway.folder().join("gate.sock");
    let second = run(&gateway, &["run", "gateway.yaml"]);
    let report = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("cannot listen on unix:{}: another process listens on this socket", socket.display());
    assert!(report.contains(&expected) && report.contains("help: stop that process"), "{report}");
    assert_eq!(body(&socket, "/"), "hello");
    gateway.signal("KILL");
    gateway.wait();
    assert!(socket.exists());
    let mut third = command(gateway.folder()).args(["run", "gateway.yaml"]).stdout(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while body(&socket, "/") != "hello" {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert_eq!(mode(&socket), 0o600);
    // Another process has taken the path.
    fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    assert!(Command::new("kill").arg(third.id().to_string()).status().unwrap().success());
    assert_eq!(exit_code(&mut third), Some(0));
    assert!(socket.exists());
}

#[test]
fn a_reload_adds_keeps_moves_swaps_and_removes_sockets() {
    let yaml = |names: [(&str, &str); 2]| {
        let listener = |(name, socket)| format!("  {name}: {{ address: \"unix:{socket}\", chain: {name} }}\n");
        let plugin =
            |(name, _)| format!("  {name}: {{ headers: {{ response: {{ set: {{ x-listener: {name} }} }} }} }}\n");
        let rest = format!("chains: {{ one: [one], two: [two] }}\nplugins:\n{}", names.map(plugin).concat());
        with(&names.map(listener).concat(), &rest)
    };
    let gateway = Gateway::start(&with("", ""));
    let (a, b, c) = (gateway.folder().join("a"), gateway.folder().join("b"), gateway.folder().join("c"));
    let name = |socket: &Path| ask(socket, "/", "").and_then(|answer| Some(answer.header("x-listener")?.to_owned()));
    assert_eq!(gateway.reload(&yaml([("one", "a"), ("two", "b")])).status, 200);
    assert_eq!((name(&a).as_deref(), name(&b).as_deref()), (Some("one"), Some("two")));
    let mut kept = connect(&a).unwrap();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().header("x-listener"), Some("one"));
    // They swap: the open connection stays open.
    assert_eq!(gateway.reload(&yaml([("one", "b"), ("two", "a")])).status, 200);
    assert_eq!((name(&a).as_deref(), name(&b).as_deref()), (Some("two"), Some("one")));
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().header("x-listener"), Some("two"));
    assert_eq!(gateway.reload(&yaml([("one", "b"), ("two", "c")])).status, 200);
    assert!(!a.exists());
    assert_eq!((name(&c).as_deref(), name(&b).as_deref()), (Some("two"), Some("one")));
    // A rejected edit leaves nothing behind.
    let refused = gateway.reload(&yaml([("one", "missing/b"), ("two", "a")]));
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("the folder does not exist"), "{}", refused.body);
    let beside = |name: &str| name.starts_with('a') || name.contains(".tmp");
    let left = fs::read_dir(gateway.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| beside(name)).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(gateway.reload(&with("", "")).status, 200);
    assert!(!b.exists() && !c.exists());
}

#[test]
fn requests_in_progress_and_waiting_clients_survive_the_removal_of_their_socket() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = upstream.local_addr().unwrap();
    let rest = format!(
        "  slow: {{ path: /slow, upstream: u }}\nupstreams: {{ u: {{ targets: [{{ url: \"http://{at}\" }}] }} }}\n"
    );
    let gateway = start("  sock: { address: \"unix:gate.sock\" }\n", &rest);
    let socket = gateway.folder().join("gate.sock");
    let mut slow = connect(&socket).unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let (mut received, _) = upstream.accept().unwrap();
    head_of(&mut received);
    assert_eq!(gateway.reload(&with("", "")).status, 200);
    assert!(connect(&socket).is_err() && !socket.exists());
    received.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").unwrap();
    assert_eq!(read_answer(&mut slow).unwrap().body, "done");
}

#[test]
fn a_client_without_an_address_is_logged_and_limited_as_one_and_adds_no_address_for_upstreams() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in upstream.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let head = head_of(&mut stream);
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}", head.len());
        }
    });
    let listeners = "  direct: { address: \"unix:direct.sock\", limits: { connections_per_client: 1 } }\n  \
                     proxied: { address: \"unix:proxied.sock\", trusted_proxies: [\"unix:\", 10.0.0.0/8] }\n";
    let rest = format!(
        "  seen: {{ path: /seen, upstream: u }}\n  few: {{ path: /few, plugins: [few], respond: {{ text: few }} }}\n\
         plugins: {{ few: {{ rate_limit: {{ key: client.ip, quota: 1, window: 1h }} }} }}\n\
         upstreams: {{ u: {{ targets: [{{ url: \"http://{at}\" }}] }} }}\n"
    );
    let head = crate::harness::HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", with(listeners, &rest)));
    let (direct, proxied) = (gateway.folder().join("direct.sock"), gateway.folder().join("proxied.sock"));
    let forwarded = "x-forwarded-for: 203.0.113.7, 10.0.0.1\r\nx-forwarded-proto: https\r\n";
    let seen = ask(&direct, "/seen", forwarded).unwrap().body;
    assert!(!seen.contains("x-forwarded-for") && seen.contains("x-forwarded-proto: http\r\n"), "{seen}");
    let seen = ask(&proxied, "/seen", forwarded).unwrap().body;
    assert!(seen.contains("x-forwarded-for: 203.0.113.7, 10.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
    assert!(!ask(&proxied, "/seen", "").unwrap().body.contains("x-forwarded-for"));
    let few =
        |socket: &Path, client: &str| ask(socket, "/few", &format!("x-forwarded-for: {client}\r\n")).unwrap().status;
    assert_eq!((few(&direct, "203.0.113.1"), few(&direct, "203.0.113.2")), (200, 429));
    assert_eq!((few(&proxied, "203.0.113.1"), few(&proxied, "203.0.113.2")), (200, 200));
    assert_eq!(few(&proxied, "203.0.113.2"), 429);
    // `connections_per_client` cannot tell these clients apart.
    let held: Vec<_> = (0..3).map(|_| connect(&direct).unwrap()).collect();
    assert_eq!(body(&direct, "/"), "hello");
    drop(held);
    let client = |line: &serde_json::Value, client: &str| line["client_ip"] == client && line["path"] == "/few";
    gateway.wait_for_log(|line| client(line, "unix:"));
    gateway.wait_for_log(|line| client(line, "203.0.113.2"));
}

/// An upstream on a Unix socket, which returns the head of each request.
fn echo(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream: TcpStream = OwnedFd::from(stream).into();
            std::thread::spawn(move || {
                loop {
                    let head = head_of(&mut stream);
                    if head.is_empty() || head.starts_with("get /quit") {
                        return;
                    }
                    let length = head.len();
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head}").unwrap();
                }
            });
        }
    });
}

#[test]
fn targets_can_be_unix_sockets() {
    let rest = "  app: { path_prefix: /app, upstream: app }\n  own: { path: /own, upstream: own }\n\
                upstreams:\n  app: { targets: [{ url: \"unix:app.sock\" }, { url: \"unix:other.sock\" }], host: client,\n    \
                health_checks: { active: { path: /health, interval: 100ms, unhealthy_after: 1, healthy_after: 1 } } }\n  \
                own: { targets: [{ url: \"unix:own.sock\" }] }\n";
    let head = crate::harness::HEAD.replace("level: info", "level: info, access: {}");
    let head = head.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", with("", rest)));
    // No target exists yet.
    assert_eq!(gateway.get("/own").status, 502);
    gateway.wait_for_log(|line| line["error"].as_str().is_some_and(|error| error.ends_with("own.sock: no such file")));
    let socket = |name: &str| gateway.folder().join(name);
    let (own, app) = (socket("own.sock"), socket("app.sock"));
    echo(&own);
    echo(&app);
    let seen = gateway.get("/own");
    assert!(seen.status == 200 && seen.body.contains("\r\nhost: localhost\r\n"), "{seen:?}");
    let target = format!("unix:{}", app.display());
    let health = |target: &str| {
        let status = gateway.admin("GET", "/status").json();
        let targets = status["upstreams"]["app"]["targets"].as_array().unwrap().clone();
        targets.iter().find(|known| known["address"] == *target).unwrap_or_else(|| panic!("{status}"))["health"].clone()
    };
    let until = Instant::now() + PATIENCE;
    while health(&target) != "healthy" || health(&format!("unix:{}", socket("other.sock").display())) != "unhealthy" {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    for _ in 0..4 {
        let seen = gateway.send("GET", "/app/x", &[], "");
        assert!(seen.status == 200 && seen.body.contains(&format!("host: {}\r\n", gateway.address)), "{seen:?}");
    }
    let line = gateway.wait_for_log(|line| line["path"] == "/app/x" && line["upstream_target"] == *target);
    // The name of each key is used once: of two, JSON parsers keep the last.
    assert_eq!(line["target"], "gatewright::access");
    let metrics = gateway.admin("GET", "/metrics").body;
    let series = format!("server_address=\"{}\"", app.display());
    assert!(metrics.lines().any(|line| line.contains(&series) && !line.contains("server_port")), "{metrics}");
}

#[test]
fn upgrades_and_tls_work_on_a_socket() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        head_of(&mut stream);
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
            .unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let rest = format!(
        "  ws: {{ path: /ws, upstream: u }}\nupstreams: {{ u: {{ targets: [{{ url: \"http://{at}\" }}] }} }}\n"
    );
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = "  tls: { address: \"unix:tls.sock\", tls: { certificates: [{ cert_file: c.pem, key_file: k.pem }] } }\n";
    let plain = "  plain: { address: \"unix:plain.sock\" }\n";
    let yaml = format!("{}{}", crate::harness::HEAD, with(&format!("{plain}{tls}"), &rest));
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("c.pem", &certificate), ("k.pem", &key)]);
    let mut stream = connect(&gateway.folder().join("plain.sock")).unwrap();
    stream.write_all(b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 101);
    stream.write_all(b"12345").unwrap();
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"12345");
    let curl = Command::new("curl")
        .current_dir(gateway.folder())
        .args(["-sS", "--cacert", "c.pem", "--unix-socket", "tls.sock", "https://localhost/"])
        .output()
        .unwrap();
    assert_eq!(text(&curl.stdout), "hello", "{}", text(&curl.stderr));
    let health = run(&gateway, &["healthcheck", "--address", "unix:plain.sock"]);
    assert_eq!(text(&health.stdout), "ready: unix:plain.sock:/health/ready\n");
    let live = run(&gateway, &["healthcheck", "--address", "unix:plain.sock:/health/live"]);
    assert!(live.status.success());
    let health = run(&gateway, &["healthcheck", "--address", "unix:tls.sock", "--ca-file", "c.pem"]);
    assert_eq!(text(&health.stdout), "ready: unix:tls.sock:/health/ready\n", "{}", text(&health.stderr));
}

#[test]
fn the_commands_reach_an_admin_api_on_a_socket() {
    let yaml = "version: 1\nadmin: { address: \"unix:admin.sock\" }\ntelemetry: { logs: { format: json } }\n\
                listeners: { web: { address: \"unix:web.sock\" } }\nroutes: { a: { path: /, respond: { text: a } } }\n";
    let mut process = Process::start(yaml, &[]);
    let [socket, web] = ["admin.sock", "web.sock"].map(|name| process.folder.path().join(name));
    assert_eq!(mode(&socket), 0o600);
    let (ok, status) = process.run(&["status", "gateway.yaml"]);
    assert!(ok && status.contains(&format!("admin address unix:{}", socket.display())), "{status}");
    assert!(status.contains(&format!("web on unix:{}", web.display())), "{status}");
    // Without the file, the token is found by the socket.
    let named = process.run(&["status", "--address", "unix:./admin.sock"]);
    assert!(named.0 && named.1.contains("admin address unix:./admin.sock"), "{named:?}");
    let health = process.run(&["healthcheck", "--runtime-file", "run.json"]);
    assert!(health.0 && health.1.starts_with("ready: unix:/"), "{health:?}");
    process.stop();
    assert!(!socket.exists() && !web.exists());
    let gone = process.run(&["status", "--address", "unix:admin.sock", "--token", ADMIN_TOKEN]);
    assert!(!gone.0 && gone.1.contains("unix:admin.sock:/status did not respond"), "{gone:?}");
}

#[test]
fn a_new_process_takes_a_shared_socket_over_without_a_refused_connection() {
    let mut gateway = start("  sock: { address: \"unix:gate.sock\", share_address: true }\n", "");
    let socket = gateway.folder().join("gate.sock");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut second = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(ask(&socket, "/", "").map(|answer| answer.status), Some(200));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut second = command(gateway.folder());
        second.env("GATEWRIGHT__LISTENERS__WEB__ADDRESS", "127.0.0.1:0").args(["run", "gateway.yaml"]);
        let runtime = gateway.folder().join("second.json");
        let second = second.arg("--runtime-file").arg(&runtime).stdout(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while fs::metadata(&runtime).map_or(0, |found| found.len()) == 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        gateway.signal("TERM");
        assert_eq!(gateway.wait(), Some(0));
        assert_eq!(body(&socket, "/"), "hello");
        stop.store(true, Ordering::Relaxed);
        second
    });
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(answered.load(Ordering::Relaxed) > 0);
}
