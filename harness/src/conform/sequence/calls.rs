//! The calls of cases in a sequence, and what they must have left.

use super::{Living, MANY_PAGES_FOR_INTERPRETERS, Why, planted::Effect, returned_zero};
use crate::conform::{
    judge::Layer,
    observe::{Ended, same_size},
    placement::{Listed, Place},
    subject::{self, Placed},
};
use assay_worker::InstanceChoice;
use kernel_abi::{Status, export};
use kernel_cases::truth;
use runtime_call::{Fetched, Form, Invocation, Read, Write};

impl Living<'_> {
    /// Calls a case at a place so many times. Scratch is compared where the call alone had the same place, because what it holds may be addresses.
    pub(super) fn case(
        &mut self,
        (index, count): (usize, usize),
        place: Option<Place>,
        same_place: bool,
        whole: bool,
    ) -> Result<(), Why> {
        let (cases, alone) = (self.cases, self.alone);
        let case = &cases[index].case;
        let (Some(alone), Some(place)) = (&alone[index], place) else {
            return Ok(());
        };
        if self.exchange.leaves_out(case) {
            self.left_out += count;
            return Ok(());
        }
        // What is updated is another input in the second call.
        let changes_itself = case.base.as_ref().is_some_and(|base| *base != alone.output);
        if count > 1 && alone.status == 0 && changes_itself {
            return Ok(());
        }
        let place = Place {
            pages: place.pages.max(self.pages),
            ..place
        };
        // It fitted alone, and memory is no larger than the limit.
        let Ok(placed) = subject::place(case, self.exchange.subject, &place) else {
            return Ok(());
        };
        self.calls += count;
        self.grow(placed.pages);
        let frame = &placed.frame;
        let entry = self.exchange.subject.export(case.entry).to_owned();
        let call = self.exchange.call(&entry, vec![frame.descriptor_address()]);
        let pieces: Vec<(u32, &[u8])> = frame.pieces().collect();
        let effect = self.entering(case.entry);
        self.expect(effect, frame);
        let (statuses, left) = self.exchange(
            InstanceChoice::Same,
            &pieces,
            vec![call; count],
            &spans(&pieces),
            whole || effect != Effect::Nothing,
        )?;
        let after = self.without(effect, frame, alone, &left)?;
        self.compare(index, &placed, (&statuses, &after), same_place)?;
        let mut left = left.as_slice();
        for (at, bytes) in pieces {
            let (of_piece, rest) = left.split_at(bytes.len());
            self.keep(at, of_piece);
            left = rest;
        }
        Ok(())
    }

    /// Calls a case on an instance of its own in a large memory, of which only the frame is compared.
    pub(super) fn far(&mut self, index: usize, listed: Listed, pages: u32) -> Result<(), Why> {
        let case = &self.cases[index].case;
        let place = Place::listed(case, self.exchange.subject, listed, pages);
        let (Some(_), Some(place)) = (&self.alone[index], place) else {
            return Ok(());
        };
        let Ok(placed) = subject::place(case, self.exchange.subject, &place) else {
            return Ok(());
        };
        let invocation = |writes, calls, reads| Invocation {
            pages: placed.pages,
            writes,
            calls,
            reads,
        };
        let much = self.exchange.interprets() && placed.pages > MANY_PAGES_FOR_INTERPRETERS;
        let room = invocation(Vec::new(), Vec::new(), Vec::new());
        // The manifest allows so much memory, and the machine need not have it.
        let has_room = !much
            && match self.exchange.run(InstanceChoice::Fresh, room) {
                Ok(_) => true,
                Err(Ended::Stopped(_)) => false,
                Err(ended) => return Err(Why::Ended(ended)),
            };
        if !has_room {
            self.left_out += 1;
            return Ok(());
        }
        self.calls += 1;
        let frame = &placed.frame;
        let entry = self.exchange.subject.export(case.entry).to_owned();
        let (writes, reads) = there_and_back(frame.pieces());
        let calls = vec![
            self.exchange.call(export::INIT, vec![0, 0]),
            self.exchange.call(&entry, vec![frame.descriptor_address()]),
        ];
        let invocation = invocation(writes, calls, reads);
        let (returned, observation) = self
            .exchange
            .run(InstanceChoice::Same, invocation)
            .map_err(Why::Ended)?;
        returned_zero(export::INIT, returned.first().copied())?;
        same_size(placed.pages, observation.pages).map_err(|what| Why::Wrong(Layer::L6, what))?;
        let after = in_one_piece(observation.reads);
        self.compare(index, &placed, (&returned[1..], &after), false)
    }

    /// Holds what calls of a case left against what the call of a fresh instance left.
    fn compare(
        &self,
        index: usize,
        placed: &Placed,
        (statuses, after): (&[i32], &[u8]),
        same_place: bool,
    ) -> Result<(), Why> {
        let case = &self.cases[index].case;
        let Some(alone) = &self.alone[index] else {
            return Ok(());
        };
        let frame = &placed.frame;
        if let Some(status) = statuses.iter().find(|status| **status != alone.status) {
            return Err(Why::Wrong(
                Layer::L1,
                format!(
                    "status {} where a fresh instance answers {}",
                    Status(*status),
                    Status(alone.status)
                ),
            ));
        }
        let wrong = |what: String| Why::Wrong(Layer::L6, what);
        frame
            .check(after, alone.status == 0)
            .map_err(|violation| wrong(violation.to_string()))?;
        if alone.status == 0
            && let Some(mismatch) = truth::bits_differ(case, &alone.output, frame.output(after))
        {
            return Err(wrong(format!(
                "the output is another than that of a fresh instance: {mismatch}"
            )));
        }
        if same_place && let Some(at) = scratch_differs(&alone.scratch, frame.scratch(after)) {
            return Err(wrong(format!(
                "scratch holds something else than after the same call of a fresh instance, from byte {at} of {} on",
                alone.scratch.len()
            )));
        }
        Ok(())
    }
}

