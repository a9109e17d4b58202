//! Ed25519 over the exact bytes of the manifest, by the author's key and by further ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::error::{Code, Rejection};
use crate::key::{PublicKey, encode_key};
use crate::schema::Manifest;
use crate::trust::{TrustList, TrustedKey};
use crate::{MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE};

/// Bytes of a signature file.
pub const SIGNATURE_BYTES: usize = 64;

/// Signatures that `kernels.json.sigs` may hold.
pub const MOST_FURTHER_SIGNATURES: usize = 8;

/// Bytes of `kernels.json.sigs`: no list of that many signatures is larger.
pub const LARGEST_SIGNATURES: u64 = 2048;

/// Whether `signature` is `public_key`'s over `message`, by the strict rules: S reduced, neither the key nor R of
/// small order, and the cofactorless equation byte for byte. Wrong lengths are simply not valid.
pub fn is_valid(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public_key), Ok(signature)) = (public_key.try_into(), signature.try_into()) else {
        return false;
    };
    VerifyingKey::from_bytes(public_key).is_ok_and(|key| holds(&key, message, signature))
}

/// The one place that decides about a signature.
pub(crate) fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    key.verify_strict(message, &Signature::from_bytes(signature))
        .is_ok()
}

/// A signature by a key other than the author's, as `kernels.json.sigs` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FurtherSignature {
    /// The key that is said to have signed.
    pub key: PublicKey,
    /// Its signature over the bytes of the manifest.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl FurtherSignature {
    /// Reads `kernels.json.sigs`: 1 to [`MOST_FURTHER_SIGNATURES`] lines `ed25519:<base64> <base64 of 64 bytes>`, with
    /// one space between and a line feed after each, keys all different; nothing else.
    /// Says nothing about whether the signatures hold.
    ///
    /// # Errors
    /// [`Code::SignatureMalformed`].
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, Rejection> {
        if bytes.len() as u64 > LARGEST_SIGNATURES {
            return Err(malformed(format!(
                "has {} bytes, at most {LARGEST_SIGNATURES} are allowed",
                bytes.len()
            )));
        }
        let lines = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.strip_suffix('\n'))
            .ok_or_else(|| malformed("is not lines of text that each end with a line feed"))?;
        let mut found: Vec<Self> = Vec::new();
        for (index, line) in lines.split('\n').enumerate() {
            let number = index + 1;
            if number > MOST_FURTHER_SIGNATURES {
                return Err(malformed(format!(
                    "has more than {MOST_FURTHER_SIGNATURES} signatures"
                )));
            }
            let entry = Self::parse(line).ok_or_else(|| {
                malformed(format!(
                    "is not understood in line {number}: it must be ed25519:<base64 of a strong key>, a space and the \
                     base64 of 64 bytes"
                ))
            })?;
            if found.iter().any(|earlier| earlier.key == entry.key) {
                return Err(malformed(format!(
                    "has two signatures by {}, the second in line {number}",
                    entry.key
                )));
            }
            found.push(entry);
        }
        Ok(found)
    }

    fn parse(line: &str) -> Option<Self> {
        let (key, signature) = line.split_once(' ')?;
        Some(Self {
            key: PublicKey::parse(key).ok()?,
            signature: STANDARD.decode(signature).ok()?.try_into().ok()?,
        })
    }

    /// The line that [`parse_all`](Self::parse_all) reads, its line feed included.
    pub(crate) fn line(key: &PublicKey, signature: &[u8; SIGNATURE_BYTES]) -> String {
        format!("{key} {}\n", STANDARD.encode(signature))
    }
}

fn malformed(reason: impl std::fmt::Display) -> Rejection {
    Rejection::new(
        Code::SignatureMalformed,
        format!("{SIGNATURES_FILE} {reason}; get the pack again, or let its author sign it again"),
    )
    .file(SIGNATURES_FILE)
}

/// The bytes of a manifest with all its signatures: nothing of it is trusted yet.
pub(crate) struct Signed<'a> {
    pub(crate) message: &'a [u8],
    /// `kernels.json.sig`: the author's.
    pub(crate) first: &'a [u8; SIGNATURE_BYTES],
    /// `kernels.json.sigs`.
    pub(crate) further: &'a [FurtherSignature],
}

