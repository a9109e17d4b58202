//! Ed25519 over the exact bytes of the manifest.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::error::{Code, Rejection};
use crate::trust::{TrustList, TrustedKey};

/// Bytes of a signature file.
pub const SIGNATURE_BYTES: usize = 64;

/// Whether `signature` is `public_key`'s over `message`, by the strict rules: S reduced, neither the key nor R of
/// small order, and the cofactorless equation byte for byte. Wrong lengths are simply not valid.
pub fn is_valid(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public_key), Ok(signature)) = (public_key.try_into(), Signature::from_slice(signature))
    else {
        return false;
    };
    VerifyingKey::from_bytes(public_key).is_ok_and(|key| holds(&key, message, &signature))
}

/// The trusted key that signed `message`.
pub(crate) fn signer<'list>(
    trust: &'list TrustList,
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<&'list TrustedKey, Rejection> {
    let signature = Signature::from_bytes(signature);
    let signers = trust
        .keys()
        .iter()
        .filter(|entry| holds(&entry.key, message, &signature));
    let mut first = None;
    for entry in signers {
        if entry.revoked {
            return Err(Rejection::new(
                Code::KeyRevoked,
                format!(
                    "the pack is signed with {}, which the trust list revokes; get a pack signed with another key",
                    crate::trust::encode_key(entry.key.as_bytes())
                ),
            )
            .file(crate::SIGNATURE_FILE));
        }
        first.get_or_insert(entry);
    }
    first.ok_or_else(|| {
        let reason = if trust.is_empty() {
            "no key is trusted; add the author's `ed25519:<base64>` line to a file `trusted_keys` beside the pack, \
             or name one with --trust"
                .to_owned()
        } else {
            format!(
                "none of the {} trusted keys verifies the signature: the manifest was changed, or its author is not \
                 trusted; if the author is to be trusted, add the key's line to the trust list",
                trust.len()
            )
        };
        Rejection::new(Code::NoTrustedKey, reason).file(crate::SIGNATURE_FILE)
    })
}

/// The one place that decides about a signature.
fn holds(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    key.verify_strict(message, signature).is_ok()
}
