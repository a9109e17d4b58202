//! Versions that failed: refused until somebody says otherwise.

use crate::{error::Error, pool::locked};
use kernel_pack::Pack;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// A record larger than this is not a record.
const LARGEST_RECORD: u64 = 1 << 20;
/// Packs remembered at most; the record is a help against loops of upgrade and rollback, not a list of all evil.
const MOST: usize = 1000;

/// A pack that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    version: String,
    reason: String,
}

/// By the manifest's SHA-256 in hexadecimal, which stands for every byte of a pack.
type Entries = BTreeMap<String, Entry>;

/// What failed in this host, and, where there is a file, in hosts before it.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    file: Option<PathBuf>,
    entries: Mutex<Entries>,
}

impl Failed {
    /// The record in a file, which need not be there.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            file: file.map(Path::to_owned),
            entries: Mutex::new(file.map_or(Ok(Entries::new()), read)?),
        })
    }

    /// Refuses a pack that failed.
    pub(crate) fn check(&self, pack: &Pack) -> Result<(), Error> {
        // Another process may have written it meanwhile.
        let mut entries = locked(&self.entries);
        if let Some(file) = &self.file {
            entries.extend(read(file)?);
        }
        match entries.get(&digest(pack)) {
            Some(entry) => Err(Error::FailedBefore {
                name: entry.name.clone(),
                version: entry.version.clone(),
                reason: entry.reason.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Remembers a pack. In this process that always holds; in the file it may fail, which the caller logs.
    pub(crate) fn remember(&self, pack: &Pack, reason: &str) -> Result<(), Error> {
        let mut entries = locked(&self.entries);
        let entry = Entry {
            name: pack.name().to_owned(),
            version: pack.version().to_string(),
            reason: reason.to_owned(),
        };
        entries.insert(digest(pack), entry);
        self.change(&mut entries)
    }

    /// Forgets all that failed.
    pub(crate) fn forget(&self) -> Result<(), Error> {
        let mut entries = locked(&self.entries);
        entries.clear();
        let Some(file) = &self.file else {
            return Ok(());
        };
        let _lock = lock(file)?;
        write(file, &entries)
    }

    fn change(&self, entries: &mut Entries) -> Result<(), Error> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let _lock = lock(file)?;
        for (digest, entry) in read(file)? {
            entries.entry(digest).or_insert(entry);
        }
        while entries.len() > MOST {
            entries.pop_first();
        }
        write(file, entries)
    }
}

fn digest(pack: &Pack) -> String {
    let bytes = pack.manifest_sha256();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writers wait for each other.
fn lock(file: &Path) -> Result<Option<File>, Error> {
    kernel_pack::lock(file).map_err(|error| failed("write", file, error))
}

fn read(file: &Path) -> Result<Entries, Error> {
    let mut bytes = Vec::new();
    match File::open(file) {
        Ok(opened) => opened
            .take(LARGEST_RECORD + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("read", file, error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Entries::new()),
        Err(error) => return Err(failed("read", file, error)),
    };
    if bytes.len() as u64 > LARGEST_RECORD {
        return Err(failed("read", file, "it is larger than 1 MiB"));
    }
    let advice = "mend it, or remove it to forget all failures";
    serde_json::from_slice(&bytes)
        .map_err(|error| failed("read", file, format!("{error}; {advice}")))
}

fn write(file: &Path, entries: &Entries) -> Result<(), Error> {
    let mut bytes =
        serde_json::to_vec_pretty(entries).map_err(|error| failed("write", file, error))?;
    bytes.push(b'\n');
    kernel_pack::write_file(file, &bytes).map_err(|error| failed("write", file, error))
}

fn failed(what: &'static str, file: &Path, reason: impl ToString) -> Error {
    Error::Record {
        what,
        path: file.display().to_string(),
        reason: reason.to_string(),
    }
}
