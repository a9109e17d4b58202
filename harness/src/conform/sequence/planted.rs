//! Sequences of a module in which something was planted: what it does at one of its calls, and the harness knows, has to show there, exactly, and
//! nothing else.

use super::{
    Alone, Exchange, Init, Living, Prepared, Sequence, Step, Stop, Why,
    plan::{one_of, step},
};
use crate::conform::judge::Layer;
use fastrand::Rng;
use kernel_cases::case::Entry;
use runtime_call::Frame;
use std::time::Duration;

/// What shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conform) enum Effect {
    /// Nothing: the call does not return, or what it does is undone.
    Nothing,
    /// Memory has a page more.
    Page,
    /// This word at this address, outside of the call's regions.
    Stray {
        /// The address.
        at: u32,
        /// The word.
        word: u32,
    },
    /// This word in the output.
    Answer {
        /// Bytes from the output's begin.
        offset: u32,
        /// The word.
        word: u32,
    },
}

/// An effect, and at which call of the entry point it shows, from 1.
#[derive(Clone, Copy, Debug)]
pub(in crate::conform) struct Planted {
    pub(in crate::conform) call: u32,
    /// Which entry point.
    pub(in crate::conform) entry: Entry,
    pub(in crate::conform) effect: Effect,
}

/// A call of the entry point in a sequence.
#[derive(Clone, Copy, Debug)]
pub(in crate::conform) struct Entered {
    /// Which step, from 1.
    pub(in crate::conform) step: usize,
    /// Which call of the entry point, from 1.
    pub(in crate::conform) call: u32,
    /// Index of the case.
    pub(in crate::conform) index: usize,
    /// What its place follows from.
    pub(in crate::conform) seed: u64,
}

impl Sequence {
    /// So many drawn calls of the cases with these indexes.
    pub(in crate::conform) fn drawn(
        name: &str,
        cases: &[usize],
        calls: usize,
        random: &mut Rng,
    ) -> Self {
        let mut steps = Vec::new();
        while steps.len() < calls && !cases.is_empty() {
            step(&mut steps, one_of(cases, random), random);
        }
        Self {
            name: name.to_owned(),
            init: Init::None,
            interpreted: steps.len(),
            steps,
            checks: random.u64(..),
        }
    }

    /// How many steps it has.
    pub(in crate::conform) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The calls of an entry point, in order.
    pub(in crate::conform) fn entered(&self, cases: &[Prepared], entry: Entry) -> Vec<Entered> {
        let steps = (1..).zip(&self.steps);
        let calls = steps.filter_map(|(step, what)| match *what {
            Step::Case { index, seed, .. } if cases[index].case.entry == entry => {
                Some((step, index, seed))
            }
            _ => None,
        });
        let numbered = (1..).zip(calls);
        numbered
            .map(|(call, (step, index, seed))| Entered {
                step,
                call,
                index,
                seed,
            })
            .collect()
    }
}

/// Runs a sequence on one instance of a module in which something was planted. Gives how it ended, and how long its last exchange took.
pub(in crate::conform) fn run(
    exchange: Exchange<'_>,
    cases: &[Prepared],
    alone: &[Option<Alone>],
    sequence: &Sequence,
    planted: &Planted,
) -> (Result<(), Stop>, Duration) {
    let mut living = Living::new(exchange, cases, alone);
    living.planted = Some(*planted);
    let ended = living.run(sequence);
    (ended, living.took)
}

impl Living<'_> {
    /// What shows of the call that comes now.
    pub(super) fn entering(&mut self, entry: Entry) -> Effect {
        match self.planted {
            Some(planted) if planted.entry == entry => {
                self.entered += 1;
                match planted.call == self.entered {
                    true => planted.effect,
                    false => Effect::Nothing,
                }
            }
            _ => Effect::Nothing,
        }
    }

    /// Before the call: what memory holds besides the call's frame once it returned.
    pub(super) fn expect(&mut self, effect: Effect, frame: &Frame) {
        match effect {
            Effect::Page => self.growing = 1,
            Effect::Stray { at, word } if within(frame, at).is_none() => {
                self.keep(at, &word.to_le_bytes());
            }
            Effect::Stray { .. } | Effect::Answer { .. } | Effect::Nothing => {}
        }
    }

    /// After the call: the frame's bytes as they were to be without the effect, if it is there.
    pub(super) fn without(
        &mut self,
        effect: Effect,
        frame: &Frame,
        alone: &Alone,
        after: &[u8],
    ) -> Result<Vec<u8>, Why> {
        if std::mem::take(&mut self.growing) > 0 {
            self.grow(self.pages + 1);
        }
        let mut bytes = after.to_vec();
        let output = frame.placed().output.offset;
        let (at, word, due) = match effect {
            Effect::Stray { at, word } => match within(frame, at) {
                Some(inside) => (inside, word, frame.image()[inside..inside + 4].to_vec()),
                None => return Ok(bytes),
            },
            Effect::Answer { offset, word } => {
                let own = offset as usize;
                let inside = (output - frame.start()) as usize + own;
                (inside, word, alone.output[own..own + 4].to_vec())
            }
            Effect::Page | Effect::Nothing => return Ok(bytes),
        };
        let place = bytes.get_mut(at..at + 4);
        let Some(place) = place.filter(|place| **place == word.to_le_bytes()) else {
            let what = match effect {
                Effect::Answer { .. } => {
                    "a word that the kernel wrote into its output is not there".to_owned()
                }
                _ => format!(
                    "a word that the kernel wrote at address {} is not there",
                    frame.start() as usize + at
                ),
            };
            return Err(Why::Wrong(Layer::L6, what));
        };
        place.copy_from_slice(&due);
        Ok(bytes)
    }
}

/// Where an address is in a frame.
fn within(frame: &Frame, at: u32) -> Option<usize> {
    let inside = at.checked_sub(frame.start())? as usize;
    (inside < frame.image().len()).then_some(inside)
}
