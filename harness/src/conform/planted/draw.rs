//! What is planted, where: drawn from the run's own seed, so that no engine can know the module, the function, the call or the budget before.

use super::{
    COUNT, Plant, Planting, Plants,
    fault::{Fault, Style, TRAPS},
    place::Place,
};
use crate::conform::{
    judge::{self, Layers},
    observe::{Alone, Loaded},
    placement::{self, index},
    run::{Session, Work},
    sequence::{Sequence, bytes},
    subject::{self, Prepared, Subject},
    unable,
};
use crate::outcome::Outcome;
use assay_worker::Launch;
use fastrand::Rng;
use kernel_cases::case::{Case, Entry};

/// Calls of a sequence, from and to; each doubling is as likely.
const CALLS: [usize; 2] = [12, 96];
/// Ordinary calls before something happens, at least, in all but one of eight: most who lie are honest first.
const CALLS_BEFORE: u32 = 3;
/// Cases that a sequence draws from.
const CASES: usize = 10;
/// Tensors of a case that is drawn.
const SMALL_BYTES: usize = 4 << 10;
/// Ticks of a call that has no end, from and to; and of one in four.
const ENDLESS_TICKS: [std::ops::Range<u64>; 2] = [4..13, 13..48];
/// Fuel of such a call, from and to.
const ENDLESS_FUEL: std::ops::Range<u64> = 1_000_000..30_000_000;
/// Ticks of every other call, at most.
const TICKS: u64 = 200;
/// Pages that memory may grow by, beyond those of the largest call, from and to.
const ROOM: std::ops::Range<u32> = 5..70;

/// The checks: names, and what each plants into a drawn kernel.
type Draw = fn(&mut Rng, &Prepared, Place<'_>) -> Option<Fault>;
const CHECKS: [(&str, Draw); COUNT] = [
    ("a trap in a kernel", |random, _, _| {
        Some(Fault::Trap(index(random, TRAPS.len())))
    }),
    ("a kernel without end", |_, _, _| Some(Fault::Endless)),
    ("growth in a kernel", |random, _, place| {
        Some(Fault::Growth {
            limit: place.limit,
            by: place.room,
            refused: random.i32(1..),
        })
    }),
    ("a stray write of a kernel", |random, _, place| {
        Some(Fault::Stray {
            at: place.free(random)?,
            word: random.u32(1..),
        })
    }),
    ("a wrong answer of a kernel", |random, prepared, _| {
        let words = prepared.case.output_size / 4;
        (words > 0).then(|| Fault::Answer {
            offset: 4 * random.u32(..words),
            word: random.u32(1..),
        })
    }),
    ("calls that are timed", |random, _, place| {
        Some(Fault::Count {
            at: place.free(random)?,
        })
    }),
];

/// What is planted for each check: into a base module, and half of the time into a variant too. Nothing is planted into a kernel that fails by itself,
/// for which an engine would have the blame.
pub(super) fn plants<'a>(references: &[Launch], work: &'a [Work], seed: u64) -> Vec<Planting<'a>> {
    let judged = work
        .iter()
        .filter(|work| work.subject.standard.contract.is_ok());
    let (base, variants): (Vec<&Work>, Vec<&Work>) =
        judged.partition(|work| work.subject.variant == "base");
    let mut random = placement::random(seed, &["planted"]);
    let draw = |(check, draw): (&'static str, Draw)| {
        let mut left_out = Vec::new();
        let mut of = |works: &[&'a Work]| {
            let mut kernels = works.to_vec();
            placement::shuffle(&mut random, &mut kernels);
            let none = "no kernel of the pack has calls that something can be planted in";
            let mut planted = Err((Outcome::Unsupported, none.to_owned()));
            for work in kernels {
                planted = match by_any(references, work, (check, draw), &mut random) {
                    Ok(plant) => Ok(plant),
                    Err(Unfit::Fails(why)) => {
                        left_out.push(format!("{}: {why}", work.subject.name()));
                        let all = "every kernel that something can be planted in fails by itself";
                        Err((Outcome::Unsupported, all.to_owned()))
                    }
                    Err(Unfit::Unable(why)) => {
                        let nobody = "no engine of the harness can say what kernels give";
                        Err((Outcome::Error, format!("{nobody}: {why}")))
                    }
                    Err(Unfit::Other(why)) => Err((Outcome::Unsupported, why)),
                };
                if planted.is_ok() {
                    break;
                }
            }
            (planted, random.bool())
        };
        let (base, with_variant) = of(&base);
        let variant = match with_variant {
            true => of(&variants).0.ok(),
            false => None,
        };
        Planting {
            check,
            plants: base.map(|base| Plants { variant, base }),
            left_out,
        }
    };
    CHECKS.into_iter().map(draw).collect()
}

