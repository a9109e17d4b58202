//! Files appear whole or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;

/// Writes a file that anyone may read, replacing what was there in one step.
///
/// # Errors
/// [`Error::Io`]; what was there is there still.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    temporary(path, bytes, 0o644)?
        .persist(path)
        .map(drop)
        .map_err(|error| Error::io("write", path, error.error))
}

/// Writes a file that only its owner may read; refuses to replace one.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    temporary(path, bytes, 0o600)?
        .persist_noclobber(path)
        .map(drop)
        .map_err(|error| Error::io("create", path, error.error))
}

/// Whether there is no such file; a home such as `/dev/null` has none.
pub(crate) fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Opens a file for reading.
///
/// # Errors
/// The system's own, and if it is no regular file.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    regular(File::options().read(true), path)
}

/// Opens a regular file. A pipe without a writer would be waited for without end, and what a device gives has none.
fn regular(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let reason = "it is not a regular file: name one, or put what it gives into one";
    let other = || std::io::Error::other(reason);
    // Nothing is asked of what is none: where a file is made none is there.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(other());
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(other()),
    }
}

/// Removes a file that need not be there.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// How long another writer may take.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Keeps other writers away from a file, whose folder is made if need be, until the result is dropped. The lock is a file of
/// its own beside it, because the file itself is replaced. Where there are no locks, as in WASI, nothing is kept away.
///
/// # Errors
/// [`Error::Io`], also if another writer takes longer than 10 seconds.
pub fn lock(path: &Path) -> Result<Option<File>, Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let failed = |source: std::io::Error| Error::io("lock", &beside, source);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::io("make the folder", folder, source))?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = regular(&mut options, &beside).map_err(failed)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if started.elapsed() < LONGEST_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(failed(std::io::Error::other(
                    "another process has held it for 10 seconds",
                )));
            }
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn temporary(path: &Path, bytes: &[u8], mode: u32) -> Result<tempfile::NamedTempFile, Error> {
    let failed = |source| Error::io("write", path, source);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Created readable by the owner only.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    set_mode(file.as_file(), mode).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Where files have no modes, as in WASI, whoever holds the folder decides.
#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("seen.lock");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let refused = open_regular(&pipe).unwrap_err();
        assert!(refused.to_string().contains("not a regular file"));
        let beside = folder.path().join("seen");
        assert!(lock(&beside).is_err());
        std::fs::remove_file(&pipe).unwrap();
        assert!(lock(&beside).unwrap().is_some());
        // What is no file at all is the system's to say.
        let absent = open_regular(&folder.path().join("none")).unwrap_err();
        assert!(is_absent(&absent));
    }
}
