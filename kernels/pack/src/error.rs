//! Why a pack was refused, and what else can go wrong while looking at one.

use std::path::PathBuf;

use crate::key::PublicKey;

/// Declares [`Code`] together with its stable spelling.
macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// Why a pack was refused. The spelling is stable: it is printed and stands in JSON output.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$meta])* $variant),* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),* }
            }
        }
    };
}

codes! {
    /// There is no `kernels.json`.
    ManifestMissing = "manifest-missing",
    /// There is no `kernels.json.sig`.
    SignatureMissing = "signature-missing",
    /// The signature is not exactly 64 bytes, or the further ones are not of their form or do not hold.
    SignatureMalformed = "signature-malformed",
    /// No trusted key verifies a signature.
    NoTrustedKey = "no-trusted-key",
    /// The author's key, or the only known key that verifies, is revoked.
    KeyRevoked = "key-revoked",
    /// The key of `kernels.json.sig` is not the manifest's `author.signing_key`.
    KeyMismatch = "key-mismatch",
    /// The trust list holds a small-order or non-canonical key.
    TrustedKeyWeak = "trusted-key-weak",
    /// `kernels.json` is larger than 1 MiB.
    ManifestTooLarge = "manifest-too-large",
    /// Not UTF-8, byte-order mark, not JSON, too deep, duplicate key, trailing data, number out of range.
    ManifestMalformed = "manifest-malformed",
    /// A field is missing, unknown, of the wrong type or out of its range.
    ManifestInvalid = "manifest-invalid",
    /// `$schema` names a version that this release does not know.
    SchemaUnsupported = "schema-unsupported",
    /// Two kernels have the same id.
    DuplicateKernel = "duplicate-kernel",
    /// `expires_at` is over.
    PackExpired = "pack-expired",
    /// A path leads out of the pack.
    PathEscape = "path-escape",
    /// A path is not of the allowed form.
    PathInvalid = "path-invalid",
    /// A directory, symbolic link, FIFO or device stands where a file is expected.
    NotARegularFile = "not-a-regular-file",
    /// A listed file does not exist.
    KernelMissing = "kernel-missing",
    /// A listed file is larger than 8 MiB, or all of them together are larger than the host takes.
    FileTooLarge = "file-too-large",
    /// A hash is not `sha256:` and 64 lower-case hex digits.
    HashMalformed = "hash-malformed",
    /// A file's hash is not the listed one.
    HashMismatch = "hash-mismatch",
    /// The pack holds a file that no entry lists.
    UnlistedFile = "unlisted-file",
    /// This release, or an engine, is older than the pack asks for.
    RuntimeTooOld = "runtime-too-old",
    /// This release is newer than the pack allows.
    RuntimeTooNew = "runtime-too-new",
    /// An engine lacks a WebAssembly feature that a kernel needs.
    FeatureMissing = "feature-missing",
    /// A newer version of the pack was seen before.
    RollbackRefused = "rollback-refused",
    /// Not a binary core WebAssembly module.
    ModuleMalformed = "module-malformed",
    /// The module does not validate, or has something that no kernel may have.
    ModuleInvalid = "module-invalid",
    /// The module imports something.
    ImportForbidden = "import-forbidden",
    /// An export of the ABI is missing.
    ExportMissing = "export-missing",
    /// An export of the ABI has the wrong kind or type.
    ExportType = "export-type",
    /// Memory or tables beyond the manifest's limits.
    LimitExceeded = "limit-exceeded",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A pack was looked at and refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}{}", also(further))]
#[non_exhaustive]
pub struct Rejection {
    /// Why, in a form for programs.
    pub code: Code,
    /// Why, in a form for people: what, where, what to do. Text of the pack in it is escaped.
    pub message: String,
    /// The id of the kernel it is about.
    pub kernel: Option<String>,
    /// The file it is about: a path inside the pack, or the trust list.
    pub file: Option<String>,
    /// The key that signed, of a pack that was refused because of it; that the key signed was checked.
    pub signer: Option<Box<PublicKey>>,
    /// What else is wrong, as far as it does not follow from this; none of these has further ones.
    pub further: Vec<Rejection>,
}