/// Why nothing is planted into a kernel.
enum Unfit {
    /// It fails without a fault.
    Fails(String),
    /// The engine that is to say what it gives cannot work.
    Unable(String),
    /// Nothing can be, or nobody knows what is due.
    Other(String),
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// [`plant`] with the first engine that can work.
fn by_any<'a>(
    references: &[Launch],
    work: &'a Work,
    check: (&'static str, Draw),
    random: &mut Rng,
) -> Result<Plant<'a>, Unfit> {
    let mut planted = Err(Unfit::Other(
        "there is no engine to compare with".to_owned(),
    ));
    for reference in references {
        planted = plant(reference, work, check, random);
        if !matches!(planted, Err(Unfit::Unable(_))) {
            break;
        }
    }
    planted
}

/// Draws a sequence of a kernel's cases, and what happens at one of its calls.
fn plant<'a>(
    reference: &Launch,
    work: &'a Work,
    (check, draw): (&'static str, Draw),
    random: &mut Rng,
) -> Result<Plant<'a>, Unfit> {
    let gradient = |case: &Case| can_be_planted_in(case, Entry::Backward);
    let has_gradient = work.cases.iter().any(|prepared| gradient(&prepared.case));
    let entry = match has_gradient && random.u8(..3) == 0 {
        true => Entry::Backward,
        false => Entry::Forward,
    };
    let mut session = Session::new(reference);
    let loaded = session.load(&work.subject).map_err(|(outcome, why)| {
        // Time that is over is no engine's failure.
        match outcome == Outcome::Error && session.given_up(0).is_none() {
            true => Unfit::Unable(why),
            false => Unfit::Other(why),
        }
    })?;
    let (drawn, alone) = cases((&mut session, loaded), work, entry, random)?;
    let doublings = (CALLS[1] / CALLS[0]).ilog2();
    let calls = CALLS[0] << random.u32(..doublings);
    let calls = calls + index(random, calls);
    let sequence = Sequence::drawn(check, &drawn, calls, random);
    let without = session.sequence(&work.subject, loaded, work, (&alone, None), &sequence);
    fails(&without.layers)?;
    let mut entered = sequence.entered(&work.cases, entry);
    let before = if random.u8(..8) == 0 { 0 } else { CALLS_BEFORE };
    entered.retain(|at| at.call > before && can_be_planted_in(&work.cases[at.index].case, entry));
    placement::shuffle(random, &mut entered);
    let (limit, room) = limit(work, &drawn, random);
    for at in entered {
        let prepared = &work.cases[at.index];
        let place = prepared.second.again(at.seed);
        let Ok(placed) = subject::place(&prepared.case, &work.subject, &place) else {
            continue;
        };
        let place = Place {
            placed: &placed,
            heap_base: work.subject.heap_base,
            limit,
            room,
        };
        let Some(fault) = draw(random, prepared, place) else {
            continue;
        };
        let own = &work.subject;
        let style = Style::drawn(&fault, random);
        let wasm = fault.plant(&own.wasm, own.export(entry), at.call, style);
        let ticks = match fault {
            Fault::Endless => {
                let long = random.u8(..4) == 0;
                random.u64(ENDLESS_TICKS[usize::from(long)].clone())
            }
            _ => own.ticks.min(TICKS),
        };
        let (by_fuel, fuel) = match fault {
            Fault::Endless => (random.u8(..3) == 0, Some(random.u64(ENDLESS_FUEL))),
            _ => (random.u8(..3) == 0, own.fuel),
        };
        let subject = Subject {
            wasm: wasm.map_err(|error| format!("failed to {error}"))?,
            max_pages: limit,
            ticks,
            fuel,
            ..own.clone()
        };
        return Ok(Plant {
            work,
            alone,
            sequence,
            at,
            entry,
            by_fuel,
            fault,
            subject,
        });
    }
    let why = "it has no call that something can be planted in";
    Err(Unfit::Other(format!("{}: {why}", work.subject.name())))
}

