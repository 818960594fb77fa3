//! Imports within a module have no cycles: following the imports of a file in `src/` never leads back to it.
//!
//! A file and the files in its folder count as one, so children may use items of their parent. Names are followed
//! through re-exports to the file that defines them.

use super::{root, rust_files};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The path of a module: `["engine", "router"]` for `src/engine/router.rs`.
type Module = Vec<String>;

/// The imports of each file.
type Imports<'a> = HashMap<&'a Module, HashSet<Module>>;

/// The content of a file, without tests and comments.
struct Source {
    code: String,
    /// The paths that it imports.
    uses: Vec<Vec<String>>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
        // An inline test module is at the end of the file; one in its own file is a single line.
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let statements = code.split(';').filter_map(|statement| {
            let (before, tree) = statement.rsplit_once("use ")?;
            let line = before.rsplit('\n').next().unwrap().trim();
            (line.is_empty() || line.starts_with("pub")).then_some(tree)
        });
        let uses = statements.flat_map(|tree| expanded(&[], tree)).collect();
        Self { code, uses }
    }

    /// Everything that it names by a path.
    fn named(&self) -> impl Iterator<Item = Vec<String>> {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let paths = self.code.split(move |c| !word(c)).filter(|path| path.contains("::") && !path.ends_with("::"));
        let paths = paths.map(|path| path.split("::").map(str::to_owned).collect());
        paths.chain(self.uses.iter().cloned())
    }
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(prefix: &[String], tree: &str) -> Vec<Vec<String>> {
    let segments = |text: &str| -> Vec<String> {
        let text = text.split(" as ").next().unwrap();
        let own = text.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned);
        prefix.iter().cloned().chain(own).collect()
    };
    let Some((head, list)) = tree.split_once('{') else { return vec![segments(tree)] };
    let (prefix, mut depth) = (segments(head), 0);
    let items = list[..list.rfind('}').unwrap_or(list.len())].split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items.filter(|item| !item.trim().is_empty()).flat_map(|item| expanded(&prefix, item)).collect()
}

struct Files(HashMap<Module, Source>);

impl Files {
    fn read() -> Self {
        let module = |path: &Path| -> Module {
            let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
            let names: Module = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            if names == ["lib"] { Vec::new() } else { names }
        };
        let files = rust_files("src").into_iter().map(|path| (module(&path), path));
        let files = files.filter(|(module, _)| *module != ["main"] && !module.iter().any(|name| name == "tests"));
        Self(files.map(|(module, path)| (module, Source::read(&path))).collect())
    }

    /// The file that defines `path` as named in `here`; `None` for other crates.
    fn defining_file(&self, here: &[String], path: &[String], depth: usize) -> Option<Module> {
        let (mut module, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (here.to_vec(), &path[1..]),
            "super" => (here[..here.len().checked_sub(1)?].to_vec(), &path[1..]),
            first if self.0.contains_key(&[here, &[first.to_owned()]].concat()) => (here.to_vec(), path),
            _ => return None,
        };
        while let Some(next) = rest.first() {
            let below = [&module[..], std::slice::from_ref(next)].concat();
            match next.as_str() {
                "super" => module.truncate(module.len().checked_sub(1)?),
                _ if self.0.contains_key(&below) => module = below,
                _ => break,
            }
            rest = &rest[1..];
        }
        let source = self.0.get(&module)?;
        let exported = source.uses.iter().filter(|used| used.len() > 1 && used.last() == rest.first());
        let elsewhere = exported.filter(|_| depth < 8).find_map(|used| self.defining_file(&module, used, depth + 1));
        Some(elsewhere.unwrap_or(module))
    }

    fn imports(&self, here: &Module) -> HashSet<Module> {
        let named = self.0[here].named().filter_map(|path| self.defining_file(here, &path, 0));
        named.filter(|there| !here.starts_with(there)).collect()
    }
}

#[test]
fn imports_within_a_module_have_no_cycles() {
    let files = Files::read();
    let mut left: Imports<'_> = files.0.keys().map(|file| (file, files.imports(file))).collect();
    assert!(left.values().map(HashSet::len).sum::<usize>() > left.len(), "imports were found");
    // Repeatedly removes files whose imports have all been removed; cycles remain, and what depends on them.
    let remove = |left: &mut Imports<'_>, is_done: &dyn Fn(&Imports<'_>, &Module) -> bool| {
        let before = left.len();
        let gone: Vec<Module> = left.keys().filter(|file| is_done(left, file)).map(|file| (*file).clone()).collect();
        left.retain(|file, _| !gone.contains(file));
        left.len() < before
    };
    while remove(&mut left, &|left, file| !left[file].iter().any(|below| left.contains_key(below))) {}
    while remove(&mut left, &|left, file| !left.values().any(|imports| imports.contains(file))) {}
    let mut cycles: Vec<_> = left.keys().map(|file| format!("src/{}.rs", file.join("/"))).collect();
    cycles.sort();
    assert!(cycles.is_empty(), "these files import each other, directly or indirectly: {cycles:#?}");
}

#[test]
fn a_tree_of_imports_is_read_to_its_leaves() {
    let paths: Vec<_> =
        expanded(&[], "crate::a::{self, b::{C, D as E}, f}").iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::a::self", "crate::a::b::C", "crate::a::b::D", "crate::a::f"]);
}
