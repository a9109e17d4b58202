//! Public keys: their one spelling, and a fingerprint that people can compare.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::error::{Error, quoted};

/// How a public key is spelled in trust lists and manifests, before the base64.
const KEY_PREFIX: &str = "ed25519:";

/// A public key that can prove something: a canonical encoding of a point of large order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads `ed25519:<base64 of 32 bytes>`.
    ///
    /// # Errors
    /// [`Error::PublicKey`] for another spelling, and for a weak key. The text is not repeated: it may be a secret.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = decode_key(text)
            .ok_or_else(|| Error::PublicKey("it is not ed25519:<base64 of 32 bytes>".to_owned()))?;
        Self::from_bytes(&bytes).map_err(|reason| {
            Error::PublicKey(format!(
                "{} is {reason}, so signatures by it prove nothing",
                quoted(text)
            ))
        })
    }

    /// The key of 32 bytes, or what they are instead.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, &'static str> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| "no point of the curve")?;
        if key.is_weak() {
            return Err("of small order");
        }
        // Decompression accepts coordinates that are not reduced; compressing the point again does not yield them.
        if VerifyingKey::from(key.to_edwards()).to_bytes() != *bytes {
            return Err("not canonically encoded");
        }
        Ok(Self(key))
    }

    /// The public half of a signing key.
    pub(crate) fn from_own(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// SHA-256 of the 32 bytes, as sixteen groups of four lower-case hex digits.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.as_bytes());
        let groups: Vec<String> = digest
            .chunks(2)
            .map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]))
            .collect();
        groups.join(" ")
    }

    /// Whether `text` is the whole fingerprint; spaces and the case of digits do not count.
    pub fn has_fingerprint(&self, text: &str) -> bool {
        let digits = |text: &str| -> String {
            text.chars()
                .filter(|c| !c.is_whitespace())
                .map(|c| c.to_ascii_lowercase())
                .collect()
        };
        digits(text) == digits(&self.fingerprint())
    }

    /// Whether `signature` is this key's over `message`, by the strict rules of [`is_valid`](crate::signature::is_valid).
    pub(crate) fn holds(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        crate::signature::holds(&self.0, message, signature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_key(self.as_bytes()))
    }
}

/// The 32 bytes of `ed25519:<base64>`; padded standard base64 and nothing else, so that a key has one spelling.
pub(crate) fn decode_key(text: &str) -> Option<[u8; 32]> {
    let bytes = STANDARD.decode(text.strip_prefix(KEY_PREFIX)?).ok()?;
    bytes.try_into().ok()
}

/// `ed25519:<base64>` of a public key.
pub(crate) fn encode_key(bytes: &[u8; 32]) -> String {
    format!("{KEY_PREFIX}{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Public key of RFC 8032, section 7.1, test 1.
    const KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn the_fingerprint_is_what_standard_tools_print() {
        // printf 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= | base64 -d | sha256sum
        let printed = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9";
        let key = PublicKey::parse(KEY).unwrap();
        assert_eq!(key.fingerprint().replace(' ', ""), printed);
        assert_eq!(key.fingerprint().split(' ').count(), 16);
        assert!(key.has_fingerprint(printed));
        assert!(key.has_fingerprint(&key.fingerprint().to_uppercase()));
        assert!(!key.has_fingerprint(&printed[..60]), "a part is not enough");
        assert!(!key.has_fingerprint(""));
    }

    #[test]
    fn a_key_has_one_spelling_and_a_secret_is_not_repeated() {
        assert_eq!(PublicKey::parse(KEY).unwrap().to_string(), KEY);
        for text in [
            "",
            "ed25519:",
            &KEY[8..],
            &KEY.to_uppercase(),
            &format!("{KEY} "),
        ] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
        let secret = "ed25519-secret:AAAA";
        let error = PublicKey::parse(secret).unwrap_err().to_string();
        assert!(!error.contains("AAAA"), "{error}");
    }

    #[test]
    fn weak_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let error = PublicKey::parse(&encode_key(&identity)).unwrap_err();
        assert!(error.to_string().contains("small order"), "{error}");
    }
}
