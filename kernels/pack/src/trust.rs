//! The keys that packs may be signed with.

use std::io::Read;
use std::path::Path;

use crate::error::{Code, Error, Rejection, quoted};
use crate::key::{PublicKey, decode_key};
use crate::write::{is_absent, open_regular};

/// A trust list larger than this is not a trust list.
const LARGEST_LIST: u64 = 1 << 20;

/// One line of a trust list.
#[derive(Clone, Debug)]
pub(crate) struct TrustedKey {
    pub(crate) key: PublicKey,
    pub(crate) revoked: bool,
    pub(crate) allow_native: bool,
}

/// The keys that packs may be signed with; holds no weak key.
///
/// One `ed25519:<base64 of 32 bytes>` per line, `#` starts a comment. After the key a line may carry
/// `revoked` (packs signed with it are refused) and `allow-native` (its packs may bring native code).
/// A key on several lines is revoked if one of them says so.
#[derive(Clone, Debug, Default)]
pub struct TrustList {
    keys: Vec<TrustedKey>,
}

impl TrustList {
    /// A list that trusts nobody.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads a list; `source_name` stands in errors.
    ///
    /// # Errors
    /// [`Error::Rejected`] with [`Code::TrustedKeyWeak`] for a small-order or non-canonical key,
    /// [`Error::TrustList`] for a line that is not understood: a misspelt `revoked` must not trust.
    pub fn parse(text: &str, source_name: &str) -> Result<Self, Error> {
        let mut list = Self::empty();
        for (index, line) in text.lines().enumerate() {
            if let Some(entry) = parse_line(line, source_name, index + 1)? {
                list.add(entry);
            }
        }
        Ok(list)
    }

    /// Reads a list from a file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Error::NotFound`] if there is no such file, [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_text(path)?, &path.display().to_string())
    }

    /// Adds the keys of another list. What either list revokes is revoked.
    pub fn merge(&mut self, other: TrustList) {
        for entry in other.keys {
            self.add(entry);
        }
    }

    /// Whether the list trusts nobody.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of different keys, revoked ones included.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    pub(crate) fn find(&self, key: &PublicKey) -> Option<&TrustedKey> {
        self.keys.iter().find(|entry| entry.key == *key)
    }

    fn add(&mut self, entry: TrustedKey) {
        match self.keys.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                known.revoked |= entry.revoked;
                known.allow_native |= entry.allow_native;
            }
            None => self.keys.push(entry),
        }
    }
}

/// The key and the words of a line; nothing for an empty line or a comment. Errors as [`TrustList::parse`].
pub(crate) fn parse_line(
    line: &str,
    source_name: &str,
    number: usize,
) -> Result<Option<TrustedKey>, Error> {
    let mut words = line
        .split('#')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace();
    let Some(key) = words.next() else {
        return Ok(None);
    };
    let malformed = |reason: String| Error::TrustList {
        source_name: source_name.to_owned(),
        line: number,
        reason,
    };
    let bytes = decode_key(key).ok_or_else(|| {
        malformed(format!(
            "{} is not ed25519:<base64 of 32 bytes>",
            quoted(key)
        ))
    })?;
    let key = PublicKey::from_bytes(&bytes).map_err(|reason| {
        Rejection::new(
            Code::TrustedKeyWeak,
            format!(
                "line {number} of {source_name}: the key is {reason}, so signatures by it prove nothing; remove it"
            ),
        )
        .file(source_name)
    })?;
    let mut entry = TrustedKey {
        key,
        revoked: false,
        allow_native: false,
    };
    for word in words {
        match word {
            "revoked" => entry.revoked = true,
            "allow-native" => entry.allow_native = true,
            other => {
                return Err(malformed(format!(
                    "{} is neither revoked nor allow-native",
                    quoted(other)
                )));
            }
        }
    }
    Ok(Some(entry))
}

/// The text of a list, whole: a part of it would forget revocations.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let file = open_regular(path).map_err(|source| {
        if is_absent(&source) {
            Error::NotFound(path.to_owned())
        } else {
            Error::io("read the trust list", path, source)
        }
    })?;
    let mut bytes = Vec::new();
    file.take(LARGEST_LIST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read the trust list", path, source))?;
    let unreadable = |line: usize, reason: &str| Error::TrustList {
        source_name: path.display().to_string(),
        line,
        reason: reason.to_owned(),
    };
    if bytes.len() as u64 > LARGEST_LIST {
        return Err(unreadable(1, "the file is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let lines = valid.iter().filter(|byte| **byte == b'\n').count();
        unreadable(lines + 1, "it is not UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::encode_key;

    /// Public key of RFC 8032, section 7.1, test 1.
    const KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn code(text: &str) -> Code {
        match TrustList::parse(text, "test") {
            Err(Error::Rejected(rejection)) => rejection.code,
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_without_a_writer_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = TrustList::read(&pipe).unwrap_err().to_string();
        assert!(error.contains("trust list"), "{error}");
        let seen = crate::rollback::SeenVersions::read(&pipe).unwrap_err();
        let source = std::error::Error::source(&seen).unwrap().to_string();
        assert!(source.contains("not a regular file"), "{source}");
    }

    #[test]
    fn reads_keys_words_and_comments() {
        let list = TrustList::parse(
            &format!("# ours\n\n  {KEY} allow-native # since May\n"),
            "test",
        )
        .unwrap();
        assert_eq!(list.len(), 1);
        assert!(list.keys()[0].allow_native && !list.keys()[0].revoked);
    }

    #[test]
    fn revocation_on_any_line_wins() {
        for text in [
            format!("{KEY}\n{KEY} revoked"),
            format!("{KEY} revoked\n{KEY}"),
        ] {
            let list = TrustList::parse(&text, "test").unwrap();
            assert_eq!(list.len(), 1);
            assert!(list.keys()[0].revoked);
        }
    }

    #[test]
    fn a_misspelt_word_is_an_error_not_trust() {
        for text in [
            format!("{KEY} revokd"),
            KEY.to_uppercase(),
            KEY.trim_end_matches('=').to_owned(),
        ] {
            assert!(matches!(
                TrustList::parse(&text, "test"),
                Err(Error::TrustList { line: 1, .. })
            ));
        }
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let folder = crate::scratch();
        let path = folder.path().join("trusted_keys");
        let long = format!("{KEY}\n{}\n{KEY} revoked\n", "#".repeat(1 << 20));
        std::fs::write(&path, long).unwrap();
        assert!(matches!(
            TrustList::read(&path),
            Err(Error::TrustList { line: 1, .. })
        ));
        std::fs::write(&path, b"# \xff\n").unwrap();
        assert!(matches!(
            TrustList::read(&path),
            Err(Error::TrustList { line: 1, .. })
        ));
        assert!(matches!(
            TrustList::read(&folder.path().join("none")),
            Err(Error::NotFound(_))
        ));
    }

    #[test]
    fn weak_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(code(&encode_key(&identity)), Code::TrustedKeyWeak);
        assert_eq!(code(&encode_key(&[0; 32])), Code::TrustedKeyWeak);
        // y = p + 3: not reduced, and 3 is the y of a point of large order.
        let mut not_reduced = [0xff; 32];
        not_reduced[0] = 0xf0;
        not_reduced[31] = 0x7f;
        assert_eq!(code(&encode_key(&not_reduced)), Code::TrustedKeyWeak);
    }
}
