//! Which file a command reads, and what is no file.

use super::{err, out, run_in};
use crate::harness::command;

fn yaml(route: &str) -> String {
    format!(
        "version: 1\nlisteners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
         routes: {{ {route}: {{ path: /, respond: {{}} }} }}\n"
    )
}

#[test]
fn a_misspelled_command_is_not_taken_for_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for (words, message) in [
        (&["chekc"][..], "no command or file `chekc`; did you mean `check`?"),
        (&["chekc", "gateway.yaml"], "no command or file `chekc`; did you mean `check`?"),
        (&["chekc", "--strict"], "no command or file `chekc`; did you mean `check`?"),
        (&["validate"], "no command or file `validate`; did you mean `check`?"),
        (&["version"], "no command or file `version`; did you mean `--version`?"),
        (&["serve"], "no command or file `serve`; did you mean `run`?"),
        (&["xyzzy"], "no command or file `xyzzy`; `gatewright --help` lists the commands"),
    ] {
        let output = run_in(folder.path(), words);
        assert_eq!((output.status.code(), err(&output)), (Some(2), format!("error: {message}\n")), "{words:?}");
    }
    let file = run_in(folder.path(), &["chekc.yaml"]);
    assert_eq!(file.status.code(), Some(1), "a dot makes it a file");
    assert!(err(&file).contains("chekc.yaml"), "{}", err(&file));
    std::fs::write(folder.path().join("chekc"), "version: 2\n").unwrap();
    assert_eq!(run_in(folder.path(), &["chekc"]).status.code(), Some(1), "it exists");
}

#[test]
fn the_file_is_found_without_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let routes = |variable: Option<&str>, arguments: &[&str]| {
        let mut command = command(folder.path());
        command.arg("routes").args(arguments).envs(variable.map(|file| ("GATEWRIGHT_CONFIG", file)));
        command.output().unwrap()
    };
    let missing = routes(Some(""), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("gatewright init"), "{}", err(&missing));
    let bare = run_in(folder.path(), &[]);
    assert!(bare.status.code() == Some(1) && err(&bare).contains("gatewright init"), "{}", err(&bare));
    for (name, route) in [("gateway.yaml", "in-folder"), ("other.yaml", "other"), ("named.yaml", "named")] {
        std::fs::write(folder.path().join(name), yaml(route)).unwrap();
    }
    assert!(out(&routes(None, &[])).contains("in-folder"));
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/gateway.yaml"), yaml("in-config")).unwrap();
    assert!(out(&routes(None, &[])).contains("in-config"));
    assert!(out(&routes(Some(""), &[])).contains("in-config"), "an empty variable is an unset one");
    assert!(out(&routes(Some("other.yaml"), &[])).contains("other"));
    assert!(out(&routes(Some("other.yaml"), &["named.yaml"])).contains("named"));
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["GATEWRIGHT_RUNTIME_FILE", "GATEWRIGHT_HEALTHCHECK_ADDRESS", "GATEWRIGHT_ADMIN_ADDRESS"] {
        for command_name in ["run", "healthcheck", "status"] {
            let output = command(folder.path()).arg(command_name).env(name, "").output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{name} {command_name}: {}", err(&output));
        }
    }
}

#[test]
fn run_refuses_a_bad_file_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "version: 2\n").unwrap();
    for arguments in [&["run", "bad.yaml"][..], &["bad.yaml"]] {
        let output = run_in(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("version"));
    }
    assert_eq!(run_in(folder.path(), &["run", "--nope"]).status.code(), Some(2));
}
