//! The command that starts a program. Where `assay` was called, a pack of somebody else's may lie: nothing is loaded from there that the user has not
//! named.

use super::launch::Launch;
use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// Lists of folders in which programs look for code. An empty part of one is the current folder.
const LISTS: [&str; 6] = [
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "NODE_PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
];
/// Folders below which programs look for code: Python and Node have packages of the user's own.
const FOLDERS: [&str; 3] = ["HOME", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX"];
/// Where programs are, unless the environment says so.
#[cfg(unix)]
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

impl Launch {
    /// The command that starts it. A program without a folder in its name is one of an absolute folder of PATH, and nothing in its environment
    /// leads to the current folder.
    ///
    /// # Errors
    /// If no folder of PATH has it, or the system does not say what the current folder is.
    pub fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(found(&self.program, env::var_os("PATH").as_deref())?);
        command.args(&self.arguments);
        for name in LISTS.into_iter().chain(FOLDERS) {
            if let Some(value) = env::var_os(name) {
                match absolute(&value) {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Ok(command)
    }
}

/// The absolute folders of a list; `None` where it has none.
fn absolute(list: &OsStr) -> Option<OsString> {
    let folders = env::split_paths(list).filter(|folder| folder.is_absolute());
    env::join_paths(folders)
        .ok()
        .filter(|list| !list.is_empty())
}

/// The absolute path of a program.
#[cfg(unix)]
fn found(program: &Path, list: Option<&OsStr>) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    if program.components().count() != 1 || program.is_absolute() {
        return std::path::absolute(program);
    }
    let runs = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(list.unwrap_or(OsStr::new(USUAL)))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(runs)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "no absolute folder of PATH has such a program",
            )
        })
}

/// Elsewhere the system looks for it.
#[cfg(not(unix))]
fn found(program: &Path, _: Option<&OsStr>) -> io::Result<PathBuf> {
    Ok(program.to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_folders_of_a_list_remain() {
        let of = |list: &str| absolute(OsStr::new(list));
        assert_eq!(of(":/a:b:./c::/d:"), Some("/a:/d".into()));
        for nothing in ["", ":", ".", "a:./b"] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_name_alone_is_never_a_program_of_the_current_folder() {
        let of = |name: &str, list: &str| found(Path::new(name), Some(OsStr::new(list)));
        let shell = of("sh", ":relative:/usr/bin:/bin").unwrap();
        assert!(shell.is_absolute() && shell.is_file());
        // Tests run in the folder of the package.
        for list in ["", ":", ".", "src", "/nowhere"] {
            assert!(of("sh", list).is_err(), "{list:?}");
        }
        let here = env::current_dir().unwrap();
        assert_eq!(of("./tool", "").unwrap(), here.join("tool"));
        assert_eq!(of("bin/tool", "").unwrap(), here.join("bin/tool"));
        assert_eq!(of("/bin/tool", "").unwrap(), Path::new("/bin/tool"));
    }
}