impl<'a> Signed<'a> {
    /// The key of the list by which the manifest may be read: the one of the first signature, else the first of the
    /// further ones. A revoked key of the first signature refuses the pack, whoever else signed it.
    pub(crate) fn signer<'list>(
        &self,
        trust: &'list TrustList,
    ) -> Result<&'list TrustedKey, Rejection> {
        for entry in self.further {
            if !entry.key.holds(self.message, &entry.signature) {
                return Err(malformed(format!(
                    "has a signature by {} that does not hold for this manifest",
                    entry.key
                )));
            }
        }
        let mut author = None;
        for entry in trust.keys() {
            if entry.key.holds(self.message, self.first) {
                if entry.revoked {
                    return Err(revoked(&entry.key, "the pack is signed with"));
                }
                author.get_or_insert(entry);
            }
        }
        if let Some(entry) = author {
            return Ok(entry);
        }
        let mut refused = None;
        for signature in self.further {
            match trust.find(&signature.key) {
                Some(entry) if entry.revoked => refused = refused.or(Some(entry)),
                Some(entry) => return Ok(entry),
                None => {}
            }
        }
        Err(match refused {
            Some(entry) => revoked(&entry.key, "the only key that is known of this pack is"),
            None => self.unknown(trust),
        })
    }

    /// The author's key: not revoked, and the one of the first signature, of which there is no second.
    pub(crate) fn author(
        &self,
        manifest: &Manifest,
        trust: &TrustList,
    ) -> Result<PublicKey, Rejection> {
        let mismatch = |reason: &str| {
            let message = format!(
                "the manifest names the key {}, {reason}",
                encode_key(&manifest.author.signing_key)
            );
            Rejection::new(Code::KeyMismatch, message).file(MANIFEST_FILE)
        };
        let author = PublicKey::from_bytes(&manifest.author.signing_key)
            .map_err(|reason| mismatch(&format!("which is {reason}")))?;
        if trust.find(&author).is_some_and(|entry| entry.revoked) {
            return Err(revoked(&author, "the pack's author has the key"));
        }
        if !author.holds(self.message, self.first) {
            return Err(mismatch(&format!(
                "but another one signed {SIGNATURE_FILE}"
            )));
        }
        if self.further.iter().any(|entry| entry.key == author) {
            return Err(malformed("repeats the author's signature"));
        }
        Ok(author)
    }

    /// Why nobody is trusted, with the key that signed where the manifest names it rightly.
    fn unknown(&self, trust: &TrustList) -> Rejection {
        let claimed = claimed_key(self.message);
        let (message, signer) = match claimed {
            Some(key) if key.holds(self.message, self.first) => (
                format!(
                    "the pack is signed with {key}, which {}",
                    match trust.len() {
                        0 => "is not trusted; no key is".to_owned(),
                        1 => "is not the one trusted key".to_owned(),
                        number => format!("is none of the {number} trusted keys"),
                    }
                ),
                Some(Box::new(key)),
            ),
            Some(_) => (
                "neither a trusted key nor the one that the manifest names verifies the signature: the manifest was \
                 changed after it was signed, or signed with another key; get the pack again"
                    .to_owned(),
                None,
            ),
            None => (
                "no trusted key verifies the signature, and the manifest names no key that could: it was changed after it \
                 was signed, or is none; get the pack again"
                    .to_owned(),
                None,
            ),
        };
        Rejection {
            signer,
            ..Rejection::new(Code::NoTrustedKey, message).file(SIGNATURE_FILE)
        }
    }
}

pub(crate) fn revoked(key: &PublicKey, what: &str) -> Rejection {
    let message =
        format!("{what} {key}, which a trust list revokes; get a pack signed with another key");
    Rejection {
        signer: Some(Box::new(*key)),
        ..Rejection::new(Code::KeyRevoked, message).file(SIGNATURE_FILE)
    }
}

/// The `author.signing_key` of a manifest that nobody vouches for. Nothing else of it is looked at.
fn claimed_key(untrusted_manifest: &[u8]) -> Option<PublicKey> {
    let manifest = crate::json::parse(untrusted_manifest).ok()?;
    let key = manifest.member("author")?.member("signing_key")?;
    PublicKey::parse(key.as_string()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::PackSigningKey;

    fn line(seed: u8, message: &[u8]) -> String {
        let key = PackSigningKey::from_seed(&[seed; 32]);
        FurtherSignature::line(&key.public_key(), &key.sign(message))
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = line(1, b"m") + &line(2, b"m");
        let read = FurtherSignature::parse_all(text.as_bytes()).unwrap();
        assert_eq!(read.len(), 2);
        assert!(
            read.iter()
                .all(|entry| entry.key.holds(b"m", &entry.signature))
        );
    }

    #[test]
    fn anything_else_is_malformed() {
        let good = line(1, b"m");
        let many: String = (1..=9).map(|seed| line(seed, b"m")).collect();
        let weak = good.replacen(
            &good[8..52],
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            1,
        );
        for text in [
            String::new(),
            "\n".to_owned(),
            good.trim_end().to_owned(),
            good.replace('\n', "\r\n"),
            good.replace(' ', "  "),
            format!("# comment\n{good}"),
            format!("{good}\n"),
            format!("{good}{good}"),
            "x".repeat(4096),
            many,
            weak,
        ] {
            let rejection = FurtherSignature::parse_all(text.as_bytes()).unwrap_err();
            assert_eq!(rejection.code, Code::SignatureMalformed, "{text}");
        }
        assert!(FurtherSignature::parse_all(&[0xff, b'\n']).is_err());
        let most: String = (1..=8).map(|seed| line(seed, b"m")).collect();
        assert!(most.len() as u64 <= LARGEST_SIGNATURES);
        assert_eq!(
            FurtherSignature::parse_all(most.as_bytes()).unwrap().len(),
            MOST_FURTHER_SIGNATURES
        );
    }
}
