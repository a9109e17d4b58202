//! Signatures and trusted keys.

use kernel_pack::Code;
use serde_json::json;

use super::super::{Draft, SIGNATURES, further, revoked_key, trusted_key, unknown_key};
use super::{Defect, MANIFEST, SIGNATURE, defect};

pub fn signatures() -> Vec<Defect> {
    use Code::*;
    let good = Draft::new().sign();
    let mut flipped = good.clone();
    flipped[0] ^= 1;
    let without_manifest = Draft {
        without_manifest: true,
        ..Draft::new().signature(good.clone())
    };
    let without_signature = Draft {
        without_signature: true,
        ..Draft::new()
    };
    let claims_another = Draft::new().set("/author/signing_key", json!(unknown_key().public()));
    vec![
        defect(
            "manifest-missing",
            ManifestMissing,
            None,
            MANIFEST,
            without_manifest,
        ),
        defect(
            "signature-missing",
            SignatureMissing,
            None,
            SIGNATURE,
            without_signature,
        ),
        defect(
            "signature-63-bytes",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(good[..63].to_vec()),
        ),
        defect(
            "signature-65-bytes",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature([good.as_slice(), b"\n"].concat()),
        ),
        defect(
            "signature-empty",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(vec![]),
        ),
        defect(
            "signature-as-hex-text",
            SignatureMalformed,
            None,
            SIGNATURE,
            Draft::new().signature(
                good.iter()
                    .flat_map(|b| format!("{b:02x}").into_bytes())
                    .collect(),
            ),
        ),
        defect(
            "signature-bit-flipped",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(flipped),
        ),
        defect(
            "signature-all-zero",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(vec![0; 64]),
        ),
        defect(
            "signature-malleable",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signature(plus_group_order(&good)),
        ),
        defect(
            "signature-of-another-manifest",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new()
                .set("/version", json!("1.2.4"))
                .signature(good.clone()),
        ),
        defect(
            "manifest-changed-by-a-space",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().text("{", "{ ").signature(good.clone()),
        ),
        defect(
            "signed-by-unknown-key",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().signed_by(unknown_key()),
        ),
        defect(
            "signed-by-revoked-key",
            KeyRevoked,
            None,
            SIGNATURE,
            Draft::new()
                .set("/author/signing_key", json!(revoked_key().public()))
                .signed_by(revoked_key()),
        ),
        defect(
            "signing-key-of-another-author",
            KeyMismatch,
            None,
            MANIFEST,
            claims_another,
        ),
        Defect {
            trust: Some("trusted_keys.weak"),
            ..defect(
                "trusted-key-small-order",
                TrustedKeyWeak,
                None,
                None,
                Draft::new(),
            )
        },
        Defect {
            trust: Some("trusted_keys.not_canonical"),
            ..defect(
                "trusted-key-not-canonical",
                TrustedKeyWeak,
                None,
                None,
                Draft::new(),
            )
        },
        defect(
            "unsigned-garbage-manifest",
            NoTrustedKey,
            None,
            SIGNATURE,
            Draft::new().bytes(b"[[[[".to_vec()).signature(good),
        ),
    ]
}

/// `kernels.json.sigs`.
pub fn further_signatures() -> Vec<Defect> {
    use Code::*;
    let message = Draft::new().manifest_text();
    let line = further(&unknown_key(), &message);
    let stale = further(&unknown_key(), b"{}");
    let author = |key: kernel_pack::sign::PackSigningKey| {
        Draft::new()
            .set("/author/signing_key", json!(key.public()))
            .signed_by(key)
    };
    let malformed = |name, text: String| {
        let draft = Draft::new().file(SIGNATURES, text.as_bytes());
        defect(name, SignatureMalformed, None, Some(SIGNATURES), draft)
    };
    vec![
        malformed("further-signatures-empty", String::new()),
        malformed("further-signatures-garbage", "signed\n".to_owned()),
        malformed("further-signatures-too-large", line.repeat(16)),
        malformed("further-signature-twice", line.repeat(2)),
        malformed("further-signature-cut", line.trim_end().to_owned()),
        malformed("further-signature-of-another-manifest", stale.clone()),
        malformed(
            "further-signature-by-the-author",
            further(&trusted_key(), &message),
        ),
        defect(
            "author-revoked-beside-a-trusted-signature",
            KeyRevoked,
            None,
            SIGNATURE,
            author(revoked_key()).also(&trusted_key()),
        ),
        defect(
            "author-unknown-beside-a-revoked-signature",
            KeyRevoked,
            None,
            SIGNATURE,
            author(unknown_key()).also(&revoked_key()),
        ),
        // A trusted key signed too, but the first signature is by somebody else than the author that the manifest names.
        defect(
            "first-signature-not-by-the-author",
            KeyMismatch,
            None,
            MANIFEST,
            Draft::new()
                .set("/author/signing_key", json!(unknown_key().public()))
                .signed_by(kernel_pack::sign::PackSigningKey::from_seed(&[0xD4; 32]))
                .also(&trusted_key()),
        ),
    ]
}

/// S + L: the same signature to a verifier that does not ask for a reduced S.
fn plus_group_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        let value = u16::from(*byte) + u16::from(order) + carry;
        *byte = value as u8;
        carry = value >> 8;
    }
    sum
}
