//! What a person sees who starts the gateway in a terminal, which here is a real pseudo-terminal.

use crate::harness::{ADMIN_TOKEN, PATIENCE, command, connect, exit_code, send};
use parking_lot::Mutex;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

const FILE: &str = "config/gateway.yaml";

/// The working directory, below the temporary one: paths of the default file lead out of its folder.
const WORK: &str = "work";

/// The gateway in a terminal. It is killed when dropped.
struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
    folder: TempDir,
}

impl Terminal {
    /// Starts on the default file in a terminal with so many columns.
    fn start(columns: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let yaml = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
        Self::start_on(&yaml, columns, arguments, variables)
    }

    fn start_on(yaml: &str, columns: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(WORK).join("config")).unwrap();
        fs::write(folder.path().join(WORK).join(FILE), yaml).unwrap();
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let name = ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
        let other = File::options().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&other, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || Stdio::from(other.try_clone().unwrap());
        // `setsid --ctty` makes it the terminal that controls the process, so that Ctrl-C is a signal.
        let mut program = Command::new("setsid");
        program
            .arg("--ctty")
            .arg(env!("CARGO_BIN_EXE_gatewright"))
            .args(arguments)
            .current_dir(folder.path().join(WORK));
        program.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TERM", "xterm");
        program.env("HOME", folder.path()).env("PORT", "0").env("GATEWRIGHT__ADMIN__ADDRESS", "127.0.0.1:0");
        program.envs(variables.iter().copied());
        let child = program.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(main);
        let (mut screen, shown) = (keyboard.try_clone().unwrap(), Arc::new(Mutex::new(String::new())));
        let written = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                written.lock().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { child, keyboard, shown, folder }
    }

    /// What is shown once `text` is.
    fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown.lock().clone();
            if shown.contains(text) {
                return shown;
            }
            assert!(Instant::now() < until, "`{text}` is not shown:\n{shown}");
            std::thread::yield_now();
        }
    }

    /// What follows the word in `text`, up to a blank.
    fn after<'a>(text: &'a str, word: &str) -> &'a str {
        text.split_once(word).unwrap_or_else(|| panic!("no {word} in {text}")).1.split_whitespace().next().unwrap()
    }

    /// The listener's address, in a screen without colors.
    fn address(text: &str) -> SocketAddr {
        Self::after(text, "http://").split('/').next().unwrap().parse().unwrap()
    }

    fn press_ctrl_c(&mut self) {
        self.keyboard.write_all(b"\x03").unwrap();
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join(WORK).join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replace(from, to)).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        exit_code(&mut self.child)
    }

    fn token_files(&self) -> Vec<String> {
        let folder = self.folder.path().join(".local/state/gatewright");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| fs::read_to_string(file.path()).unwrap().trim().to_owned()).collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_screen_is_short_and_leads_on() {
    // Whatever the limit of open files is here, it allows so many.
    let few = ("GATEWRIGHT__LISTENERS__WEB__LIMITS__CONNECTIONS", "10");
    let mut terminal = Terminal::start(80, &["--color", "never"], &[few]);
    let shown = terminal.wait_for("Ctrl-C stops.");
    let (screen, _) = shown.split_once("Ctrl-C stops.").unwrap();
    assert!(screen.lines().count() <= 14, "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    assert!(!shown.contains("{\"") && !shown.contains('\u{1b}'), "{shown}");
    assert!(screen.starts_with("gatewright ") && screen.contains("config/gateway.yaml  generation 1"), "{screen}");
    assert!(screen.contains("/api/users") && screen.contains("1 warning; `gatewright check`"), "{screen}");

    let tokens = terminal.token_files();
    let file = format!("~/.local/state/gatewright/admin-{}.token", Terminal::admin(screen).port());
    assert!(screen.contains(&format!("Admin token in {file}")), "{screen}");
    let authorization = format!("Bearer {}", tokens[0]);
    let status = send(Terminal::admin(screen), "GET", "/status", &[("authorization", &authorization)], "");
    assert_eq!((status.status, tokens.len()), (200, 1));

    send(Terminal::address(screen), "GET", "/api/users", &[], "");
    let shown = terminal.wait_for("no token was sent");
    let line = shown.lines().find(|line| line.contains("no token was sent")).unwrap();
    assert!(line.contains("  401  GET     /api/users ") && line.chars().count() <= 80, "{line}");
    terminal.press_ctrl_c();
    terminal.wait_for("shutting down: waiting up to 30s for open requests (Ctrl-C again to quit now)");
    assert_eq!(terminal.exit_code(), Some(0));
    assert_eq!(terminal.token_files(), [""; 0]);
}

