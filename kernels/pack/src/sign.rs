//! Making keys and signatures.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use crate::error::Error;
use crate::key::{PublicKey, encode_key};
use crate::schema::{HostCaps, Manifest};
use crate::signature::{FurtherSignature, MOST_FURTHER_SIGNATURES};
use crate::write::{open_regular, remove_file, write_file, write_secret};
use crate::{LARGEST_MANIFEST, MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE};

/// How a secret key is spelled in its file, before the base64 of the 32-byte seed.
const SECRET_PREFIX: &str = "ed25519-secret:";

/// A key that signs packs.
pub struct PackSigningKey(SigningKey);

impl PackSigningKey {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// [`Error::SigningKey`] if the system has none.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::SigningKey(format!("no random numbers: {error}")))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed. For tests; real seeds are random.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a key file: one line `ed25519-secret:<base64>`, `#` comments.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`], [`Error::SigningKey`]. No error shows the content.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut text = String::new();
        open_regular(path)
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => Error::NotFound(path.to_owned()),
                _ => Error::io("read", path, source),
            })?
            .take(1 << 16)
            .read_to_string(&mut text)
            .map_err(|source| Error::io("read", path, source))?;
        let mut lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty());
        let seed = match (lines.next(), lines.next()) {
            (Some(line), None) => line
                .strip_prefix(SECRET_PREFIX)
                .and_then(|text| STANDARD.decode(text).ok())
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()),
            _ => None,
        };
        let seed = seed.ok_or_else(|| {
            Error::SigningKey(format!(
                "{} is not one line {SECRET_PREFIX}<base64 of 32 bytes>",
                path.display()
            ))
        })?;
        Ok(Self::from_seed(&seed))
    }

    /// Writes a new key file that only its owner may read.
    ///
    /// # Errors
    /// [`Error::Io`], also if the file exists: keys are not overwritten.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = format!(
            "# Secret key that signs kernel packs. Its public line is {}\n{SECRET_PREFIX}{}\n",
            self.public(),
            STANDARD.encode(self.0.to_bytes())
        );
        write_secret(path, text.as_bytes())
    }

    /// The public key, `ed25519:<base64>`: a line of a trust list.
    pub fn public(&self) -> String {
        encode_key(self.0.verifying_key().as_bytes())
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        // A seed gives a reduced multiple of the base point: never a weak key.
        PublicKey::from_own(self.0.verifying_key())
    }

    /// The 64 bytes of a signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Signs the manifest of a pack folder with its author's key, and with further keys for those who do not trust it yet.
/// Without further keys, further signatures that were there are removed.
///
/// # Errors
/// [`Error::Rejected`] for a manifest that no host would take, [`Error::SigningKey`] if it names another key, or a
/// key is given twice, or too many are; [`Error::NotFound`], [`Error::Io`].
pub fn sign_folder(
    folder: &Path,
    key: &PackSigningKey,
    also: &[PackSigningKey],
) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST_FILE);
    let file = std::fs::File::open(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(path.clone()),
        _ => Error::io("read", &path, source),
    })?;
    let mut bytes = Vec::new();
    file.take(LARGEST_MANIFEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", &path, source))?;
    let manifest = Manifest::parse(&bytes, &HostCaps::default())?;
    if manifest.author.signing_key != *key.public_key().as_bytes() {
        return Err(Error::SigningKey(format!(
            "the manifest's author.signing_key is {}, this key is {}; build the manifest with this key",
            encode_key(&manifest.author.signing_key),
            key.public()
        )));
    }
    let further = further_signatures(&bytes, key, also)?;
    let path = folder.join(SIGNATURES_FILE);
    if further.is_empty() {
        remove_file(&path)?;
    } else {
        write_file(&path, further.as_bytes())?;
    }
    write_file(&folder.join(SIGNATURE_FILE), &key.sign(&bytes))?;
    Ok(manifest)
}

/// The text of `kernels.json.sigs`; empty without further keys.
fn further_signatures(
    message: &[u8],
    key: &PackSigningKey,
    also: &[PackSigningKey],
) -> Result<String, Error> {
    if also.len() > MOST_FURTHER_SIGNATURES {
        return Err(Error::SigningKey(format!(
            "a pack has at most {MOST_FURTHER_SIGNATURES} further signatures"
        )));
    }
    let mut known = vec![key.public_key()];
    let mut text = String::new();
    for other in also {
        let public = other.public_key();
        if known.contains(&public) {
            return Err(Error::SigningKey(format!(
                "{public} would sign twice; name each key once"
            )));
        }
        known.push(public);
        text += &FurtherSignature::line(&public, &other.sign(message));
    }
    Ok(text)
}
