//! Which keys two configurations differ in. Values are compared and never reported: they may be secrets.

use crate::config::sources::SourceFiles;
use crate::config::tree::{Node, Value};
use crate::config::yaml;
use std::collections::HashMap;
use std::path::Path;

/// The keys that differ, in the order of the files: `plugins.per-ip.rate_limit.quota`. A key that only one of the two has
/// is listed without what is in it. Files that settings name are listed by their paths.
pub fn between(old: &SourceFiles, new: &SourceFiles) -> Vec<String> {
    let mut changed = Vec::new();
    maps(&sections(old), &sections(new), "", &mut changed);
    changed.extend(named_files(old, new));
    changed
}

type Entries = Vec<(String, Node)>;

/// The sections of all files together.
fn sections(files: &SourceFiles) -> Entries {
    let mut sections: Entries = Vec::new();
    for file in files.files() {
        let Some(Node { value: Value::Map(entries), .. }) = yaml::parse(&file.text, 0).0 else { continue };
        for (key, node) in entries {
            let known = sections.iter_mut().find(|(name, _)| *name == key.name).map(|(_, known)| &mut known.value);
            match (known, node.value) {
                (Some(Value::Map(known)), Value::Map(more)) => known.extend(more),
                (None, value) => sections.push((key.name, Node { value, ..node })),
                (Some(_), _) => {}
            }
        }
    }
    sections
}

fn maps(old: &[(String, Node)], new: &[(String, Node)], path: &str, changed: &mut Vec<String>) {
    let before: HashMap<&str, &Node> = old.iter().map(|(name, node)| (name.as_str(), node)).collect();
    let after: HashMap<&str, &Node> = new.iter().map(|(name, node)| (name.as_str(), node)).collect();
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, node) in new {
        match before.get(name.as_str()) {
            Some(former) => nodes(former, node, at(name), changed),
            None => changed.push(at(name)),
        }
    }
    changed.extend(old.iter().filter(|(name, _)| !after.contains_key(name.as_str())).map(|(name, _)| at(name)));
}

fn nodes(old: &Node, new: &Node, path: String, changed: &mut Vec<String>) {
    match (&old.value, &new.value) {
        (Value::Map(_), Value::Map(_)) => {
            let entries =
                |node: &Node| node.entries().iter().map(|(key, node)| (key.name.clone(), node.clone())).collect();
            let (old, new): (Entries, Entries) = (entries(old), entries(new));
            maps(&old, &new, &path, changed);
        }
        (Value::Seq(old), Value::Seq(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                nodes(old, new, format!("{path}[{index}]"), changed);
            }
        }
        _ if old.to_json() == new.to_json() => {}
        _ => changed.push(path),
    }
}

/// Files other than those of the configuration itself whose content is another one.
fn named_files(old: &SourceFiles, new: &SourceFiles) -> Vec<String> {
    let prints = |files: &SourceFiles| -> HashMap<_, _> {
        let own = |path: &Path| files.files().iter().any(|file| &*file.path == path);
        files.prints().filter(|(path, _)| !own(path)).map(|(path, print)| (path.to_owned(), print)).collect()
    };
    let (before, after) = (prints(old), prints(new));
    let differ = after.iter().filter(|(path, print)| before.get(*path).is_some_and(|former| former != *print));
    let mut paths: Vec<_> =
        differ.map(|(path, _)| path.strip_prefix(new.folder()).unwrap_or(path).display().to_string()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sources::Sources;
    use std::fs;

    const BEFORE: &str = "version: 1
plugins: { a: { rate_limit: { quota: 1, window: 1s } }, login: { jwt: { secret: old } } }
chains: { edge: [a, b], api: [a] }
include: [more.yaml]
";

    fn changed(after: &str, more: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        fs::write(folder.path().join("more.yaml"), "routes: { a: { path: /a } }").unwrap();
        fs::write(&file, BEFORE).unwrap();
        let (before, _) = Sources::read(&file);
        fs::write(folder.path().join("more.yaml"), more).unwrap();
        fs::write(&file, after).unwrap();
        between(&before, &Sources::read(&file).0)
    }

    #[test]
    fn changed_keys_are_named_and_values_are_not() {
        let more = "routes: { a: { path: /a } }";
        assert_eq!(changed(BEFORE, more), [""; 0]);
        assert_eq!(changed(&format!("# comment\n{BEFORE}"), more), [""; 0]);
        let after = BEFORE.replace("quota: 1", "quota: 2").replace("secret: old", "secret: new");
        assert_eq!(changed(&after, more), ["plugins.a.rate_limit.quota", "plugins.login.jwt.secret"]);
        let after = BEFORE.replace("edge: [a, b]", "edge: [b, a]").replace("api: [a]", "api: []");
        assert_eq!(changed(&after, more), ["chains.edge[0]", "chains.edge[1]", "chains.api"]);
        assert_eq!(changed(BEFORE, "routes: { b: { path: /a } }"), ["routes.b", "routes.a"]);
    }
}
