use crate::Form;
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

/// Digests bytes in a [`Form`], piece by piece: the worker what it read, and the harness what is due.
pub enum Digest {
    /// SHA-256.
    Sha256(Sha256),
    /// XXH3 of 128 bits.
    Xxh3(Box<XxHash3_128>),
}

impl Digest {
    /// Of nothing yet. What is read as bytes is digested by SHA-256.
    pub fn new(form: Form) -> Self {
        match form {
            Form::Xxh3(seed) => Self::Xxh3(Box::new(XxHash3_128::with_seed(seed))),
            Form::Sha256 | Form::Bytes => Self::Sha256(Sha256::new()),
        }
    }

    /// Of these bytes.
    pub fn of(form: Form, bytes: &[u8]) -> Vec<u8> {
        let mut digest = Self::new(form);
        digest.update(bytes);
        digest.finish()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Xxh3(hasher) => hasher.write(bytes),
        }
    }

    /// Adds so many times a byte.
    pub fn repeat(&mut self, byte: u8, times: u64) {
        let part = [byte; 4096];
        let mut left = times;
        while left > 0 {
            let now = left.min(part.len() as u64);
            self.update(&part[..now as usize]);
            left -= now;
        }
    }

    /// The digest: 32 bytes, or 16.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Xxh3(hasher) => hasher.finish_128().to_le_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of other implementations: of FIPS 180-2, and of xxHash 0.8, which writes the highest byte first.
    #[test]
    fn digests_are_those_of_others() {
        let sha256 = hex(&Digest::of(Form::Sha256, b"abc"));
        assert!(sha256.starts_with("ba7816bf8f01cfea"), "{sha256}");
        let xxh3 = hex(&Digest::of(Form::Xxh3(0), b""));
        assert_eq!(xxh3, "7f498d4624c30160d8984701d306aa99");
    }

    #[test]
    fn pieces_and_repeated_bytes_give_what_the_whole_does() {
        let mut pieces = Digest::new(Form::Xxh3(7));
        pieces.update(b"a");
        pieces.repeat(b'b', 10_000);
        let whole = [b"a".to_vec(), vec![b'b'; 10_000]].concat();
        assert_eq!(pieces.finish(), Digest::of(Form::Xxh3(7), &whole));
        assert_ne!(
            Digest::of(Form::Xxh3(8), &whole),
            Digest::of(Form::Xxh3(7), &whole)
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
