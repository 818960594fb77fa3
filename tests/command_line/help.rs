//! `--help`, completions and man pages: every command has them, and they fit a terminal.

use super::{err, out, run};
use std::process::Command;

/// The commands that the help lists.
pub fn commands() -> Vec<String> {
    let help = out(&run(&["--help"]));
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn the_help_lists_every_command_and_hides_what_makes_documentation() {
    let commands = commands();
    for word in [
        "run",
        "check",
        "schema",
        "routes",
        "explain",
        "token",
        "api-key",
        "healthcheck",
        "completions",
        "man",
        "init",
        "status",
        "reload",
        "db",
        "resource",
    ] {
        assert!(commands.iter().any(|command| command == word), "{word} in {commands:?}");
    }
    assert!(!commands.iter().any(|command| command == "docs"));
    assert_eq!(run(&["docs", "telemetry"]).status.code(), Some(0));
}

#[test]
fn every_help_fits_a_hundred_columns_and_has_an_example() {
    let commands = commands();
    let pages = commands.iter().flat_map(|name| [vec![name.as_str(), "-h"], vec![name.as_str(), "--help"]]);
    for page in pages.chain([vec!["-h"], vec!["--help"]]) {
        let help = out(&run(&page));
        let long = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{page:?}");
        assert!(help.contains("Examples:") || page == ["-h"], "{page:?}: {help}");
    }
    let help = out(&run(&["--help"]));
    for section in ["Environment:", "Exit codes:", "Signals:", "GATEWRIGHT__ADMIN__ADDRESS=127.0.0.1:9902 gatewright"] {
        assert!(help.contains(section), "{section}");
    }
}

#[test]
fn each_shell_gets_its_completions() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef gatewright"), ("fish", "complete -c gatewright")] {
        let script = run(&["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{}", err(&script));
        let script = out(&script);
        assert!(script.contains(word), "{shell}");
        assert!(commands().iter().all(|command| script.contains(command.as_str())), "{shell}");
        assert!(!script.contains("gatewright__subcmd__telemetry") && !script.contains("'telemetry:"), "{shell}");
        if Command::new(shell).arg("-c").arg("true").status().is_ok() && shell != "fish" {
            let checked = Command::new(shell).arg("-nc").arg(&script).output().unwrap();
            assert!(checked.status.success(), "{shell}: {checked:?}");
        }
    }
    assert_eq!(run(&["completions", "nosh"]).status.code(), Some(2));
}

#[test]
fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let written = run(&["man", "--dir", folder.path().join("man1").to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    let mut pages: Vec<_> = std::fs::read_dir(folder.path().join("man1")).unwrap().collect();
    pages.sort_by_key(|page| page.as_ref().unwrap().file_name());
    let mut expected: Vec<String> = commands().iter().map(|name| format!("gatewright-{name}.1")).collect();
    expected.push("gatewright.1".to_owned());
    expected.extend(["backup", "copy", "restore"].map(|name| format!("gatewright-db-{name}.1")));
    expected.sort();
    let names: Vec<String> =
        pages.iter().map(|page| page.as_ref().unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names, expected);
    let program = std::fs::read_to_string(folder.path().join("man1/gatewright.1")).unwrap();
    for section in [".SH NAME", ".SH \"EXIT CODES\"", ".SH SIGNALS", ".SH ENVIRONMENT", ".SH EXAMPLES"] {
        assert!(program.contains(section), "{section}: {program}");
    }
    assert_eq!(out(&run(&["man"])), program);
}
