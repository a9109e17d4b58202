//! Signed kernel packs.
//!
//! A pack is a folder, or the same tree in an uncompressed tar archive: `kernels.json`, its Ed25519 signatures, and
//! the files that it lists. [`verify`] is the only way to a [`Pack`]: signatures first, before the JSON is parsed; then
//! the manifest, the versions, the hashes of all files, and the pre-pass over all modules. A kernel's bytes are read
//! once: what was hashed is what [`PackKernel::wasm`] hands out.
//!
//! Needs a Unix: files are opened relative to the pack's folder, following no link.
#![forbid(unsafe_code)]

mod archive;
pub mod build;
pub mod compat;
pub mod contract;
#[cfg(test)]
mod documents;
mod error;
mod fallback;
mod feature;
mod fields;
mod files;
mod json;
mod key;
mod manifest;
mod module;
mod pack;
mod path;
mod rollback;
mod schema;
pub mod sign;
pub mod signature;
mod source;
mod store;
mod successor;
mod trust;
mod user;
mod write;

pub use error::{Code, Error, Rejection};
pub use fallback::Fallback;
pub use feature::Feature;
pub use key::PublicKey;
pub use module::{
    ModuleFacts, ModuleRules, PlainFacts, State, entry_parameters, inspect_module,
    inspect_plain_module,
};
pub use pack::{
    Pack, PackArtifact, PackKernel, PackReference, PackVariant, PackVector, Policy, UntrustedPack,
    verify,
};
pub use path::check_path;
pub use rollback::SeenVersions;
pub use schema::{
    ArtifactEntry, Author, Benchmark, Dimension, Dtype, FileEntry, HostCaps, KernelEntry, Manifest,
    Param, Platform, ResourceLimits, SCHEMA, Tensor, Tolerance, VariantEntry, VectorEntry,
};
pub use store::{Change, StoredKey, TrustStore};
pub use successor::Successor;
pub use trust::TrustList;
pub use user::LIST as TRUST_LIST_FILE;
pub use write::{lock, open_regular, write_file};

/// The manifest.
pub const MANIFEST_FILE: &str = "kernels.json";

/// The author's signature over the manifest's bytes.
pub const SIGNATURE_FILE: &str = "kernels.json.sig";

/// Signatures over the same bytes by further keys; need not be there.
pub const SIGNATURES_FILE: &str = "kernels.json.sigs";

/// Bytes of a manifest.
pub const LARGEST_MANIFEST: u64 = 1 << 20;

/// Bytes of any other file.
pub const LARGEST_FILE: u64 = 8 << 20;

/// Bytes of all listed files of a pack together.
pub const LARGEST_PACK: u64 = 256 << 20;

/// A folder that ends with the test. WASI names no place for such; this workspace's runner offers `/tmp`.
#[cfg(test)]
fn scratch() -> tempfile::TempDir {
    let made = if cfg!(target_os = "wasi") {
        tempfile::tempdir_in("/tmp")
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}
