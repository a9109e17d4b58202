//! Calls of a host that changes as little as it can from one to the next, at one place: a parameter in place, the size of scratch, what was
//! initialised, or a call in between that is refused. A kernel that knows by too little what it has checked or kept answers for another call.

use super::{
    Ended, Living, Why,
    calls::{in_one_piece, there_and_back},
    kept::{One, other_end},
    plan::bytes,
    varied::{Left, same},
};
use crate::conform::{
    placement::{Place, shuffle},
    subject::{self, Placed},
};
use assay_worker::InstanceChoice;
use fastrand::Rng;
use kernel_abi::{PAGE_BYTES, REGION_ALIGNMENT, export};
use kernel_cases::{
    case::{Case, Tweak, Word},
    vary::{Variation, varied},
};
use runtime_call::{Arrangement, Content, Fill, Invocation, Part, Write};

/// Tensors of calls that engines which interpret are asked for, at most.
const SMALL_BYTES: usize = 4 << 10;
/// Tensors of calls of which parameters become others, at most: such calls are many.
const MOST_BYTES: usize = 48 << 10;
/// Of all but the first calls of an entry so many refusals are asked beside the most usual ones.
const OTHERS: usize = 2;
/// The most usual mistakes of those that are made: an output and an input that are too short.
const USUAL: usize = 2;
/// Calls in which two elements are exchanged: of each half of two inputs.
const EXCHANGED: u32 = 4;
/// Calls that are refused in a row behind one that is taken.
const REFUSED_AT_ONCE: usize = 3;
/// Words up to here may be sizes, numbers and choices, and are too small for most real numbers.
const MOST_COUNT: u32 = 1 << 20;
/// No number, and the sign of one.
const NAN: u32 = 0x7fc0_0000;
const SIGN: u32 = 1 << 31;

