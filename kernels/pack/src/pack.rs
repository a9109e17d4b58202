//! From a path to a verified pack.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use semver::Version;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::archive::Archive;
use crate::compat;
use crate::contract::{self, Contract, ContractEntry, TruthSource};
use crate::error::{Code, Error, Rejection, quoted};
use crate::fallback::Fallback;
use crate::feature::Feature;
use crate::files::{Folder, ReadError};
use crate::key::PublicKey;
use crate::module::{ModuleFacts, ModuleRules, inspect_module};
use crate::rollback::SeenVersions;
use crate::schema::{
    FileEntry, HostCaps, KernelEntry, Manifest, Platform, ResourceLimits, Tolerance,
};
use crate::signature::{FurtherSignature, LARGEST_SIGNATURES, SIGNATURE_BYTES, Signed};
use crate::trust::TrustList;
use crate::{
    LARGEST_FILE, LARGEST_MANIFEST, LARGEST_PACK, MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE,
};

/// What verification needs to know besides the pack and the trusted keys. Nothing in it skips a check of the pack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The time that `expires_at` is compared with.
    pub now: SystemTime,
    /// What the host is willing to grant.
    pub host_caps: HostCaps,
    /// The release that `min_runtime_version` and `max_runtime_version` gate.
    pub runtime_version: Version,
    /// Versions seen before, by name and key; an older one is refused. The caller records what it accepts.
    pub seen: SeenVersions,
    /// Whether going back to an older version was asked for.
    pub allow_rollback: bool,
}

impl Policy {
    /// This release with its default caps, at a time, without a memory of earlier versions.
    pub fn at(now: SystemTime) -> Self {
        Self {
            now,
            host_caps: HostCaps::default(),
            runtime_version: Version::parse(compat::RUNTIME_VERSION)
                .unwrap_or(Version::new(0, 0, 0)),
            seen: SeenVersions::default(),
            allow_rollback: false,
        }
    }
}

/// Reads a pack from a folder or an uncompressed tar archive and verifies it.
///
/// # Errors
/// [`Error::Rejected`] if the pack is refused, [`Error::NotFound`] if there is nothing at `path`,
/// [`Error::Io`] if the system refuses to read it.
pub fn verify(path: &Path, trust: &TrustList, policy: &Policy) -> Result<Pack, Error> {
    UntrustedPack::read(path)?.verify(trust, policy)
}

/// A manifest and signatures that nobody has looked at yet.
pub struct UntrustedPack {
    source: Source,
    untrusted_manifest: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
    /// What `kernels.json.sigs` holds, if it is there.
    further: Vec<FurtherSignature>,
}

