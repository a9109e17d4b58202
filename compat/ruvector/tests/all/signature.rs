//! Signatures and hashes.

use crate::support::{CORE, DESIGN_EXAMPLE, changed, fixture, manifest, manifest_text, pack_file};
use kernel_pack::sign::PackSigningKey;
use kernel_pack::{Code, Error, TrustList};
use ruvector_wasm::kernel::KernelPackVerifier;
use ruvector_wasm::kernel::error::VerifyError;
use ruvector_wasm::kernel::hash::verify_kernel_hash;
use ruvector_wasm::kernel::manifest::KernelManifest;

/// The lines of this project's trust list that are keys.
fn trusted_keys() -> Vec<String> {
    let text = std::fs::read_to_string(fixture("packs/trusted_keys")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("ed25519:"))
        .map(str::to_owned)
        .collect()
}

fn verifier() -> KernelPackVerifier {
    let mut verifier = KernelPackVerifier::new();
    for key in trusted_keys() {
        verifier.add_trusted_key_base64(&key).unwrap();
    }
    verifier
}

#[test]
fn the_signature_is_over_the_same_bytes() {
    for pack in [CORE, DESIGN_EXAMPLE] {
        let message = pack_file(pack, "kernels.json");
        let signature = pack_file(pack, "kernels.json.sig");
        verifier().verify(&message, &signature).unwrap();

        let mut other = message.clone();
        *other.last_mut().unwrap() ^= 1;
        assert!(matches!(
            verifier().verify(&other, &signature),
            Err(VerifyError::NoTrustedKey)
        ));
        assert!(matches!(
            verifier().verify(&message, &signature[1..]),
            Err(VerifyError::InvalidSignature { .. })
        ));
        let stranger = PackSigningKey::from_seed(&[7; 32]).sign(&message);
        assert!(matches!(
            verifier().verify(&message, &stranger),
            Err(VerifyError::NoTrustedKey)
        ));
        assert!(matches!(
            KernelPackVerifier::new().verify(&message, &signature),
            Err(VerifyError::NoTrustedKey)
        ));
    }
}

/// Keys in base64, as this project writes them, are one of the two spellings of the client; it does not tell them apart
/// by itself.
#[test]
fn a_key_in_base64_is_no_key_in_hexadecimal() {
    let key = &trusted_keys()[0];
    let mut verifier = KernelPackVerifier::new();
    assert!(matches!(
        verifier.add_trusted_key_hex(key),
        Err(VerifyError::KeyError { .. })
    ));
    verifier.add_trusted_key_base64(key).unwrap();
    assert_eq!(verifier.trusted_key_count(), 1);
}

/// The neutral point as key: it "signs" every message with the same 64 bytes. This project refuses such a key where it
/// is trusted.
#[test]
fn the_client_takes_a_key_that_proves_nothing() {
    let mut key = [0; 32];
    key[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let mut verifier = KernelPackVerifier::new();
    verifier.add_trusted_key(&key).unwrap();
    for message in [pack_file(CORE, "kernels.json"), b"anything".to_vec()] {
        verifier.verify(&message, &signature).unwrap();
        assert!(!kernel_pack::signature::is_valid(
            &key, &message, &signature
        ));
    }
    let line = "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    verifier.add_trusted_key_base64(line).unwrap();
    assert!(matches!(
        TrustList::parse(line, "a list"),
        Err(Error::Rejected(rejection)) if rejection.code == Code::TrustedKeyWeak
    ));
}

/// Any trusted key does: whether it is the one that the manifest names as its author's, the client does not look at.
#[test]
fn the_client_does_not_compare_the_key_with_the_author() {
    let stranger = PackSigningKey::from_seed(&[7; 32]);
    let text = changed(|manifest| {
        manifest["author"]["signing_key"] = stranger.public().into();
    });
    let signature = PackSigningKey::read(&fixture("keys/test.ed25519"))
        .unwrap()
        .sign(text.as_bytes());
    verifier().verify(text.as_bytes(), &signature).unwrap();
    let read = KernelManifest::from_json(&text).unwrap();
    assert!(!trusted_keys().contains(&read.author.signing_key));
}

#[test]
fn a_switch_of_the_client_turns_verification_off() {
    let verifier = KernelPackVerifier::insecure_no_verify();
    verifier.verify(b"anything", b"no signature").unwrap();
}

#[test]
fn hashes_are_spelled_alike() {
    for pack in [CORE, DESIGN_EXAMPLE] {
        for kernel in &manifest(pack).kernels {
            let mut module = pack_file(pack, &kernel.path);
            verify_kernel_hash(&module, &kernel.hash).unwrap();
            module.push(0);
            assert!(matches!(
                verify_kernel_hash(&module, &kernel.hash),
                Err(VerifyError::HashMismatch { .. })
            ));
        }
    }
}

/// Variants and vectors have hashes too. The client reads neither list, so there is nothing for it to verify.
#[test]
fn files_beside_the_base_modules_are_verified_by_nobody() {
    let text = manifest_text(CORE);
    let rewritten = manifest(CORE).to_json().unwrap();
    let count = |text: &str| text.matches("sha256:").count();
    assert_eq!(count(&rewritten), manifest(CORE).kernels.len());
    assert!(count(&text) > 2 * count(&rewritten));
}
