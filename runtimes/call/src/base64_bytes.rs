//! Bytes as base64 text, for `#[serde(with = "base64_bytes")]`: how invocations and modules travel in JSON.

use base64::Engine as _;
use serde::{Deserializer, Serialize as _, Serializer, de, ser::Error as _};
use serde_json::value::RawValue;
use std::fmt;

/// The engine that has vectors where the processor has: tensors are most of what workers and the harness tell each other.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
fn engine() -> &'static impl base64::Engine {
    use base64::engine::{Simd, general_purpose::PAD};
    static ENGINE: std::sync::LazyLock<Simd> = std::sync::LazyLock::new(|| Simd::standard(PAD));
    &*ENGINE
}

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
fn engine() -> &'static impl base64::Engine {
    &base64::engine::general_purpose::STANDARD
}

/// Standard base64 with padding. No letter of it has to be escaped, and to look for one that has takes longer than to write it.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
    text.push('"');
    engine().encode_string(bytes, &mut text);
    text.push('"');
    let text = RawValue::from_string(text).map_err(S::Error::custom)?;
    text.serialize(serializer)
}

/// The bytes of standard base64 with padding.
///
/// # Errors
/// For what is not a string, or not such base64.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_str(Text)
}

/// Takes the text where it stands: there is much of it.
struct Text;

impl de::Visitor<'_> for Text {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        engine().decode(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_engine_says_and_takes_what_the_plain_one_does() {
        for length in 0..300usize {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 89 + length) as u8).collect();
            let text = engine().encode(&bytes);
            assert_eq!(text, STANDARD.encode(&bytes));
            assert_eq!(engine().decode(&text), Ok(bytes));
            // One character that is none of base64, one left out, one too many, and bits that stand for nothing.
            for (at, with) in [(length / 2, "*"), (0, ""), (0, "AA"), (text.len() / 2, "=")] {
                let mut wrong = text.clone();
                if at < wrong.len() {
                    wrong.replace_range(at..=at, with);
                }
                assert_eq!(engine().decode(&wrong), STANDARD.decode(&wrong), "{wrong}");
            }
        }
        for trailing in ["AB==", "AAB="] {
            let long = "AAAA".repeat(20) + trailing;
            assert!(engine().decode(trailing).is_err() && engine().decode(long).is_err());
        }
    }
}