impl UntrustedPack {
    /// Reads the manifest's and the signatures' bytes; of an archive, all files.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut source = Source::open(path)?;
        let untrusted_manifest = source
            .read(MANIFEST_FILE, LARGEST_MANIFEST)
            .map_err(|error| {
                refuse(
                    error,
                    MANIFEST_FILE,
                    Code::ManifestMissing,
                    Code::ManifestTooLarge,
                )
            })?;
        let signature = source
            .read(SIGNATURE_FILE, SIGNATURE_BYTES as u64)
            .map_err(|error| {
                refuse(
                    error,
                    SIGNATURE_FILE,
                    Code::SignatureMissing,
                    Code::SignatureMalformed,
                )
            })?;
        let signature = signature.as_slice().try_into().map_err(|_| {
            let message = format!(
                "{SIGNATURE_FILE} has {} bytes, a signature has {SIGNATURE_BYTES}",
                signature.len()
            );
            Rejection::new(Code::SignatureMalformed, message).file(SIGNATURE_FILE)
        })?;
        let further = match source.read(SIGNATURES_FILE, LARGEST_SIGNATURES) {
            Ok(bytes) => FurtherSignature::parse_all(&bytes)?,
            Err(ReadError::Missing) => Vec::new(),
            Err(error) => {
                let code = Code::SignatureMalformed;
                return Err(refuse(error, SIGNATURES_FILE, code, code));
            }
        };
        Ok(Self {
            source,
            untrusted_manifest,
            signature,
            further,
        })
    }

    /// Checks everything: signatures, manifest, versions, files, modules, in this order.
    ///
    /// # Errors
    /// As the function [`verify`].
    pub fn verify(mut self, trust: &TrustList, policy: &Policy) -> Result<Pack, Error> {
        let signed = Signed {
            message: &self.untrusted_manifest,
            first: &self.signature,
            further: &self.further,
        };
        let accepted_by = signed.signer(trust)?;
        let manifest = Manifest::parse(&self.untrusted_manifest, &policy.host_caps)?;
        let author = signed.author(&manifest, trust)?;
        check_expiry(&manifest, policy)?;
        compat::check_runtime(&manifest, &policy.runtime_version)?;
        let further = self.further.iter().map(|entry| entry.key);
        let signers: Vec<PublicKey> = std::iter::once(author).chain(further).collect();
        if !policy.allow_rollback {
            // Of every key: an old pack of the key before must not pass behind a newer one that both signed.
            for key in &signers {
                policy.seen.check(&manifest.name, key, &manifest.version)?;
            }
        }
        let manifest_sha256 = Sha256::digest(&self.untrusted_manifest).into();
        let contents = read_contents(&mut self.source, &manifest)?;
        Ok(Pack {
            manifest,
            signers,
            accepted_by: accepted_by.key,
            allows_native: accepted_by.allow_native,
            manifest_sha256,
            kernels: contents.kernels,
            vectors: contents.vectors,
            artifacts: contents.artifacts,
        })
    }
}

/// A verified pack. [`verify`] is the only way to one.
#[derive(Debug)]
pub struct Pack {
    manifest: Manifest,
    /// The author first.
    signers: Vec<PublicKey>,
    accepted_by: PublicKey,
    allows_native: bool,
    manifest_sha256: [u8; 32],
    kernels: Vec<PackKernel>,
    vectors: Vec<PackVector>,
    artifacts: Vec<PackArtifact>,
}

impl Pack {
    /// Name of the pack.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Version of the pack.
    pub fn version(&self) -> &Version {
        &self.manifest.version
    }

    /// The author's key, `ed25519:<base64>`: the one of `kernels.json.sig`.
    pub fn key(&self) -> String {
        self.signer().to_string()
    }

    /// The author's key.
    pub fn signer(&self) -> &PublicKey {
        &self.signers[0]
    }

    /// All keys that signed: the author's, then those of `kernels.json.sigs`, trusted or not.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    /// The trusted key by which the pack was accepted: the author's, else one of `kernels.json.sigs`. Whether native code
    /// is allowed stands in its line.
    pub fn accepted_by(&self) -> &PublicKey {
        &self.accepted_by
    }

    /// What has no effect and was probably meant otherwise. Text of the pack in it is escaped.
    pub fn warnings(&self) -> &[String] {
        &self.manifest.warnings
    }

    /// The kernels, in the order of the manifest.
    pub fn kernels(&self) -> &[PackKernel] {
        &self.kernels
    }

    /// The kernel of an id.
    pub fn kernel(&self, id: &str) -> Option<&PackKernel> {
        self.kernels.iter().find(|kernel| kernel.id() == id)
    }

    /// Expected outputs, in the order of the manifest.
    pub fn vectors(&self) -> &[PackVector] {
        &self.vectors
    }

    /// Ahead-of-time compiled forms, in the order of the manifest: native code, whose hashes were checked and nothing else. Whoever
    /// loads one either compares it with what the engine makes of [`PackKernel::wasm`] itself, or asks
    /// [`allows_native`](Self::allows_native).
    pub fn artifacts(&self) -> &[PackArtifact] {
        &self.artifacts
    }

