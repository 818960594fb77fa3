//! What a terminal shows at the start: what is served where, what to look at, and how to stop.

use crate::cli::address::Address;
use crate::cli::runtime_file::address_of;
use crate::cli::serve::report::{help_lines, is_beyond_the_file};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity, printable};
use crate::engine::plan::{PlannedPath, PlannedRoute};
use crate::engine::snapshot::{AdminListener, Snapshot};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// The routes and warnings that are listed. If there are more, the rest is counted.
const ROUTES: usize = 6;
const WARNINGS: usize = 3;

/// The file that is served without an argument.
const DEFAULT_FILE: &str = "config/gateway.yaml";

/// What the banner is made of.
pub struct Banner<'a> {
    pub snapshot: &'a Snapshot,
    pub warnings: &'a Diagnostics,
    /// Warnings that do not concern the configuration.
    pub notices: &'a [String],
    /// Where the admin token is, if the process made one: `in FILE`, or the token itself.
    pub admin_token: Option<String>,
    /// How long the start took.
    pub took: Duration,
    pub color: bool,
    /// The columns of the terminal.
    pub width: usize,
}

/// A name, a URL, and what it serves.
type Row = [String; 3];

impl Banner<'_> {
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.header(&mut text);
        self.rows(&mut text);
        self.warnings(&mut text);
        self.footer(&mut text);
        text
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn file(&self) -> &Path {
        self.snapshot.origin.sources.root()
    }

    /// A command about this file, as it can be pasted.
    fn command(&self, name: &str) -> String {
        match self.file().display().to_string() {
            file if file == DEFAULT_FILE => format!("`gatewright {name}`"),
            file => format!("`gatewright {name} {file}`"),
        }
    }

    fn header(&self, text: &mut String) {
        let name = self.paint(1, concat!("gatewright ", env!("CARGO_PKG_VERSION")));
        let generation = self.snapshot.origin.generation;
        let took = match self.took.as_secs_f64() {
            seconds @ 10.0.. => format!("{seconds:.1} s"),
            seconds => format!("{:.0} ms", seconds * 1e3),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}  {}  generation {generation}, ready in {took}\n", self.file().display());
    }

    fn rows(&self, text: &mut String) {
        let snapshot = self.snapshot;
        let routes = &snapshot.plan.routes;
        let shown = if routes.len() > ROUTES { ROUTES - 1 } else { routes.len() };
        let mut rows: Vec<Row> = routes.iter().take(shown).filter_map(|route| self.route(route)).collect();
        if routes.is_empty() {
            rows.extend(
                snapshot
                    .listeners
                    .iter()
                    .map(|listener| [listener.name.to_string(), address_of(listener).base(), "no routes".into()]),
            );
        }
        let url = |admin: &AdminListener| Address::of(admin.scheme(), &admin.socket.address()).base();
        let admin = snapshot.admin.as_ref().map(|admin| ["admin".to_owned(), url(admin), "admin API".to_owned()]);
        let width = |column: usize| {
            let cells = rows.iter().chain(&admin).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths = (width(0), width(1));
        rows.iter().for_each(|row| self.row(text, row, widths));
        if routes.len() > shown {
            let more = format!("… and {} more ({} lists them)", routes.len() - shown, self.command("routes"));
            let _ = writeln!(text, "  {}", self.paint(2, &more));
        }
        admin.iter().for_each(|row| self.row(text, row, widths));
        text.push('\n');
    }

    fn row(&self, text: &mut String, [name, url, what]: &Row, (names, urls): (usize, usize)) {
        let pad = |cell: &str, width: usize| " ".repeat(width.saturating_sub(cell.chars().count()));
        let what = cut(what, self.width.saturating_sub(names.max(name.chars().count()) + urls + 6));
        let _ = writeln!(
            text,
            "  {}{}  {}{}  {}",
            self.paint(1, name),
            pad(name, names),
            self.paint(36, url),
            pad(url, urls),
            self.paint(2, &what)
        );
    }

    fn route(&self, route: &PlannedRoute) -> Option<Row> {
        let listener = self.snapshot.listeners.iter().find(|listener| route.serves(&listener.name))?;
        let host = route.hosts.iter().find(|host| !host.contains('*'));
        let path = match &route.path {
            PlannedPath::Whole(path)
            | PlannedPath::Collection(path)
            | PlannedPath::Restorable(path)
            | PlannedPath::Files { path, .. } => path.clone(),
            PlannedPath::Addresses { below, names } => format!("{below}/{}", names.first().unwrap_or(&"")),
            PlannedPath::Prefix(prefix) => format!("{}/", prefix.trim_end_matches('/')),
        };
        let address = address_of(listener);
        let url = match host {
            Some(host) if address.socket.is_none() => {
                format!("{}://{host}:{}{path}", listener.scheme(), address.port())
            }
            _ if address.socket.is_some() => format!("{}:{path}", address.base()),
            _ => format!("{}{path}", address.base()),
        };
        let mut what = route.target.to_string();
        if let Some(store) = self.store(route) {
            what = format!("{what}, {store}");
        }
        if (host.is_none() || address.socket.is_some()) && !route.hosts.is_empty() {
            what = format!("{what}, host {}", route.hosts.join(", "));
        }
        Some([route.name.clone(), url, what])
    }

    /// The store of a route to a resource.
    fn store(&self, route: &PlannedRoute) -> Option<String> {
        let document = &self.snapshot.plan.document;
        let resource =
            document.resources.get(route.target.name.as_deref().filter(|_| route.target.kind == "resource")?)?;
        let store = &self.snapshot.stores.iter().find(|used| *used.name == *resource.store)?.store;
        Some(match store.file() {
            Some(path) => from_here(&path),
            None => format!("{} in memory", store.system()),
        })
    }

    fn warnings(&self, text: &mut String) {
        let warnings: Vec<&Diagnostic> =
            self.warnings.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).collect();
        // These are shown in full: nothing else reports them.
        let (beyond, warnings): (Vec<_>, Vec<_>) =
            warnings.into_iter().partition(|warning| is_beyond_the_file(warning));
        let all = warnings.len() + self.notices.len();
        let count = match all + beyond.len() {
            0 => return,
            1 => "1 warning".to_owned(),
            count => format!("{count} warnings"),
        };
        let explained =
            if warnings.is_empty() { String::new() } else { format!("; {} shows more", self.command("check")) };
        let _ = writeln!(text, "  {}{explained}:", self.paint(33, &count));
        let line = |warning: &&Diagnostic| match warning.path.is_empty() {
            true => warning.message.clone(),
            false => format!("{}: {}", printable(&warning.path), warning.message),
        };
        for warning in &beyond {
            let _ = write!(text, "    {}\n{}", line(warning), help_lines(warning, "      "));
        }
        let lines = warnings.iter().map(line);
        let shown = if all > WARNINGS { WARNINGS - 1 } else { all };
        for line in self.notices.iter().cloned().chain(lines).take(shown) {
            let _ = writeln!(text, "    {}", cut(&line, self.width.saturating_sub(4)));
        }
        if all > shown {
            let _ = writeln!(text, "    … and {} more", all - shown);
        }
    }

    fn footer(&self, text: &mut String) {
        if let Some(token) = &self.admin_token {
            let _ = writeln!(text, "  Admin token {token}");
        }
        let stop = "Ctrl-C stops.";
        let file = self.file().display();
        let _ = match self.snapshot.plan.document.reload.watch {
            true => writeln!(text, "  Watching {file}. {stop}\n"),
            false => writeln!(text, "  Not watching {file}: SIGHUP reloads it. {stop}\n"),
        };
    }
}

/// A path, relative to the working directory if it is below it.
fn from_here(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

/// `text` on one line of at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).collect::<String>() + "…"
}

/// The columns of the terminal on standard output.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}
