//! What a module tells of itself at the end of each run: for modules that were rewritten to keep flags.

use super::{client::Worker, error::WorkerError};
use runtime_api::Budget;
use runtime_call::{Call, Outcome};

/// Calls that are added to every run of a module, of an export that tells words of what the module keeps.
pub(super) struct Gathering {
    pub(super) module: u64,
    pub(super) calls: Vec<Call>,
    /// Everything that was told, joined by OR.
    pub(super) words: Vec<u32>,
}

impl Worker {
    /// From now on every run of a module ends with calls of one of its exports, with 0 and all numbers up to `words`; what they return is
    /// [gathered](Self::gathered) and is no part of the run. Forgets what was gathered before.
    pub fn gather(&mut self, module: u64, export: &str, words: u32, budget: Budget) {
        let call = |word| Call {
            export: export.to_owned(),
            arguments: vec![word],
            budget,
        };
        self.gathering = Some(Gathering {
            module,
            calls: (0..words).map(call).collect(),
            words: vec![0; words as usize],
        });
    }

    /// What runs of the module told since [`gather`](Self::gather), joined by OR; of a run that did not return nothing is known.
    pub fn gathered(&self) -> &[u32] {
        let gathering = self.gathering.as_ref();
        gathering.map_or(&[], |gathering| &gathering.words)
    }

    pub(super) fn hear_words(&mut self, told: &[Outcome]) -> Result<(), WorkerError> {
        for (word, told) in told.iter().enumerate() {
            let heard = match (told, &mut self.gathering) {
                (Outcome::Returned(value), Some(gathering)) => gathering
                    .words
                    .get_mut(word)
                    .map(|all| *all |= *value as u32),
                _ => None,
            };
            if heard.is_none() {
                let message = format!("the module did not tell word {word} of its flags: {told:?}");
                return Err(self.protocol_error(message));
            }
        }
        Ok(())
    }
}
