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

#[tokio::test]
async fn a_glob_that_matches_nothing_is_watched_even_without_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("gateway.yaml"), "version: 1\ninclude: [routes.d/*.yaml]").unwrap();
    let seen_by_events = |path: &Path| {
        let settings = serde_json::from_str(r#"{ "debounce": "5ms", "poll": "1h" }"#).unwrap();
        Watch::new(&Sources::read(path).0, &settings)
    };
    let watch = seen_by_events(&at("gateway.yaml"));
    // The thread that watches has begun once it has seen a change.
    fs::write(at("gateway.yaml"), "version: 2\ninclude: [routes.d/*.yaml]").unwrap();
    watch.changed().await;
    fs::create_dir(at("routes.d")).unwrap();
    watch.changed().await;
    watch.follow(
        &Sources::read(&at("gateway.yaml")).0,
        &serde_json::from_str(r#"{ "debounce": "5ms", "poll": "1h" }"#).unwrap(),
    );
    fs::write(at("routes.d/a.yaml"), "routes: {}").unwrap();
    watch.changed().await;
}

#[tokio::test]
async fn other_files_do_not_delay_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("gateway.yaml"), "version: 1").unwrap();
    let settings = serde_json::from_str(r#"{ "debounce": "300ms", "poll": "1h" }"#).unwrap();
    let watch = Watch::new(&Sources::read(&at("gateway.yaml")).0, &settings);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let noise = at("data.db");
    let writer = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(10)).is_err_and(|error| error == RecvTimeoutError::Timeout) {
            fs::write(&noise, format!("{:?}", Instant::now())).unwrap();
        }
    });
    fs::write(at("gateway.yaml"), "version: 2").unwrap();
    let started = Instant::now();
    watch.changed().await;
    assert!(started.elapsed() < STORM, "{:?}", started.elapsed());
    drop(stop);
    writer.join().unwrap();
}
