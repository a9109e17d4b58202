//! Reading the files of a pack folder without following a link, blocking, or reading more than allowed.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;

/// How deep the search for unlisted files goes; listed paths are shorter.
const DEEPEST_FOLDER: usize = 128;

/// How many directory entries the search for unlisted files looks at before it calls the rest unlisted.
const MOST_ENTRIES: usize = 100_000;

/// Why a file of a pack could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// There is no such file.
    Missing,
    /// Something else stands there; what.
    NotRegular(&'static str),
    /// Larger than the limit; its size in bytes.
    TooLarge(u64),
    /// The operating system refused.
    Failed(Error),
}

/// A pack as a folder.
pub(crate) struct Folder {
    root: PathBuf,
    handle: OwnedFd,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|errno| Error::io("open the pack folder", root, errno))?;
        Ok(Self {
            root: root.to_owned(),
            handle,
        })
    }

    /// The bytes of a regular file that no symbolic link leads to. `path` has passed `check_path`.
    pub(crate) fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let failed = |source: std::io::Error| {
            ReadError::Failed(Error::io("read", self.root.join(path), source))
        };
        let mut folder: Option<OwnedFd> = None;
        let (parents, name) = match path.rsplit_once('/') {
            Some((parents, name)) => (parents.split('/').collect(), name),
            None => (Vec::new(), path),
        };
        for part in parents {
            let at = folder.as_ref().unwrap_or(&self.handle);
            self.expect(at, part, FileType::Directory, path)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = Some(
                rustix::fs::openat(at, part, flags, Mode::empty())
                    .map_err(|errno| failed(errno.into()))?,
            );
        }
        let at = folder.as_ref().unwrap_or(&self.handle);
        // Looked at before it is opened: opening a device can do things.
        self.expect(at, name, FileType::RegularFile, path)?;
        // NONBLOCK: opening a FIFO that took the file's place in the meantime must not wait for a writer.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file: std::fs::File = rustix::fs::openat(at, name, flags, Mode::empty())
            .map_err(|errno| failed(errno.into()))?
            .into();
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ReadError::NotRegular("not a regular file"));
        }
        read_bounded(file, metadata.len(), limit, failed)
    }

    /// A file that `listed` does not hold. Directories count only if they hold one.
    pub(crate) fn unlisted(&self, listed: &BTreeSet<&str>) -> Result<Option<String>, Error> {
        let mut folders = vec![(self.root.clone(), String::new(), 0)];
        let mut entries = 0;
        while let Some((folder, prefix, depth)) = folders.pop() {
            let failed = |source| Error::io("list", &folder, source);
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = match entry.file_name().to_str() {
                    Some(name) => format!("{prefix}{name}"),
                    None => {
                        return Ok(Some(format!(
                            "{prefix}{}",
                            entry.file_name().to_string_lossy()
                        )));
                    }
                };
                entries += 1;
                // The type comes from the directory entry: a link to a folder is a link.
                if entry.file_type().map_err(failed)?.is_dir() {
                    if depth >= DEEPEST_FOLDER {
                        return Ok(Some(path));
                    }
                    folders.push((entry.path(), format!("{path}/"), depth + 1));
                } else if !listed.contains(path.as_str()) {
                    return Ok(Some(path));
                }
                if entries > MOST_ENTRIES {
                    return Ok(Some(prefix));
                }
            }
        }
        Ok(None)
    }

    /// Refuses anything at `name` but the expected kind, without following links.
    fn expect(
        &self,
        at: &OwnedFd,
        name: &str,
        expected: FileType,
        path: &str,
    ) -> Result<(), ReadError> {
        let stat = match rustix::fs::statat(at.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(ReadError::Missing),
            Err(errno) => {
                return Err(ReadError::Failed(Error::io(
                    "look at",
                    self.root.join(path),
                    errno,
                )));
            }
        };
        let found = FileType::from_raw_mode(stat.st_mode);
        if found == expected {
            return Ok(());
        }
        Err(ReadError::NotRegular(match found {
            FileType::Symlink => "reached through a symbolic link",
            FileType::Directory => "a directory",
            // WASI does not tell these.
            #[cfg(not(target_os = "wasi"))]
            FileType::Fifo => "a FIFO",
            #[cfg(not(target_os = "wasi"))]
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::RegularFile => "below a file",
            _ => "not a regular file",
        }))
    }
}

/// Reads a file of a known size, once, and no further than the limit even if it grows meanwhile.
pub(crate) fn read_bounded(
    file: impl Read,
    size: u64,
    limit: u64,
    failed: impl Fn(std::io::Error) -> ReadError,
) -> Result<Vec<u8>, ReadError> {
    if size > limit {
        return Err(ReadError::TooLarge(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge(bytes.len() as u64));
    }
    Ok(bytes)
}
