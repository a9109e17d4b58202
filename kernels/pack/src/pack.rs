//! From a path to a verified pack.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use semver::Version;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::compat;
use crate::contract::Contract;
use crate::error::{Code, Error, Rejection};
use crate::fallback::Fallback;
use crate::feature::Feature;
use crate::files::ReadError;
use crate::key::PublicKey;
use crate::module::ModuleFacts;
use crate::rollback::SeenVersions;
use crate::schema::{HostCaps, KernelEntry, Manifest, Platform, ResourceLimits, Tolerance};
use crate::signature::{FurtherSignature, LARGEST_SIGNATURES, SIGNATURE_BYTES, Signed};
use crate::source::{Source, refuse};
use crate::trust::TrustList;
use crate::{LARGEST_MANIFEST, MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE};

mod again;
mod contents;

pub(crate) use contents::read_contents;

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