/// The bytes that were read, one after the other.
pub(super) fn in_one_piece(reads: Vec<Fetched>) -> Vec<u8> {
    let reads: Vec<Vec<u8>> = reads.into_iter().map(|read| read.0).collect();
    reads.concat()
}

/// What writes pieces into memory, and what reads them back.
pub(super) fn there_and_back<'a>(
    pieces: impl Iterator<Item = (u32, &'a [u8])>,
) -> (Vec<Write>, Vec<Read>) {
    let both = pieces.map(|(at, bytes)| {
        let write = Write::Bytes {
            at,
            bytes: bytes.to_vec(),
        };
        let read = Read {
            at,
            length: bytes.len() as u32,
            form: Form::Bytes,
        };
        (write, read)
    });
    both.unzip()
}

/// Where pieces lie, and how many bytes each has.
fn spans(pieces: &[(u32, &[u8])]) -> Vec<(u32, u32)> {
    let spans = pieces.iter().map(|(at, bytes)| (*at, bytes.len() as u32));
    spans.collect()
}

/// The first byte in which two contents of scratch differ, NaNs of f32 as a class: their bits may change when an engine compiles again.
pub(super) fn scratch_differs(one: &[u8], other: &[u8]) -> Option<usize> {
    if one == other {
        return None;
    }
    if one.len() != other.len() {
        return Some(one.len().min(other.len()));
    }
    let is_nan = |word: &[u8]| match word.try_into() {
        Ok(bytes) => f32::from_le_bytes(bytes).is_nan(),
        Err(_) => false,
    };
    let words = one.chunks(4).zip(other.chunks(4)).enumerate();
    words
        .filter(|(_, (one, other))| one != other)
        .find(|(_, (one, other))| !(is_nan(one) && is_nan(other)))
        .map(|(index, _)| index * 4)
}
