//! The results folder: made before anything runs, so that a folder that cannot be written costs nothing; records are
//! flushed line by line, documents are written beside and renamed.

use crate::exit;
use anyhow::{Context, Error, Result, anyhow};
use kernel_pack::Pack;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Which pack a result is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PackIdentity {
    /// Name of the pack.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// The key that verified it.
    pub key: String,
    /// Number of kernels.
    pub kernels: usize,
    /// SHA-256 of the manifest, which lists the hash of every file.
    pub manifest_sha256: String,
}

impl PackIdentity {
    /// The identity of a verified pack.
    pub fn of(pack: &Pack) -> Self {
        Self {
            name: pack.name().to_owned(),
            version: pack.version().to_string(),
            key: pack.key(),
            kernels: pack.kernels().len(),
            manifest_sha256: hex::encode(pack.manifest_sha256()),
        }
    }
}

/// A folder of results.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folders that were not there before, the innermost first.
    made: Vec<PathBuf>,
    /// Names of the files that were written, those of lines included.
    written: Mutex<BTreeSet<String>>,
}

impl Folder {
    /// Makes the folder: `out` if given, else a dated one under `assay-results/` in the current folder.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn create(out: Option<&Path>, command: &str) -> Result<Folder> {
        Self::make(named(out, command)?)
    }

    /// The same for results about a pack, which would not be accepted any more with their files in it.
    ///
    /// # Errors
    /// Usage for a folder that is the pack's, or in it; if it cannot be made or written.
    pub fn beside(pack: &Path, out: Option<&Path>, command: &str) -> Result<Folder> {
        let path = named(out, command)?;
        if within(&path, pack) {
            return Err(exit::usage(format!(
                "the results folder `{}` is in the pack, whose files are all listed; name another with --out DIR",
                path.display()
            )));
        }
        Self::make(path)
    }

    fn make(path: PathBuf) -> Result<Folder> {
        let context = || {
            format!(
                "failed to write the results folder `{}`; name another with --out DIR",
                path.display()
            )
        };
        let above = path
            .ancestors()
            .filter(|above| !above.as_os_str().is_empty());
        let made = above.take_while(|above| !above.exists());
        let made = made.map(Path::to_owned).collect();
        fs::create_dir_all(&path).with_context(context)?;
        tempfile::tempfile_in(&path).with_context(context)?;
        Ok(Folder {
            path,
            made,
            written: Mutex::default(),
        })
    }

    /// Removes what was made for a run that had nothing to begin with, as far as it is empty.
    pub fn abandon(&self) {
        for folder in &self.made {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the files that were written here, in order.
    pub fn written(&self) -> Vec<String> {
        self.names().iter().cloned().collect()
    }

    /// A thread that panicked while it held the names has left them whole.
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a file of JSON lines.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn lines(&self, name: &str) -> Result<Lines> {
        let path = self.path.join(name);
        let file =
            File::create(&path).with_context(|| format!("failed to write `{}`", path.display()))?;
        self.names().insert(name.to_owned());
        Ok(Lines {
            path,
            file: BufWriter::new(file),
        })
    }

    /// Writes a JSON document, complete or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn document(&self, name: &str, document: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(document).context("failed to encode a document")?;
        self.file(name, &bytes)
    }

    /// Writes a file, complete or not at all; `name` may name folders below this one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let context = || format!("failed to write `{}`", path.display());
        let folder = path.parent().unwrap_or(&self.path);
        // Made again it would look like the results of a run, without what was written before.
        if !self.path.is_dir() {
            return Err(anyhow!("the results folder is gone")).with_context(context);
        }
        fs::create_dir_all(folder).with_context(context)?;
        #[cfg_attr(
            not(unix),
            expect(unused_mut, reason = "only Unix has permissions to set")
        )]
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; results are as readable as any other file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).with_context(context)?;
        file.write_all(bytes).with_context(context)?;
        file.persist(&path).with_context(context)?;
        self.names().insert(name.to_owned());
        Ok(())
    }
}

/// The folder `out` if given, else a dated one under `assay-results/` in the current folder.
fn named(out: Option<&Path>, command: &str) -> Result<PathBuf> {
    if let Some(path) = out {
        return Ok(path.to_owned());
    }
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]");
    let stamp = time::OffsetDateTime::now_utc()
        .format(format)
        .context("failed to name a results folder by the time")?;
    // Two runs in one second must not share a folder. Inside WebAssembly a process has no number.
    let process = if cfg!(target_family = "wasm") {
        0
    } else {
        std::process::id()
    };
    Ok(PathBuf::from("assay-results").join(format!("{stamp}-{command}-{process}")))
}

/// Whether a path, of which the last parts may not exist yet, is a folder or lies in it.
fn within(path: &Path, folder: &Path) -> bool {
    let (Ok(folder), Ok(path)) = (fs::canonicalize(folder), std::path::absolute(path)) else {
        return false;
    };
    let there = path
        .ancestors()
        .find_map(|part| fs::canonicalize(part).ok());
    there.is_some_and(|there| there.starts_with(folder))
}

/// A file of JSON lines.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    /// Appends a record and flushes it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn push(&mut self, record: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.file, record)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.flush())
            .with_context(|| format!("failed to write `{}`", self.path.display()))
    }
}

/// A file of JSON lines that several threads write to. A record that cannot be written is an error at the end.
#[derive(Debug)]
pub struct SharedLines(Mutex<(Lines, Option<Error>)>);

impl SharedLines {
    /// Shares a file.
    pub fn new(lines: Lines) -> Self {
        Self(Mutex::new((lines, None)))
    }

    /// Appends a record and flushes it.
    pub fn push(&self, record: &impl Serialize) {
        // A thread that panicked while it wrote has broken the file for all.
        let Ok(mut guard) = self.0.lock() else { return };
        let (lines, failed) = &mut *guard;
        if failed.is_none() {
            *failed = lines.push(record).err();
        }
    }

    /// Closes the file.
    ///
    /// # Errors
    /// The first record that could not be written.
    pub fn finish(self) -> Result<()> {
        match self.0.into_inner() {
            Ok((_, None)) => Ok(()),
            Ok((_, Some(error))) => Err(error),
            Err(_) => Err(anyhow!("a record was not written to its end")),
        }
    }
}
