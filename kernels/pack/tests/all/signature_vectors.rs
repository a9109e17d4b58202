//! Signatures against published vectors.

use kernel_pack::signature::is_valid;

/// RFC 8032, section 7.1, tests 1 to 3: public key, message, signature.
const RFC_8032: [(&str, &str, &str); 3] = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn rfc_8032_signatures_hold_and_no_changed_one_does() {
    for (key, message, signature) in RFC_8032 {
        let (key, message, signature) = (bytes(key), bytes(message), bytes(signature));
        assert!(is_valid(&key, &message, &signature));
        for bit in (0..512).step_by(3) {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(&key, &message, &changed), "signature bit {bit}");
        }
        for bit in (0..256).step_by(3) {
            let mut changed = key.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(&changed, &message, &signature), "key bit {bit}");
        }
        assert!(!is_valid(
            &key,
            &[message.as_slice(), b"\0"].concat(),
            &signature
        ));
        for length in [0, 32, 63] {
            assert!(!is_valid(&key, &message, &signature[..length]));
        }
        assert!(!is_valid(&key[..31], &message, &signature));
    }
}

mod needs_shared {
    use super::{bytes, is_valid};
    use std::path::Path;

    /// In `vectors/ed25519_verify.json` of the folder that `ASSAY_SHARED` names: they are other people's, and not committed here.
    #[test]
    #[ignore = "needs vectors that ASSAY_SHARED names"]
    fn strict_verdicts_of_speccheck_wycheproof_and_cctv() {
        let shared = std::env::var_os("ASSAY_SHARED").expect("ASSAY_SHARED names a folder");
        let path = Path::new(&shared).join("vectors/ed25519_verify.json");
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut accepted = 0;
        let mut rejected = 0;
        let mut wrong = Vec::new();
        for (corpus, content) in file["corpora"].as_object().unwrap() {
            for vector in content["vectors"].as_array().unwrap() {
                let field = |name: &str| bytes(vector[name].as_str().unwrap());
                let expected = match vector["expect_strict"].as_str().unwrap() {
                    "accept" => true,
                    "reject" => false,
                    other => panic!("{other}"),
                };
                let found = is_valid(&field("pk"), &field("msg"), &field("sig"));
                if found != expected {
                    wrong.push(format!("{corpus} {}", vector["id"]));
                }
                *(if found { &mut accepted } else { &mut rejected }) += 1;
            }
        }
        println!("{accepted} accepted, {rejected} rejected");
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(
            accepted > 0 && accepted + rejected >= 1156,
            "{accepted} + {rejected}"
        );
    }
}