    /// Whether the key that verified carries `allow-native` in the trusted keys: native code of its packs may be loaded though
    /// nobody compared it with the modules.
    pub fn allows_native(&self) -> bool {
        self.allows_native
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest's bytes; they list all other hashes, so this identifies the pack.
    pub fn manifest_sha256(&self) -> [u8; 32] {
        self.manifest_sha256
    }
}

/// A kernel of a verified pack.
#[derive(Debug)]
pub struct PackKernel {
    entry: KernelEntry,
    fallback: Option<Fallback>,
    wasm: Arc<[u8]>,
    facts: ModuleFacts,
    variants: Vec<PackVariant>,
    contract: Result<Contract, String>,
    reference: Option<PackReference>,
}

impl PackKernel {
    /// Id, unique in the pack.
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// Name for people.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What kind of kernel it is.
    pub fn category(&self) -> &str {
        &self.entry.category
    }

    /// Export that runs the kernel.
    pub fn entry_point(&self) -> &str {
        &self.entry.entry_point
    }

    /// The base module: the bytes that were hashed and inspected.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// SHA-256 of [`wasm`](Self::wasm).
    pub fn sha256(&self) -> [u8; 32] {
        self.entry.file.sha256
    }

    /// What the pre-pass found out about the base module.
    pub fn facts(&self) -> &ModuleFacts {
        &self.facts
    }

    /// Limits of memory, time, tables and fuel.
    pub fn limits(&self) -> &ResourceLimits {
        &self.entry.limits
    }

    /// Bounds the author states, if any.
    pub fn tolerance(&self) -> Option<&Tolerance> {
        self.entry.tolerance.as_ref()
    }

    /// The same kernel built with more features.
    pub fn variants(&self) -> &[PackVariant] {
        &self.variants
    }

    /// The variant to run on an engine with these features: the one that needs the most of them. `None` means the
    /// base module.
    pub fn variant_for(&self, features: &BTreeSet<Feature>) -> Option<&PackVariant> {
        self.variants
            .iter()
            .filter(|variant| {
                variant.features.is_subset(features)
                    && variant.facts.features_used.is_subset(features)
            })
            .max_by_key(|variant| variant.features.len())
    }

    /// What engines must be, by engine id or family.
    pub fn platforms(&self) -> &std::collections::BTreeMap<String, Platform> {
        &self.entry.platforms
    }

    /// What runs in its place when it fails.
    pub fn fallback(&self) -> Option<&Fallback> {
        self.fallback.as_ref()
    }

    /// What it promises.
    ///
    /// # Errors
    /// Why nobody can tell: the author promised nothing that the kernel could be judged by.
    pub fn contract(&self) -> Result<&Contract, &str> {
        self.contract.as_ref().map_err(String::as_str)
    }

    /// The module that the contract names as the author's own truth.
    pub fn reference(&self) -> Option<&PackReference> {
        self.reference.as_ref()
    }

    /// Its entry in the manifest.
    pub fn entry(&self) -> &KernelEntry {
        &self.entry
    }
}

/// A module of a verified pack that computes what a kernel should.
#[derive(Debug)]
pub struct PackReference {
    wasm: Arc<[u8]>,
    facts: ModuleFacts,
    entry_point: String,
}

impl PackReference {
    /// The module.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// What the pre-pass found out about the module.
    pub fn facts(&self) -> &ModuleFacts {
        &self.facts
    }

    /// Export that runs it.
    pub fn entry_point(&self) -> &str {
        &self.entry_point
    }
}

/// A kernel of a verified pack, built with more features.
#[derive(Debug)]
pub struct PackVariant {
    features: BTreeSet<Feature>,
    wasm: Arc<[u8]>,
    sha256: [u8; 32],
    facts: ModuleFacts,
}

impl PackVariant {
    /// What an engine needs to run it.
    pub fn features(&self) -> &BTreeSet<Feature> {
        &self.features
    }

