//! Every kind of file change is detected, and nothing else is.

use super::*;
use crate::config::sources::Sources;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn settings() -> Reload {
    let text = r#"{ "debounce": "5ms", "poll": "100ms" }"#;
    serde_json::from_str(text).unwrap()
}

fn watch(file: &Path) -> Watch {
    let (sources, diagnostics) = Sources::read(file);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    Watch::new(&sources, &settings())
}

#[tokio::test]
async fn content_that_changed_is_noticed_however_it_got_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    fs::write(&file, "version: 1").unwrap();
    let watch = watch(&file);
    fs::write(&file, "version: 2").unwrap();
    watch.changed().await;
    fs::write(folder.path().join("new"), "version: 3").unwrap();
    fs::rename(folder.path().join("new"), &file).unwrap();
    watch.changed().await;
    fs::remove_file(&file).unwrap();
    watch.changed().await;
    fs::write(&file, "version: 4").unwrap();
    watch.changed().await;
}

#[tokio::test]
async fn a_config_map_swap_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for version in ["1", "2"] {
        fs::create_dir(at(&format!("..{version}"))).unwrap();
        fs::write(at(&format!("..{version}/gateway.yaml")), format!("version: {version}")).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/gateway.yaml", at("gateway.yaml")).unwrap();
    let watch = watch(&at("gateway.yaml"));
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    watch.changed().await;
}

#[tokio::test]
async fn a_new_file_of_a_glob_and_a_changed_include_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("routes.d")).unwrap();
    fs::write(at("gateway.yaml"), "include: [routes.d/*.yaml, b.yaml]").unwrap();
    fs::write(at("b.yaml"), "version: 1").unwrap();
    let watch = watch(&at("gateway.yaml"));
    fs::write(at("routes.d/a.yaml"), "routes: {}").unwrap();
    watch.changed().await;
    fs::write(at("b.yaml"), "version: 2").unwrap();
    watch.changed().await;
}

#[tokio::test]
async fn an_edit_between_reading_and_watching_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    fs::write(&file, "version: 1").unwrap();
    let (sources, _) = Sources::read(&file);
    fs::write(&file, "version: 2").unwrap();
    Watch::new(&sources, &settings()).changed().await;
}

#[test]
fn content_that_is_the_same_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    fs::write(&file, "version: 1").unwrap();
    let (sources, _) = Sources::read(&file);
    let paths = [file.clone()];
    let mut prints = Prints::loaded(&sources, &paths);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "version: 1").unwrap();
    assert!(!prints.update(&paths));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(prints.update(&paths), "a folder in its place is read without waiting");
    assert!(!prints.update(&paths));
}
