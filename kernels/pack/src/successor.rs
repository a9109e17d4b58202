//! A statement by which the holder of a key names the key that follows it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::key::PublicKey;
use crate::sign::PackSigningKey;
use crate::write::write_file;

/// The first line. It is signed too: no manifest begins so, and nothing that begins so is a manifest, so neither signature can be
/// taken for the other.
const HEADER: &str = "kernel-pack successor statement, version 1";

/// Bytes of a statement; it has one form, which is shorter.
const LARGEST_STATEMENT: usize = 512;

/// That the holder of the old key named the new one. Only a signature that holds makes one.
///
/// Four lines, each with a line feed: the header, `old ed25519:<base64>`, `new ed25519:<base64>`, and `signature <base64>`: the old
/// key's over the bytes of the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    old: PublicKey,
    new: PublicKey,
}

impl Successor {
    /// Whether a file is meant as a statement, whatever its state.
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(b"kernel-pack successor")
    }

    /// Reads a statement and checks its signature.
    ///
    /// # Errors
    /// [`Error::Successor`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Successor(reason.to_owned());
        let form = || wrong("it is not of the one form that a statement has; get it again");
        if bytes.len() > LARGEST_STATEMENT {
            return Err(form());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form())?;
        let mut lines = text.strip_suffix('\n').ok_or_else(form)?.split('\n');
        let mut value = |name: &str| lines.next().and_then(|line| line.strip_prefix(name));
        value(HEADER)
            .filter(|rest| rest.is_empty())
            .ok_or_else(form)?;
        let old = PublicKey::parse(value("old ").ok_or_else(form)?)?;
        let new = PublicKey::parse(value("new ").ok_or_else(form)?)?;
        let signature: [u8; 64] = value("signature ")
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(form)?;
        if lines.next().is_some() {
            return Err(form());
        }
        if old == new {
            return Err(wrong("a key does not succeed itself"));
        }
        if !old.holds(message(&old, &new).as_bytes(), &signature) {
            return Err(wrong(
                "its signature is not by the old key: it was changed, or somebody else made it; do not use it",
            ));
        }
        Ok(Self { old, new })
    }

    /// The text of a statement by the holder of the old key.
    ///
    /// # Errors
    /// [`Error::Successor`] if both keys are the same.
    pub fn sign(old: &PackSigningKey, new: &PublicKey) -> Result<String, Error> {
        if old.public_key() == *new {
            return Err(Error::Successor("a key does not succeed itself".to_owned()));
        }
        let message = message(&old.public_key(), new);
        let signature = STANDARD.encode(old.sign(message.as_bytes()));
        Ok(format!("{message}signature {signature}\n"))
    }

    /// Writes a statement to a file, replacing what was there in one step.
    ///
    /// # Errors
    /// As [`sign`](Self::sign); [`Error::Io`].
    pub fn write(old: &PackSigningKey, new: &PublicKey, path: &Path) -> Result<(), Error> {
        write_file(path, Self::sign(old, new)?.as_bytes())
    }

    /// The key that made the statement.
    pub fn old(&self) -> &PublicKey {
        &self.old
    }

    /// The key that it names.
    pub fn new_key(&self) -> &PublicKey {
        &self.new
    }
}

/// What is signed: the lines before the signature.
fn message(old: &PublicKey, new: &PublicKey) -> String {
    format!("{HEADER}\nold {old}\nnew {new}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{HostCaps, Manifest};

    fn key(seed: u8) -> PackSigningKey {
        PackSigningKey::from_seed(&[seed; 32])
    }

    #[test]
    fn what_is_signed_reads_back() {
        let text = Successor::sign(&key(1), &key(2).public_key()).unwrap();
        let read = Successor::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (read.old, read.new),
            (key(1).public_key(), key(2).public_key())
        );
        assert!(Successor::is_meant(text.as_bytes()));
        assert!(Successor::sign(&key(1), &key(1).public_key()).is_err());
    }

    #[test]
    fn every_change_is_refused() {
        let text = Successor::sign(&key(1), &key(2).public_key()).unwrap();
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1;
            assert!(Successor::parse(&bytes).is_err(), "{index}");
            assert!(Successor::parse(&bytes[..index]).is_err(), "{index}");
        }
        for other in [
            format!("{text}\n"),
            format!("{text}{text}"),
            text.replace('\n', "\r\n"),
            text.replacen("old", " old", 1),
            text.replace(&key(2).public(), &key(3).public()),
        ] {
            assert!(Successor::parse(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_statement_is_no_manifest_and_a_signed_manifest_no_statement() {
        let text = Successor::sign(&key(1), &key(2).public_key()).unwrap();
        let signed = message(&key(1).public_key(), &key(2).public_key());
        for bytes in [text.as_bytes(), signed.as_bytes()] {
            assert!(Manifest::parse(bytes, &HostCaps::default()).is_err());
        }
        // A signature over anything else, such as the lines without their header, is not one of a statement.
        let (_, bare) = signed.split_once('\n').unwrap();
        let signature = STANDARD.encode(key(1).sign(bare.as_bytes()));
        let forged = format!("{signed}signature {signature}\n");
        assert!(Successor::parse(forged.as_bytes()).is_err());
    }
}