/// A line for each, after the first one's.
fn also(further: &[Rejection]) -> String {
    let line = |one: &Rejection| format!("\n  also: {}: {}", one.code, one.message);
    further.iter().map(line).collect()
}

impl Rejection {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            kernel: None,
            file: None,
            signer: None,
            further: Vec::new(),
        }
    }

    /// A signed vector file that is damaged or does not fit the kernel's contract; the reason is fit to be printed.
    pub fn vectors(kernel: &str, file: &str, reason: &str) -> Self {
        Self::new(
            Code::ManifestInvalid,
            format!("{file}: no vectors of {kernel}: {reason}"),
        )
        .kernel(kernel)
        .file(file)
    }

    pub(crate) fn kernel(mut self, kernel: impl Into<String>) -> Self {
        self.kernel = Some(kernel.into());
        self
    }

    pub(crate) fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }
}

/// What is wrong with the parts of a whole, so that its author sees all of it at once.
#[derive(Default)]
pub(crate) struct Findings(Vec<Rejection>);

impl Findings {
    /// Readers of messages need no more.
    const MOST: usize = 32;

    /// A part, if nothing is wrong with it.
    pub(crate) fn keep<T>(&mut self, part: Result<T, Rejection>) -> Option<T> {
        match part {
            Ok(part) => Some(part),
            Err(mut rejection) => {
                let further = std::mem::take(&mut rejection.further);
                let room = Self::MOST.saturating_sub(self.0.len());
                let all = std::iter::once(rejection).chain(further);
                self.0.extend(all.take(room));
                None
            }
        }
    }

    /// As [`keep`](Self::keep), of parts that the system may refuse to read.
    ///
    /// # Errors
    /// What is no rejection.
    pub(crate) fn keep_read<T>(&mut self, part: Result<T, Error>) -> Result<Option<T>, Error> {
        match part {
            Ok(part) => Ok(Some(part)),
            Err(Error::Rejected(rejection)) => Ok(self.keep(Err(rejection))),
            Err(other) => Err(other),
        }
    }

    /// The whole, if nothing was found; else all that was, the first first.
    pub(crate) fn end<T>(self, whole: impl FnOnce() -> T) -> Result<T, Rejection> {
        let mut found = self.0.into_iter();
        match found.next() {
            None => Ok(whole()),
            Some(mut first) => {
                first.further = found.collect();
                Err(first)
            }
        }
    }
}

/// What can go wrong with a pack on disk. Messages read after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pack was refused.
    #[error("accept the pack: {0}")]
    Rejected(#[from] Rejection),
    /// The path that was given does not exist.
    #[error("find {}: there is no such file or folder", .0.display())]
    NotFound(PathBuf),
    /// A line of a trust list is not understood.
    #[error("read the trust list {source_name}, line {line}: {reason}")]
    TrustList {
        /// The file, or what stands for it.
        source_name: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A public key is not spelled as one, or weak.
    #[error("read the public key: {0}")]
    PublicKey(String),
    /// The user's own trust list cannot become what was asked for.
    #[error("change the trust store: {0}")]
    TrustStore(String),
    /// A successor statement is not understood, or its signature does not hold.
    #[error("read the successor statement: {0}")]
    Successor(String),
    /// A signing key file is not understood, or is not the key the manifest names.
    #[error("use the signing key: {0}")]
    SigningKey(String),
    /// A template cannot become a manifest.
    #[error("build the manifest: {0}")]
    Template(String),
    /// The file of seen versions is not understood.
    #[error("read the record of seen versions {}: {reason}", .path.display())]
    SeenVersions {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// Text of the pack for a message: quoted, control characters escaped, cut to a readable length.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let spellings: std::collections::BTreeSet<_> =
            Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(spellings.len(), Code::ALL.len());
        assert_eq!(Code::ALL.len(), 31);
        for text in spellings {
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
    }

    #[test]
    fn text_of_the_pack_cannot_steer_a_terminal() {
        assert_eq!(quoted("a\u{1b}[2J"), "\"a\\u{1b}[2J\"");
        assert!(quoted(&"x".repeat(1000)).chars().count() < 100);
    }
}
