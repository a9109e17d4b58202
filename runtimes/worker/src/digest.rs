//! How memory is read that is compared and not looked at.

use super::Worker;
use runtime_call::Form;
use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

impl Worker {
    /// In which form. A worker of this project knows a quick digest, whose seed is drawn for this process and seen by no module; one from outside is
    /// asked for SHA-256, which it has to make of what it read.
    pub fn digest_form(&self) -> Form {
        static SEED: OnceLock<u64> = OnceLock::new();
        if self.launch.states_id && self.has_operation("xxh3") {
            Form::Xxh3(*SEED.get_or_init(|| RandomState::new().hash_one(0)))
        } else {
            Form::Sha256
        }
    }
}
