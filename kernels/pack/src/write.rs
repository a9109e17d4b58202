//! Files appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::error::Error;

/// Writes a file that anyone may read, replacing what was there in one step.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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
fn set_mode(file: &std::fs::File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Where files have no modes, as in WASI, whoever holds the folder decides.
#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: u32) -> std::io::Result<()> {
    Ok(())
}