/// Why nothing can be planted into a kernel of which these layers were seen, if it cannot.
fn fails(layers: &Layers) -> Result<(), Unfit> {
    let of = |outcome| layers.iter().find(|(_, held)| held.outcome == outcome);
    if let Some((layer, held)) = of(Outcome::Fail) {
        return Err(Unfit::Fails(format!("{layer:?}, {}", held.detail)));
    }
    match of(Outcome::Error) {
        Some((_, held)) => Err(Unfit::Other(held.detail.clone())),
        None => Ok(()),
    }
}

/// Small cases of a kernel, half of them such that something can happen in, however many others there are; and what each gives alone.
#[allow(clippy::type_complexity)] // indexes, and of each case what there is
fn cases(
    (session, loaded): (&mut Session<'_>, Loaded),
    work: &Work,
    entry: Entry,
    random: &mut Rng,
) -> Result<(Vec<usize>, Vec<Option<Alone>>), Unfit> {
    let small = |index: &usize| bytes(&work.cases[*index].case) <= SMALL_BYTES;
    let mut drawn: Vec<usize> = (0..work.cases.len()).filter(small).collect();
    placement::shuffle(random, &mut drawn);
    drawn.sort_by_key(|index| !can_be_planted_in(&work.cases[*index].case, entry));
    let (planted_in, others) = drawn.split_at(drawn.len().min(CASES / 2));
    let mut others = others.to_vec();
    placement::shuffle(random, &mut others);
    // A kernel whose gradient alone is right fails too.
    let forward = |index: &&usize| can_be_planted_in(&work.cases[**index].case, Entry::Forward);
    let forward: Vec<usize> = others
        .iter()
        .filter(forward)
        .take(CASES / 2)
        .copied()
        .collect();
    others.truncate(CASES - planted_in.len());
    let mut drawn = [planted_in, &others].concat();
    let mut alone: Vec<Option<Alone>> = work.cases.iter().map(|_| None).collect();
    for &index in drawn.iter().chain(&forward) {
        let prepared = &work.cases[index];
        let (observed, gave) = session.one(&work.subject, loaded, prepared);
        if let Some(why) = unable::in_case(&observed) {
            return Err(match session.given_up(0) {
                Some(limit) => Unfit::Other(limit),
                None => Unfit::Unable(why),
            });
        }
        // Other people's kernels need have no gradient.
        if prepared.case.entry == Entry::Forward || work.subject.standard.same_source {
            fails(&judge::judge_alone(prepared, &observed))?;
        }
        alone[index] = gave;
    }
    drawn.retain(|index| alone[*index].is_some());
    Ok((drawn, alone))
}

/// Whether a case is a call of this entry with an output, where its descriptor says that it is.
fn can_be_planted_in(case: &Case, entry: Entry) -> bool {
    case.entry == entry && case.expects_output() && case.tweaks.is_empty()
}

/// Pages for the calls of these cases, and for what a host and a kernel may add, and how many of those are the kernel's: a device may have no room.
fn limit(work: &Work, cases: &[usize], random: &mut Rng) -> (u32, u32) {
    let pages = cases.iter().map(|&index| {
        let prepared = &work.cases[index];
        prepared.first.pages.max(prepared.second.pages)
    });
    let most = pages.max().unwrap_or_default();
    let most = most.max(work.subject.minimum_pages);
    let limit = most
        .saturating_add(random.u32(ROOM))
        .min(work.subject.max_pages);
    let has_room = limit >= most.saturating_add(ROOM.start);
    (limit, u32::from(has_room))
}