impl Living<'_> {
    /// Makes calls between the first of these and what differs from it by little.
    pub(super) fn changed(
        &mut self,
        calls: &[One],
        first: bool,
        random: &mut Rng,
    ) -> Result<(), Why> {
        let size = bytes(&calls[0].case);
        if self.exchange.interprets() && size > SMALL_BYTES {
            return Ok(());
        }
        let room = match first {
            true => usize::MAX,
            false => OTHERS,
        };
        self.exchanged(&calls[0])?;
        self.after_a_reset(&calls[0])?;
        self.initialised_otherwise(&calls[0], first)?;
        self.over_another_scratch(&calls[0])?;
        self.with_refused(&calls[0], other_end(calls), (room, random))?;
        match size <= MOST_BYTES {
            true => self.params_in_place(&calls[0], (first, random)),
            false => Ok(()),
        }
    }

    /// The call, and then some in which two elements of an input have changed places, which no sum of all of them tells.
    fn exchanged(&mut self, one: &One) -> Result<(), Why> {
        let Ok(contract) = &self.exchange.subject.standard.contract else {
            return Ok(());
        };
        let exchanged = |number| varied(&one.case, contract, Variation::Exchanged, number);
        let exchanged = (1..=EXCHANGED).map(exchanged);
        let exchanged = exchanged.filter(|other| *other != one.case).collect();
        let exchanged = self.answered(exchanged, Part::ALL)?;
        let turns: Vec<&One> = std::iter::once(one).chain(&exchanged).collect();
        self.over_each_other(&turns)
    }

    /// The call where output, scratch and memory around hold zeros, as after a reset. What else they may hold, places draw.
    fn after_a_reset(&mut self, one: &One) -> Result<(), Why> {
        let arrangement = Arrangement {
            output: Content::Byte(0),
            scratch: Content::Byte(0),
            around: 0,
            ..Arrangement::ordinary(self.heap_base(), Fill::SECOND)
        };
        let Some(placed) = self.arranged(&one.case, arrangement) else {
            return Ok(());
        };
        let entry = self.exchange.subject.export(one.case.entry).to_owned();
        let left = self.in_order(&entry, std::slice::from_ref(&placed), &[0])?;
        let what = "where output and scratch hold zeros";
        let mut pairs = left.iter().map(|left| (&one.due, left));
        pairs.try_for_each(|pair| same(&one.case, &placed, pair).map_err(|why| why.of(what)))
    }

    /// The call behind a `kernel_init` of half its size, or twice, or of another choice.
    fn initialised_otherwise(&mut self, one: &One, all: bool) -> Result<(), Why> {
        let params = &one.case.params;
        for (word, value) in words(params) {
            if value > MOST_COUNT {
                continue;
            }
            // Of a choice the other one; of a size half of it, for which a table is too short, and twice as much.
            let others: &[u32] = match value {
                0 | 1 if all => &[value ^ 1],
                0 | 1 => &[],
                _ if all => &[value / 2, value * 2],
                _ => &[value / 2],
            };
            for &other in others {
                if let Some(left) = self.after_init(one, &with_word(params, word, other))? {
                    let what = format!("after `{}` with {other} in word {word}", export::INIT);
                    same(&one.case, &one.placed, (&one.due, &left)).map_err(|why| why.of(&what))?;
                }
            }
        }
        Ok(())
    }

    /// What the call leaves behind a `kernel_init` with these parameters; `None` where those are refused, or there is no room for them.
    fn after_init(&mut self, one: &One, params: &[u8]) -> Result<Option<Left>, Why> {
        let frame = &one.placed.frame;
        let at = frame.end().next_multiple_of(REGION_ALIGNMENT.into());
        let needed = (at + params.len() as u64).div_ceil(PAGE_BYTES);
        if needed > u64::from(self.exchange.subject.max_pages) {
            return Ok(None);
        }
        let (at, length) = (at as u32, params.len() as u32);
        let (mut writes, reads) = there_and_back(frame.pieces());
        writes.push(Write::Bytes {
            at,
            bytes: params.to_vec(),
        });
        let entry = self.exchange.subject.export(one.case.entry).to_owned();
        let invocation = Invocation {
            pages: one.placed.pages.max(needed as u32),
            writes,
            calls: vec![
                self.exchange.call(export::INIT, vec![at, length]),
                self.exchange.call(&entry, vec![frame.descriptor_address()]),
            ],
            reads,
        };
        self.calls += 1;
        let ran = self.exchange.run(InstanceChoice::Fresh, invocation);
        let (returned, observation) = ran.map_err(Why::Ended)?;
        let [0, status] = returned[..] else {
            // No call follows a refusal, so that what it gave says nothing.
            return Ok(None);
        };
        Ok(Some(Left {
            status,
            frame: in_one_piece(observation.reads),
        }))
    }

    /// The call by turns with the same one that has more scratch, over what the last one left there.
    fn over_another_scratch(&mut self, one: &One) -> Result<(), Why> {
        let size = one.case.scratch_size;
        if size == 0 {
            return Ok(());
        }
        let larger = Case {
            scratch_size: 2 * size,
            ..one.case.clone()
        };
        match &self.answered(vec![larger], Part::ALL)?[..] {
            [larger] => self.over_each_other(&[one, larger, one]),
            _ => Ok(()),
        }
    }

    /// A call, another one with its own inputs that is refused, and that one as it should be: for each reason to refuse it.
    fn with_refused(
        &mut self,
        one: &One,
        other: &One,
        (room, random): (usize, &mut Rng),
    ) -> Result<(), Why> {
        let mut refused: Vec<Case> = mistakes(&other.case).collect();
        let wrong = changed_words(&other.case.params).into_iter().take(2);
        refused.extend(wrong.map(|params| with_params(&other.case, params)));
        shuffle(random, &mut refused[USUAL..]);
        refused.truncate(room.saturating_add(USUAL));
        let statuses = self.statuses(&refused)?;
        let refused = self.known(refused, &statuses, |status| status != 0);
        let turns = refused.iter().flat_map(|refused| [one, refused, other]);
        self.over_each_other(&turns.collect::<Vec<_>>())
    }

    /// The call by turns with calls of which parameters alone are others that are taken, and, of the first call of an entry, those that are refused too.
    fn params_in_place(&mut self, one: &One, (all, random): (bool, &mut Rng)) -> Result<(), Why> {
        let cases = as_large(&one.case.params).into_iter();
        let cases: Vec<Case> = cases.map(|params| with_params(&one.case, params)).collect();
        let statuses = self.statuses(&cases)?;
        let taken = cases.iter().zip(&statuses);
        let taken = taken.filter(|(_, status)| **status == Some(0));
        let taken: Vec<Case> = taken.map(|(case, _)| case.clone()).collect();
        let taken = self.answered(taken, Part::ALL)?;
        // What nobody takes is refused whatever came before it, unless nothing is looked at.
        let refused = match all {
            true => {
                let cases = changed_words(&one.case.params).into_iter();
                let cases: Vec<Case> = cases.map(|params| with_params(&one.case, params)).collect();
                let statuses = self.statuses(&cases)?;
                let mut refused = self.known(cases, &statuses, |status| status != 0);
                shuffle(random, &mut refused);
                refused
            }
            false => Vec::new(),
        };
        let turns = taken.iter().flat_map(|taken| [one, taken]);
        let refused = refused.chunks(REFUSED_AT_ONCE);
        let refused = refused.flat_map(|some| std::iter::once(one).chain(some));
        self.over_each_other(&turns.chain(refused).collect::<Vec<_>>())
    }

    /// The statuses of calls beside each other on one instance; `None` for those without room, and for those that do not return, which others ask.
    fn statuses(&mut self, cases: &[Case]) -> Result<Vec<Option<i32>>, Why> {
        let mut statuses = Vec::new();
        if let Some(first) = cases.first() {
            let entry = self.exchange.subject.export(first.entry).to_owned();
            let placed = self.side_by_side(cases.iter().cloned());
            let order: Vec<usize> = (0..placed.len()).collect();
            let answers = match self.in_order(&entry, &placed, &order) {
                Err(Why::Ended(Ended::Stopped(_))) => None,
                answers => Some(answers?),
            };
            match answers {
                Some(left) => statuses.extend(left.into_iter().map(|left| Some(left.status))),
                None => {
                    for one in &placed {
                        let left = self.in_order(&entry, std::slice::from_ref(one), &[0]);
                        statuses.push(match left {
                            Err(Why::Ended(Ended::Stopped(_))) => None,
                            left => left?.pop().map(|left| left.status),
                        });
                    }
                }
            }
        }
        statuses.resize(cases.len(), None);
        Ok(statuses)
    }

    /// Calls with a status of which this is true, at the place of all.
    fn known(
        &self,
        cases: Vec<Case>,
        statuses: &[Option<i32>],
        fits: impl Fn(i32) -> bool,
    ) -> Vec<One> {
        let known = cases.into_iter().zip(statuses);
        let known = known.filter_map(|(case, status)| Some((case, (*status)?)));
        known
            .filter(|(_, status)| fits(*status))
            .filter_map(|(case, status)| {
                let placed = self.at_the_place(&case, Part::ALL)?;
                let frame = placed.frame.image().to_vec();
                Some(One {
                    case,
                    placed,
                    due: Left { status, frame },
                })
            })
            .collect()
    }

    pub(super) fn arranged(&self, case: &Case, arrangement: Arrangement) -> Option<Placed> {
        let place = Place {
            arrangement,
            pages: self.pages,
        };
        subject::place(case, self.exchange.subject, &place).ok()
    }
}