impl Terminal {
    /// The address of the admin API.
    fn admin(screen: &str) -> SocketAddr {
        let line = screen.lines().find(|line| line.starts_with("  admin ")).unwrap();
        Self::after(line, "http://").parse().unwrap()
    }
}

#[test]
fn colors_follow_the_environment_and_the_option() {
    let colored = |arguments: &[&str], variables: &[(&str, &str)]| {
        let terminal = Terminal::start(100, arguments, variables);
        terminal.wait_for("Ctrl-C stops.").contains('\u{1b}')
    };
    assert!(colored(&[], &[]));
    assert!(!colored(&[], &[("NO_COLOR", "1")]));
    assert!(!colored(&[], &[("TERM", "dumb")]));
    assert!(colored(&["--color", "always", "run"], &[("NO_COLOR", "1")]));
    assert!(colored(&[], &[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "NO_COLOR takes precedence");
    let piped = |variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gateway.yaml"), "version: 1\nlistenrs: {}\n").unwrap();
        let checked = command(folder.path()).arg("check").envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(checked.stderr).unwrap().contains('\u{1b}')
    };
    assert!(!piped(&[]));
    assert!(piped(&[("CLICOLOR_FORCE", "1")]));
    assert!(!piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn an_edit_is_reported_with_what_it_changed() {
    let terminal = Terminal::start(100, &[], &[("NO_COLOR", "1")]);
    terminal.wait_for("Ctrl-C stops.");
    terminal.edit("quota: 100", "quota: 90");
    terminal.wait_for("reloaded: plugins.per-ip.rate_limit.quota changed (generation 2, ");
    terminal.edit("quota: 90", "qouta: 90");
    let shown = terminal.wait_for("configuration rejected: 1 error; generation 2 keeps serving");
    assert!(shown.contains("did you mean `quota`"), "{shown}");
    assert_eq!(shown.matches("plugins.login").count(), 1, "old warnings are not repeated: {shown}");
    terminal.edit("qouta: 90", "quota: 90");
    terminal.wait_for("the configuration on disk matches the running one again (generation 2)");
    let file = terminal.folder.path().join(WORK).join(FILE);
    fs::rename(&file, file.with_extension("away")).unwrap();
    terminal.wait_for("config/gateway.yaml no longer exists; generation 2 keeps serving until it is back");
    fs::rename(file.with_extension("away"), &file).unwrap();
}

#[test]
fn the_smallest_file_shows_its_requests() {
    let yaml = "version: 1
listeners: { web: { address: \"127.0.0.1:0\" } }
upstreams: { gone: { targets: [{ url: \"http://127.0.0.1:1\" }] } }
routes: { root: { path: /, respond: { text: hello } }, gone: { path_prefix: /gone, upstream: gone } }\n";
    let terminal = Terminal::start_on(yaml, 80, &[], &[("NO_COLOR", "1")]);
    let screen = terminal.wait_for("Ctrl-C stops.");
    let address = Terminal::address(&screen);
    assert_eq!(send(address, "GET", "/", &[], "").body, "hello");
    terminal.wait_for("  200  GET     / ");
    assert_eq!(send(address, "GET", "/gone", &[], "").status, 502);
    let shown = terminal.wait_for("connect 127.0.0.1:1: connection refused");
    assert!(!shown.contains("{\""), "{shown}");
}

#[test]
fn a_warning_about_stored_data_is_shown_with_its_sql() {
    let yaml = "version: 1
listeners: { web: { address: \"127.0.0.1:0\" } }
stores: { main: { url: \"sqlite://data/books.db\" } }
resources:
  books: { store: main, access: { default: public }, fields: { pages: { type: integer } } }
routes: { books: { path: /books, resource: books } }\n";
    let terminal = Terminal::start_on(yaml, 80, &[], &[("NO_COLOR", "1")]);
    let address = Terminal::address(&terminal.wait_for("Ctrl-C stops."));
    let json = [("content-type", "application/json")];
    assert_eq!(send(address, "POST", "/books", &json, "{\"pages\":1}").status, 201);
    terminal.edit("pages:", "sheets:");
    let shown = terminal.wait_for("generation 2, ");
    let help = shown.lines().find(|line| line.starts_with("  help: ")).unwrap_or_else(|| panic!("{shown}"));
    assert!(help.contains("UPDATE \"books\" SET \"sheets\" = \"pages\", "), "{help}");
    assert!(help.trim_end().ends_with("WHERE \"pages\" IS NOT NULL;"), "{help}");
}

#[test]
fn a_second_ctrl_c_quits_at_once() {
    let mut terminal = Terminal::start(80, &[], &[("NO_COLOR", "1")]);
    let address = Terminal::address(&terminal.wait_for("Ctrl-C stops."));
    let mut open = connect(address);
    let head = "POST /api/users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    open.write_all(head.as_bytes()).unwrap();
    // It is being served once another one was.
    send(address, "GET", "/", &[], "");
    terminal.wait_for("  200  GET ");
    terminal.press_ctrl_c();
    terminal.wait_for("Ctrl-C again to quit now");
    terminal.press_ctrl_c();
    assert_eq!(terminal.exit_code(), Some(130));
    assert_eq!(terminal.token_files(), [""; 0]);
}

#[test]
fn a_low_limit_of_open_files_is_one_of_the_warnings() {
    let yaml = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\", limits: { connections: 1000000 } } }\n";
    let terminal = Terminal::start_on(yaml, 100, &[], &[("NO_COLOR", "1")]);
    let screen = terminal.wait_for("Ctrl-C stops.");
    let (_, warnings) = screen.split_once("warning").unwrap();
    assert!(
        warnings.contains("  listener web: the open-file limit allows only ") && !screen.contains("  warn  "),
        "{screen}"
    );
}

/// What a gateway without a terminal logs until it serves, and while it shuts down.
fn logged(child: &mut Child) -> String {
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    while !lines.contains("\"serving\"") {
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut lines).unwrap(), 0, "{lines}");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    output.read_to_string(&mut lines).unwrap();
    lines
}

/// `/dev/null` is no folder, not even for root.
#[test]
fn only_a_terminal_shows_a_token_that_has_no_file() {
    let unwritable = ("XDG_STATE_HOME", "/dev/null");
    let terminal = Terminal::start(120, &["--color", "never"], &[unwritable]);
    let screen = terminal.wait_for("Ctrl-C stops.");
    assert!(screen.contains("cannot write the admin token to /dev/null/gatewright/admin-"), "{screen}");
    let shown = Terminal::after(&screen, "Admin token (valid until restart): ");
    let authorization = format!("Bearer {shown}");
    let status = send(Terminal::admin(&screen), "GET", "/status", &[("authorization", &authorization)], "");
    assert_eq!(status.status, 200);

    let folder = tempfile::tempdir().unwrap();
    let yaml = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\nadmin: { address: \"127.0.0.1:0\" }\n\
                routes: { root: { path: /, respond: { text: hello } } }\n";
    fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let mut program = command(folder.path());
    program.args(["run", "gateway.yaml"]).envs([unwritable]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let lines = logged(&mut child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(said, "", "nothing but the log");
    let warning = lines.lines().find(|line| line.contains("cannot write the admin token to /dev/null/")).unwrap();
    assert!(warning.contains("\"level\":\"WARN\"") && warning.contains("set `admin.token`"), "{warning}");
}

#[test]
fn redirected_output_is_json_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    fs::create_dir_all(folder.path().join(WORK).join("config")).unwrap();
    fs::write(folder.path().join(WORK).join(FILE), yaml).unwrap();
    let mut program = command(&folder.path().join(WORK));
    program.arg("run").env("PORT", "0").env("GATEWRIGHT__ADMIN__ADDRESS", "127.0.0.1:0");
    program.env("GATEWRIGHT__ADMIN__TOKEN", ADMIN_TOKEN).stdout(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let lines = logged(&mut child);
    assert!(child.wait().unwrap().success());
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines}");
    for message in ["listening", "admin API listening", "changed the database schema", "shutting down", "stopped"] {
        assert!(lines.contains(&format!("\"message\":\"{message}\"")), "{message}: {lines}");
    }
}