    /// The module.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// SHA-256 of [`wasm`](Self::wasm).
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// What the pre-pass found out about the module.
    pub fn facts(&self) -> &ModuleFacts {
        &self.facts
    }
}

/// A file of expected outputs of a verified pack.
#[derive(Debug)]
pub struct PackVector {
    kernel: String,
    path: String,
    bytes: Arc<[u8]>,
}

impl PackVector {
    /// Id of the kernel.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// Path inside the pack.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An ahead-of-time compiled form of a kernel: native code, which may be of any module.
#[derive(Debug)]
pub struct PackArtifact {
    entry: crate::schema::ArtifactEntry,
    bytes: Arc<[u8]>,
}

impl PackArtifact {
    /// Its entry in the manifest: kernel, engine, exact version, target.
    pub fn entry(&self) -> &crate::schema::ArtifactEntry {
        &self.entry
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn check_expiry(manifest: &Manifest, policy: &Policy) -> Result<(), Rejection> {
    match manifest.expires_at {
        Some(expiry) if OffsetDateTime::from(policy.now) >= expiry => {
            let moment = expiry.format(&Rfc3339).unwrap_or_default();
            let message = format!("the pack expired at {moment}; get a newer one");
            Err(Rejection::new(Code::PackExpired, message).file(MANIFEST_FILE))
        }
        _ => Ok(()),
    }
}

/// The files of a pack whose manifest is trusted.
pub(crate) struct Contents {
    kernels: Vec<PackKernel>,
    vectors: Vec<PackVector>,
    artifacts: Vec<PackArtifact>,
}

/// Reads and checks all files of a manifest: nothing is handed out before everything has passed.
pub(crate) fn read_contents(source: &mut Source, manifest: &Manifest) -> Result<Contents, Error> {
    let mut reader = HashedReader { source, total: 0 };
    let mut modules = Vec::new();
    for entry in &manifest.kernels {
        let base = reader.read(&entry.file, &entry.id)?;
        let mut variants = Vec::new();
        for variant in &entry.variants {
            variants.push(reader.read(&variant.file, &entry.id)?);
        }
        let contract = read_contract(&mut reader, entry)?;
        modules.push((entry, base, variants, contract));
    }
    let mut vectors = Vec::new();
    for entry in &manifest.vectors {
        vectors.push(PackVector {
            kernel: entry.kernel.clone(),
            path: entry.file.path.clone(),
            bytes: reader.read(&entry.file, &entry.kernel)?,
        });
    }
    let mut artifacts = Vec::new();
    for entry in &manifest.artifacts {
        artifacts.push(PackArtifact {
            entry: entry.clone(),
            bytes: reader.read(&entry.file, &entry.kernel)?,
        });
    }
    let contracts = modules
        .iter()
        .filter_map(|(.., read)| read.contract.as_ref().ok());
    let needed: Vec<&FileEntry> = contracts.flat_map(Contract::files).collect();
    check_unlisted(source, manifest, &needed)?;
    let mut kernels = Vec::new();
    for (entry, wasm, variant_bytes, contract) in modules {
        let facts = inspect(entry, &entry.file, &wasm)?;
        let mut variants = Vec::new();
        for (variant, wasm) in entry.variants.iter().zip(variant_bytes) {
            variants.push(PackVariant {
                features: variant.features.clone(),
                sha256: variant.file.sha256,
                facts: inspect(entry, &variant.file, &wasm)?,
                wasm,
            });
        }
        let mut reference = None;
        if let Some((file, wasm, entry_point)) = contract.reference {
            reference = Some(PackReference {
                facts: inspect_entry(entry, &file, &wasm, &entry_point)?,
                wasm,
                entry_point,
            });
        }
        kernels.push(PackKernel {
            contract: contract.contract,
            reference,
            fallback: manifest.fallbacks.get(&entry.id).cloned(),
            entry: entry.clone(),
            wasm,
            facts,
            variants,
        });
    }
    Ok(Contents {
        kernels,
        vectors,
        artifacts,
    })
}

/// A kernel's contract, and the module that it names as a reference.
struct ReadContract {
    contract: Result<Contract, String>,
    reference: Option<(FileEntry, Arc<[u8]>, String)>,
}

fn read_contract(
    reader: &mut HashedReader<'_>,
    entry: &KernelEntry,
) -> Result<ReadContract, Error> {
    let contract = match &entry.contract {
        Some(ContractEntry::File(file)) => {
            let bytes = reader.read(file, &entry.id)?;
            let written = contract::read_file(&bytes, &file.path)
                .map_err(|rejection| rejection.kernel(&entry.id))?;
            contract::resolve(entry, Some(&written), &file.path)?
        }
        other => {
            let written = other.as_ref().and_then(ContractEntry::inline);
            contract::resolve(entry, written, MANIFEST_FILE)?
        }
    };
    let mut reference = None;
    for truth in contract.iter().flat_map(|contract| &contract.truth) {
        if let TruthSource::Reference(named) = truth {
            let bytes = reader.read(&named.file, &entry.id)?;
            reference = Some((named.file.clone(), bytes, named.entry_point.clone()));
        }
    }
    Ok(ReadContract {
        contract,
        reference,
    })
}

fn inspect(entry: &KernelEntry, file: &FileEntry, wasm: &[u8]) -> Result<ModuleFacts, Rejection> {
    inspect_entry(entry, file, wasm, &entry.entry_point)
}

fn inspect_entry(
    entry: &KernelEntry,
    file: &FileEntry,
    wasm: &[u8],
    entry_point: &str,
) -> Result<ModuleFacts, Rejection> {
    let rules = ModuleRules {
        entry_point,
        max_memory_pages: entry.limits.max_memory_pages,
        max_table_elements: entry.limits.max_table_elements,
    };
    let facts = inspect_module(wasm, &rules);
    let declared = facts.and_then(|facts| facts.check_state(&entry.state).map(|()| facts));
    declared.map_err(|rejection| {
        Rejection {
            message: format!("{}: {}", file.path, rejection.message),
            ..rejection
        }
        .kernel(&entry.id)
        .file(&file.path)
    })
}

fn check_unlisted(
    source: &Source,
    manifest: &Manifest,
    needed: &[&FileEntry],
) -> Result<(), Error> {
    let mut listed = BTreeSet::from([MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE]);
    listed.extend(needed.iter().map(|file| file.path.as_str()));
    for kernel in &manifest.kernels {
        listed.insert(&kernel.file.path);
        if let Some(ContractEntry::File(file)) = &kernel.contract {
            listed.insert(&file.path);
        }
        listed.extend(
            kernel
                .variants
                .iter()
                .map(|variant| variant.file.path.as_str()),
        );
    }
    listed.extend(
        manifest
            .vectors
            .iter()
            .map(|entry| entry.file.path.as_str()),
    );
    listed.extend(
        manifest
            .artifacts
            .iter()
            .map(|entry| entry.file.path.as_str()),
    );
    match source.unlisted(&listed)? {
        Some(path) => {
            let shown = quoted(&path);
            let message =
                format!("the pack holds {shown}, which the manifest does not list; remove it");
            Err(Rejection::new(Code::UnlistedFile, message)
                .file(shown.trim_matches('"'))
                .into())
        }
        None => Ok(()),
    }
}

/// Reads listed files and compares their hashes.
struct HashedReader<'a> {
    source: &'a mut Source,
    total: u64,
}

impl HashedReader<'_> {
    fn read(&mut self, file: &FileEntry, kernel: &str) -> Result<Arc<[u8]>, Error> {
        let limit = LARGEST_FILE.min(LARGEST_PACK - self.total);
        let bytes = self.source.read(&file.path, limit).map_err(|error| {
            match refuse(error, &file.path, Code::KernelMissing, Code::FileTooLarge) {
                Error::Rejected(rejection) => rejection.kernel(kernel).into(),
                other => other,
            }
        })?;
        self.total += bytes.len() as u64;
        let found: [u8; 32] = Sha256::digest(&bytes).into();
        if found != file.sha256 {
            let message = format!(
                "{} has the hash sha256:{}, the manifest says sha256:{}",
                file.path,
                hex(&found),
                hex(&file.sha256)
            );
            return Err(Rejection::new(Code::HashMismatch, message)
                .kernel(kernel)
                .file(&file.path)
                .into());
        }
        Ok(bytes.into())
    }
}

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

    fn unlisted(&self, listed: &BTreeSet<&str>) -> Result<Option<String>, Error> {
        match self {
            Source::Folder(folder) => folder.unlisted(listed),
            Source::Archive(archive) => Ok(archive.unlisted(listed)),
        }
    }
}
