//! Where a pack's files come from: a folder or an archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use crate::archive::Archive;
use crate::error::{Code, Error, Rejection};
use crate::files::{Folder, ReadError};

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Turns a file that could not be read into a rejection with the codes that fit its role.
pub(crate) fn refuse(error: ReadError, path: &str, missing: Code, too_large: Code) -> Error {
    let rejection = match error {
        ReadError::Missing => Rejection::new(missing, format!("there is no {path} in the pack")),
        ReadError::NotRegular(found) => Rejection::new(
            Code::NotARegularFile,
            format!("{path} is {found}, not a regular file; put the file itself into the pack"),
        ),
        ReadError::TooLarge(size) => Rejection::new(
            too_large,
            format!("{path} has {size} bytes, more than allowed"),
        ),
        ReadError::Failed(error) => return error,
    };
    rejection.file(path).into()
}

/// Where a pack's files come from.
pub(crate) enum Source {
    Folder(Folder),
    Archive(Archive),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        // The path itself is the caller's; links that lead to it are his business.
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::NotFound(path.to_owned())
            }
            _ => Error::io("look at", path, source),
        })?;
        if metadata.is_dir() {
            return Ok(Source::Folder(Folder::open(path)?));
        }
        if !metadata.is_file() {
            let message = "the pack is neither a folder nor an archive".to_owned();
            return Err(Rejection::new(Code::NotARegularFile, message)
                .file(path.display().to_string())
                .into());
        }
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        Ok(Source::Archive(Archive::read(path, file)?))
    }

    pub(crate) fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        match self {
            Source::Folder(folder) => folder.read(path, limit),
            Source::Archive(archive) => archive.take(path, limit),
        }
    }

    /// A file that is not listed.
    pub(crate) fn unlisted(&self, listed: &BTreeSet<&str>) -> Result<Option<String>, Error> {
        match self {
            Source::Folder(folder) => folder.unlisted(listed),
            Source::Archive(archive) => Ok(archive.unlisted(listed)),
        }
    }
}