/// The words of a parameter struct.
fn words(params: &[u8]) -> impl Iterator<Item = (usize, u32)> + '_ {
    let (words, _) = params.as_chunks::<4>();
    let words = words.iter().map(|word| u32::from_le_bytes(*word));
    words.enumerate()
}

fn with_word(params: &[u8], word: usize, value: u32) -> Vec<u8> {
    let mut params = params.to_vec();
    params[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
    params
}

fn with_params(case: &Case, params: Vec<u8>) -> Case {
    Case {
        params,
        ..case.clone()
    }
}

/// Parameters that may stand for the same sizes: some more words, which a shorter struct leaves out, another choice, the next number, two dimensions exchanged, or one halved and another doubled.
fn as_large(params: &[u8]) -> Vec<Vec<u8>> {
    let longer = [&[0][..], &[1], &[1, 0]].map(|more: &[u32]| {
        let more = more.iter().flat_map(|word| word.to_le_bytes());
        params.iter().copied().chain(more).collect()
    });
    let mut others = longer.to_vec();
    // Any word may be a whole number, of either sign.
    others.extend(words(params).flat_map(|(word, value)| {
        [value ^ 1, value.wrapping_add(1)].map(|next| with_word(params, word, next))
    }));
    let counting: Vec<(usize, u32)> = words(params)
        .filter(|(_, value)| *value <= MOST_COUNT)
        .collect();
    for (one, value) in &counting {
        let (one, value) = (*one, *value);
        for (other, second) in &counting {
            let (other, second) = (*other, *second);
            if other != one && value > 0 && second > 0 && value % 2 == 0 {
                let halved = with_word(params, one, value / 2);
                others.push(with_word(&halved, other, second * 2));
            }
            if other > one && value != second {
                others.push(with_word(&with_word(params, one, second), other, value));
            }
        }
    }
    distinct(params, others)
}

/// Parameters of which one word is nothing, one more, no number, negative, or much larger.
fn changed_words(params: &[u8]) -> Vec<Vec<u8>> {
    let others = words(params).flat_map(|(word, value)| {
        let values = [
            0,
            value.wrapping_add(1),
            NAN,
            value ^ SIGN,
            value | MOST_COUNT,
        ];
        values.map(|value| with_word(params, word, value))
    });
    distinct(params, others.collect())
}

/// Those that differ from these, each once.
fn distinct(params: &[u8], mut others: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut seen = vec![params.to_vec()];
    others.retain(|params| {
        let new = !seen.contains(params);
        if new {
            seen.push(params.clone());
        }
        new
    });
    others
}

/// Calls in which the host did something wrong beside the parameters.
fn mistakes(case: &Case) -> impl Iterator<Item = Case> + '_ {
    use Word::{InputAOffset, InputASize, InputBSize, OutputOffset, OutputSize, ScratchSize};
    let mistakes = [
        Tweak::Add(OutputSize, -4),
        Tweak::Add(InputASize, -4),
        Tweak::Add(InputBSize, -4),
        Tweak::Set(ScratchSize, 0),
        Tweak::Add(OutputOffset, 4),
        Tweak::Copy(OutputOffset, InputAOffset, 0),
    ];
    let makes_sense = |tweak: &Tweak| match tweak {
        Tweak::Add(InputBSize, _) => !case.b.is_empty(),
        Tweak::Set(ScratchSize, _) => case.scratch_size > 0,
        _ => true,
    };
    let mistakes = mistakes.into_iter().filter(makes_sense);
    mistakes.map(|tweak| Case {
        tweaks: vec![tweak],
        ..case.clone()
    })
}
