//! docs/command-line.md names every command.

use super::help::commands;
use super::root;

#[test]
fn every_command_has_its_place_in_the_documentation() {
    let page = std::fs::read_to_string(root().join("docs/command-line.md")).unwrap();
    let mut documented: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut commands = commands();
    documented.sort_unstable();
    commands.sort_unstable();
    assert_eq!(documented, commands);
    for command in &commands {
        assert!(page.contains(&format!("| [`{command}`](#{command}) |")), "{command} is not in the table");
        let section = page.split(&format!("\n### {command}\n")).nth(1).unwrap().split("\n#").next().unwrap();
        assert!(section.contains(&format!("gatewright {command}")), "{command} has no example");
    }
}
