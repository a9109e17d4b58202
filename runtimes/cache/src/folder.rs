//! Files of one folder, which is opened once: whatever is done to its path afterwards, the files are those of this folder.

use crate::{Found, Key, LARGEST_CODE};
use hmac::{Hmac, KeyInit, Mac};
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Stat, fchmod, fstat, linkat, openat, renameat, unlinkat,
    },
    io::Errno,
};
use sha2::Sha256;
use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::Path,
};

const SECRET: &str = "secret";
const SECRET_BYTES: usize = 32;
const MAGIC: &[u8; 16] = b"assay code v1\0\0\0";
/// Magic, key, length of the code, authentication code.
const HEADER_BYTES: usize = 16 + 32 + 8 + 32;
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder and its secret.
pub(crate) struct Folder {
    folder: OwnedFd,
    secret: [u8; SECRET_BYTES],
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Folder").finish_non_exhaustive()
    }
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| error.to_string())?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => "not a folder, or a symbolic link".to_owned(),
            error => error.to_string(),
        })?;
        private(&folder, FileType::Directory, "the folder")?;
        let secret = match read_secret(&folder)? {
            Some(secret) => secret,
            None => {
                make_secret(&folder)
                    .map_err(|error| format!("its secret cannot be written: {error}"))?;
                read_secret(&folder)?.ok_or("its secret has vanished")?
            }
        };
        Ok(Self { folder, secret })
    }

    pub(crate) fn find(&self, key: &Key) -> Found {
        let name = key.file();
        let file = match open_file(&self.folder, &name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Found::Absent,
            Err(Errno::LOOP) => return Found::Refused("a symbolic link".to_owned()),
            Err(error) => return Found::Refused(error.to_string()),
        };
        match self.read(file, key) {
            Ok(code) => Found::Code(code),
            Err(reason) => Found::Refused(reason),
        }
    }

    fn read(&self, file: File, key: &Key) -> Result<Vec<u8>, String> {
        let stat = private(&file, FileType::RegularFile, "the file")?;
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if !(HEADER_BYTES..=HEADER_BYTES + LARGEST_CODE).contains(&size) {
            return Err(format!("{size} bytes are not what was written"));
        }
        let mut bytes = Vec::with_capacity(size + 1);
        // Once, into memory: what is authenticated is what is loaded.
        file.take(size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        let (Some(header), Some(code)) = (bytes.get(..HEADER_BYTES), bytes.get(HEADER_BYTES..))
        else {
            return Err("cut short".to_owned());
        };
        let (said, tag) = header.split_at(HEADER_BYTES - 32);
        if said != Self::prefix(key, code.len()) {
            return Err("another key, length or format".to_owned());
        }
        self.authenticator(key, code)?
            .verify_slice(tag)
            .map_err(|_| "not written by this cache, or changed since".to_owned())?;
        bytes.drain(..HEADER_BYTES);
        Ok(bytes)
    }

    pub(crate) fn keep(&self, key: &Key, code: &[u8]) -> Result<(), String> {
        let tag = self.authenticator(key, code)?.finalize().into_bytes();
        let prefix = Self::prefix(key, code.len());
        let written = write_beside(&self.folder, &[&prefix, &tag, code]).and_then(|temporary| {
            let renamed = renameat(&self.folder, &temporary, &self.folder, key.file());
            if renamed.is_err() {
                remove(&self.folder, &temporary);
            }
            Ok(renamed?)
        });
        written.map_err(|error| error.to_string())
    }

    fn prefix(key: &Key, length: usize) -> Vec<u8> {
        let mut prefix = MAGIC.to_vec();
        prefix.extend_from_slice(key.bytes());
        prefix.extend_from_slice(&(length as u64).to_le_bytes());
        prefix
    }

    fn authenticator(&self, key: &Key, code: &[u8]) -> Result<Hmac<Sha256>, String> {
        let mut authenticator =
            Hmac::<Sha256>::new_from_slice(&self.secret).map_err(|error| error.to_string())?;
        authenticator.update(&Self::prefix(key, code.len()));
        authenticator.update(code);
        Ok(authenticator)
    }
}

/// Opens for reading, never through a link, and without waiting for whoever writes to a pipe.
fn open_file(folder: &OwnedFd, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty()).map(File::from)
}

/// That an open file is what it should be, belongs to this user, and is closed to all others.
fn private(file: impl AsFd, kind: FileType, what: &str) -> Result<Stat, String> {
    let stat = fstat(file).map_err(|error| error.to_string())?;
    let user = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return Err(format!("{what} is of another type"));
    }
    if stat.st_uid != user {
        return Err(format!(
            "{what} belongs to user {}, not to user {user}",
            stat.st_uid
        ));
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{what} is open to others (mode {mode:o}): only its owner may have access"
        ));
    }
    Ok(stat)
}

fn read_secret(folder: &OwnedFd) -> Result<Option<[u8; SECRET_BYTES]>, String> {
    let wrong = |what: String| format!("{what}; remove the folder, and a new one is made");
    let file = match open_file(folder, SECRET) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(wrong(format!("its secret cannot be opened: {error}"))),
    };
    private(&file, FileType::RegularFile, "its secret").map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(format!("its secret cannot be read: {error}")))?;
    match bytes.try_into() {
        Ok(secret) => Ok(Some(secret)),
        Err(_) => Err(wrong("its secret has another length".to_owned())),
    }
}

/// Makes the secret, unless another process was faster. It appears complete or not at all.
fn make_secret(folder: &OwnedFd) -> io::Result<()> {
    let secret = random::<SECRET_BYTES>()?;
    let temporary = write_beside(folder, &[&secret])?;
    let linked = linkat(folder, &temporary, folder, SECRET, AtFlags::empty());
    remove(folder, &temporary);
    match linked {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A new file with these parts, and its name. Nothing is left behind where that fails.
fn write_beside(folder: &OwnedFd, parts: &[&[u8]]) -> io::Result<String> {
    let mut name = "new-".to_owned();
    for byte in random::<16>()? {
        name += &format!("{byte:02x}");
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, &name, flags, OWNER_ONLY)?);
    let written = fchmod(&file, OWNER_ONLY)
        .map_err(io::Error::from)
        .and_then(|()| parts.iter().try_for_each(|part| file.write_all(part)));
    match written {
        Ok(()) => Ok(name),
        Err(error) => {
            remove(folder, &name);
            Err(error)
        }
    }
}

fn remove(folder: &OwnedFd, name: &str) {
    // A file that stays has a name that nobody looks for.
    let _ = unlinkat(folder, name, AtFlags::empty());
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
