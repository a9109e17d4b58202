//! A pack as an uncompressed tar archive: the same tree under the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tar::EntryType;

use crate::error::{Code, Error, Rejection, quoted};
use crate::files::{ReadError, read_bounded};
use crate::path::check_path;
use crate::{LARGEST_FILE, LARGEST_PACK, MANIFEST_FILE};

/// Files and folders in an archive.
const MOST_MEMBERS: usize = 16_384;

/// The files of an archive, read once.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Path to bytes, or to the size of a file too large to be read.
    files: BTreeMap<String, Result<Vec<u8>, u64>>,
}

impl Archive {
    pub(crate) fn read(path: &Path, file: File) -> Result<Self, Error> {
        let size = file
            .metadata()
            .map_err(|source| Error::io("look at", path, source))?
            .len();
        // Headers and padding of at most MOST_MEMBERS files come on top of the files themselves.
        if size > LARGEST_PACK + (MOST_MEMBERS as u64) * 2048 {
            let message = format!("the archive has {size} bytes, more than a pack may have");
            return Err(Rejection::new(Code::FileTooLarge, message)
                .file(path.display().to_string())
                .into());
        }
        let unreadable = |source: std::io::Error| {
            let message = format!(
                "not a pack folder, and not an uncompressed tar archive: {}",
                quoted(&source.to_string())
            );
            Error::from(
                Rejection::new(Code::ManifestMissing, message).file(path.display().to_string()),
            )
        };
        let mut archive = tar::Archive::new(BufReader::new(file));
        let mut files = BTreeMap::new();
        let mut members = 0;
        for entry in archive.entries_with_seek().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            members += 1;
            if members > MOST_MEMBERS {
                let message = format!("the archive has more than {MOST_MEMBERS} members");
                return Err(Rejection::new(Code::FileTooLarge, message).into());
            }
            let raw = entry.path_bytes().into_owned();
            let name = String::from_utf8(raw).map_err(|error| {
                let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let message = format!(
                    "the archive has a member {} whose name is not UTF-8",
                    quoted(&shown)
                );
                Rejection::new(Code::PathInvalid, message)
            })?;
            let name = name.strip_prefix("./").unwrap_or(&name);
            match entry.header().entry_type() {
                EntryType::Directory => {
                    let name = name.trim_end_matches('/');
                    if !matches!(name, "" | ".") {
                        check_path(name)?;
                    }
                    continue;
                }
                EntryType::Regular => check_path(name)?,
                _ => {
                    let message = format!(
                        "the archive's member {} is not a regular file; links and devices have no place in a pack",
                        quoted(name)
                    );
                    return Err(Rejection::new(Code::NotARegularFile, message)
                        .file(quoted(name).trim_matches('"'))
                        .into());
                }
            }
            let name = name.to_owned();
            let size = entry.size();
            let bytes = match read_bounded(entry, size, LARGEST_FILE, |source| {
                ReadError::Failed(unreadable(source))
            }) {
                Ok(bytes) if bytes.len() as u64 == size => Ok(bytes),
                Ok(_) => {
                    return Err(unreadable(std::io::ErrorKind::UnexpectedEof.into()));
                }
                Err(ReadError::TooLarge(size)) => Err(size),
                Err(ReadError::Failed(error)) => return Err(error),
                Err(ReadError::Missing | ReadError::NotRegular(_)) => {
                    return Err(unreadable(std::io::ErrorKind::InvalidData.into()));
                }
            };
            if files.contains_key(&name) {
                let message = format!("the archive has two members named {}", quoted(&name));
                return Err(Rejection::new(Code::PathInvalid, message).file(name).into());
            }
            files.insert(name, bytes);
        }
        Ok(Self {
            files: without_common_folder(files),
        })
    }

    /// The bytes of a file.
    pub(crate) fn take(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        match self.files.get(path) {
            None if self
                .files
                .keys()
                .any(|name| name.starts_with(&format!("{path}/"))) =>
            {
                Err(ReadError::NotRegular("a directory"))
            }
            None => Err(ReadError::Missing),
            Some(Err(size)) => Err(ReadError::TooLarge(*size)),
            Some(Ok(bytes)) if bytes.len() as u64 > limit => {
                Err(ReadError::TooLarge(bytes.len() as u64))
            }
            Some(Ok(bytes)) => Ok(bytes.clone()),
        }
    }

    /// A file that `listed` does not hold.
    pub(crate) fn unlisted(&self, listed: &BTreeSet<&str>) -> Option<String> {
        self.files
            .keys()
            .find(|name| !listed.contains(name.as_str()))
            .cloned()
    }
}

/// `tar cf core.tar core` puts the pack into a folder of its own; that folder is not part of the paths.
fn without_common_folder<T>(files: BTreeMap<String, T>) -> BTreeMap<String, T> {
    let folder = match files.keys().next().and_then(|name| name.split_once('/')) {
        Some((folder, _)) => format!("{folder}/"),
        None => return files,
    };
    let common = files.contains_key(&format!("{folder}{MANIFEST_FILE}"))
        && files.keys().all(|name| name.starts_with(&folder));
    if !common {
        return files;
    }
    files
        .into_iter()
        .map(|(name, content)| (name[folder.len()..].to_owned(), content))
        .collect()
}
