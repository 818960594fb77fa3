//! The file with the admin token of a running gateway whose configuration gives none: `gatewright run` writes it, and the
//! commands that call the admin API read it.

use gatewright_sdk::Secret;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file for the admin API at an address with this id, such as its port:
/// `$XDG_STATE_HOME/gatewright/admin-PORT.token`, or below `$HOME/.local/state`.
/// `None` if the environment names neither.
pub fn path(id: &str) -> Option<PathBuf> {
    path_in(|name| std::env::var_os(name), id)
}

fn path_in(variable: impl Fn(&str) -> Option<OsString>, id: &str) -> Option<PathBuf> {
    // A relative path is to be ignored: XDG Base Directory Specification 0.8.
    let folder = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("gatewright").join(format!("admin-{id}.token")))
}

/// Reads the token in such a file.
pub fn read(path: &Path) -> io::Result<Secret> {
    Ok(Secret::new(fs::read_to_string(path)?.trim_end().to_owned()))
}

/// The file of this process. It is removed when this value is dropped.
#[derive(Debug)]
pub struct AdminTokenFile {
    path: PathBuf,
    token: Secret,
}

impl AdminTokenFile {
    /// Writes `token` to `path`, readable by this user alone.
    pub fn write(path: PathBuf, token: &Secret) -> io::Result<Self> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // It may have existed. The folder of another user cannot be changed, and is not trusted.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let beside = path.with_extension(format!("token.{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        written.and_then(|mut file| file.write_all(format!("{}\n", token.expose()).as_bytes()))?;
        fs::rename(&beside, &path).inspect_err(|_| drop(fs::remove_file(&beside)))?;
        Ok(Self { path, token: token.clone() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless another process has replaced it.
    pub fn remove(&self) {
        if read(&self.path).is_ok_and(|token| token.expose() == self.token.expose()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for AdminTokenFile {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_with(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        path_in(variable, "9901").map(|path| path.display().to_string())
    }

    #[test]
    fn the_folder_for_state_is_used() {
        let home = ("HOME", "/home/a");
        let expected = "/home/a/.local/state/gatewright/admin-9901.token";
        assert_eq!(path_with(&[home]).as_deref(), Some(expected));
        assert_eq!(path_with(&[("XDG_STATE_HOME", "relative"), home]).as_deref(), Some(expected));
        let state = [("XDG_STATE_HOME", "/state"), home];
        assert_eq!(path_with(&state).as_deref(), Some("/state/gatewright/admin-9901.token"));
        assert_eq!(path_with(&[]), None);
    }

    #[test]
    fn only_the_owner_can_read_the_file_and_it_goes_with_its_process() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("gatewright/admin-1.token");
        let file = AdminTokenFile::write(path.clone(), &Secret::new("one".to_owned())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read(&path).unwrap().expose(), "one");
        let newer = AdminTokenFile::write(path.clone(), &Secret::new("two".to_owned())).unwrap();
        drop(file);
        assert_eq!(read(&path).unwrap().expose(), "two", "the file of another process stays");
        drop(newer);
        assert!(!path.exists());
    }
}
