//! Vector files: results of other people's libraries, read into cases.
//!
//! A file is data from outside: every size is checked before it is used, and what is wrong is said with the file's and
//! the case's name. Which input goes where, and which oracle binds, stands in `vectors/mapping.rs`.

pub(crate) mod file;
mod mapping;

use super::{case::Case, open};
use kernel_pack::contract::Contract;
use std::{
    collections::HashSet,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes that a vector file may have.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The cases of a vector folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// All cases, file by file in the order of their names. Names are unique among the cases of a kernel.
    pub cases: Vec<Case>,
    /// Files that were left out because they are not about a kernel of this harness, with the reason.
    pub skipped: Vec<String>,
}

/// Why vectors could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// A folder or a file cannot be read.
    #[error("read `{}`: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something named `*.json` is a folder, a pipe or a device.
    #[error("read vector file `{file}`: it is not a regular file")]
    NotRegular {
        /// The file's name.
        file: String,
    },
    /// A file has more bytes, values or calls than vectors need.
    #[error("load vector file `{file}`: it has more than {limit} {unit}")]
    TooLarge {
        /// The file's name.
        file: String,
        /// What may not be exceeded.
        limit: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// A file is not JSON.
    #[error("parse vector file `{file}`: {source}")]
    Json {
        /// The file's name.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A file as a whole is not as the format asks.
    #[error("load vector file `{file}`: {what}")]
    File {
        /// The file's name.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The file's `kernel` is none that this harness has a contract for.
    #[error("load vector file `{file}`: kernel `{kernel}` is not one of this harness")]
    UnknownKernel {
        /// The file's name.
        file: String,
        /// The file's `kernel`.
        kernel: String,
    },
    /// A case is not as the format asks, or does not fit its kernel.
    #[error("load vector file `{file}`: case `{case}`: {what}")]
    Case {
        /// The file's name.
        file: String,
        /// The case's name, or its position where it has none.
        case: String,
        /// What is wrong.
        what: String,
    },
    /// A folder has no case for any kernel of this harness.
    #[error("find a vector case in `{}`", path.display())]
    NoCases {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads the content of a vector file; `file_name` is what errors call it. Cases are named `vector:` and the file's
/// name of the case, `/angles` or `/tables` for the runs of a rope case and `/batchN` where every batch is a call of its own.
///
/// # Errors
/// If the bytes are no vector file of a kernel of this harness, or a case of it does not fit the kernel or binds nothing.
pub fn load_bytes(file_name: &str, bytes: &[u8]) -> Result<Vec<Case>, VectorError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(file_name));
    }
    let file = file::parse(file_name, bytes, &|kernel| {
        kernel_core::kernel(kernel).is_some()
    })?;
    mapping::cases(file_name, &file)
}

/// As [`load_bytes`], of a kernel whose contract is data: inputs, parameters and outputs go by the names of the contract. Any oracle binds,
/// within the contract's tolerance.
///
/// # Errors
/// If the bytes are no vector file of this kernel, or a case does not fit the contract.
pub fn load_open(
    contract: &Arc<Contract>,
    file_name: &str,
    bytes: &[u8],
) -> Result<Vec<Case>, VectorError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(file_name));
    }
    let file = file::parse(file_name, bytes, &|kernel| kernel == contract.kernel)?;
    let case = |vector: &file::VectorCase| {
        open::vector_calls(contract, vector).map_err(|what| VectorError::Case {
            file: file_name.to_owned(),
            case: vector.name.clone(),
            what,
        })
    };
    file.cases.iter().map(case).collect()
}

/// How a file of this name is read: [`load_bytes`], or [`load_open`] with the contract of its kernel.
pub type Load<'a> = dyn Fn(&str, &[u8]) -> Result<Vec<Case>, VectorError> + 'a;

/// The kernel that a file is about.
///
/// # Errors
/// If the bytes are no JSON object with a `kernel`.
pub fn kernel_of(file_name: &str, bytes: &[u8]) -> Result<String, VectorError> {
    #[derive(serde::Deserialize)]
    struct Head {
        kernel: String,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|source| VectorError::Json {
        file: file_name.to_owned(),
        source,
    })?;
    Ok(head.kernel)
}

/// Reads every `*.json` of a folder, not of folders within it. Where two files have a case of the same kernel and name,
/// the later one's carries the name of its file.
///
/// # Errors
/// If a file cannot be read or loaded, or if there is no case at all. Files of kernels that this harness does not know are
/// skipped.
pub fn load_folder(path: &Path, load: &Load<'_>) -> Result<Folder, VectorError> {
    let unreadable = |source| VectorError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(file);
        }
    }
    files.sort();

    let mut folder = Folder {
        cases: Vec::new(),
        skipped: Vec::new(),
    };
    let mut names = HashSet::new();
    for path in files {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match load(&file, &read(&path, &file)?) {
            Ok(cases) => {
                for mut case in cases {
                    if !names.insert((case.kernel.clone(), case.name.clone())) {
                        case.name = format!("{}@{file}", case.name);
                        names.insert((case.kernel.clone(), case.name.clone()));
                    }
                    folder.cases.push(case);
                }
            }
            Err(error @ VectorError::UnknownKernel { .. }) => {
                folder.skipped.push(format!("skipped: failed to {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    if folder.cases.is_empty() {
        return Err(VectorError::NoCases {
            path: path.to_owned(),
        });
    }
    Ok(folder)
}

fn read(path: &Path, file: &str) -> Result<Vec<u8>, VectorError> {
    let unreadable = |source| VectorError::Read {
        path: path.to_owned(),
        source,
    };
    // Before it is opened: opening a pipe would wait for somebody to write.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(VectorError::NotRegular {
            file: file.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|open| open.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    Ok(bytes)
}

fn too_large(file: &str) -> VectorError {
    VectorError::TooLarge {
        file: file.to_owned(),
        limit: MAX_FILE_BYTES,
        unit: "bytes",
    }
}

#[cfg(test)]
mod tests;
