//! Looks for cases that run code which no other case runs. Constants that a module has are a dictionary for dimensions, parameters and the bits of
//! inputs; a case that reaches a new block is kept, judged like any other on all engines, and changed further.
//!
//! Where a case comes from is its name, `search:` and the numbers of the draws, so that it can be made again without the search.

use super::{
    coverage,
    observe::Ended,
    plan::{self, Choice, Plan},
    run::{Session, Work},
    standard::Standard,
    subject::Subject,
    truths::Oracles,
};
use crate::{
    coverage::{Flagged, Leading, dictionary, joined, ledger::Ledger},
    exit, machine,
    output::Output,
    parallel, registry,
    time_limits::TimeLimits,
};
use anyhow::Result;
use assay_worker::TimeLimit;
use fastrand::Rng;
use kernel_cases::{
    case::{Case, Source},
    draw::Draw,
    generate, open,
};
use kernel_pack::Pack;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// The start of the names.
pub const PREFIX: &str = "search:";
/// Elements that a drawn tensor of rows may have, about.
const MOST_ELEMENTS: u64 = 1 << 15;

/// Whether a search has found a case.
pub fn found(case: &Case) -> bool {
    case.name.starts_with(PREFIX)
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Some draws for each word that stands before code which no case runs, and a few more: the same ones on every machine.
    Usual,
    /// For so long, all modules together.
    Time(Duration),
}

/// Draws of dimensions before they are given up.
const TRIES: usize = 4;
/// Draws for each word that stands before code which no case runs.
const OF_A_WORD: u32 = 24;
/// Such words, at most.
const MOST_WORDS: usize = 96;
/// Words before blocks that only trap, at most.
const MOST_TRAPS: usize = 32;
/// Words that comparisons are with which came out one way only, at most, and draws for each of either.
const MOST_COMPARED: usize = 16;
const OF_COMPARED: u32 = 12;
/// Draws after those, in a search that is not bounded by time.
const OTHERS: u32 = 64;

/// How far `qualify` searches, unless asked otherwise; not at all where each draw takes long.
pub fn usual() -> Option<Extent> {
    machine::emulated().is_none().then_some(Extent::Usual)
}

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// Calls that were drawn and made, of all modules together.
    pub draws: u64,
    /// Cases that ran code which no other case runs, or did not return.
    pub found: u64,
    /// Modules that were not searched, as `kernel (variant)`, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_searched: BTreeMap<String, String>,
}

/// Searches, and adds what was found to the cases of all modules of its kernel.
///
/// # Errors
/// Usage for oracles that do not fit the kernels.
pub fn search(
    plan: &mut Plan,
    pack: &Pack,
    choice: &Choice<'_>,
    extent: Extent,
    output: &Output,
) -> Result<Searched> {
    let works = &plan.work;
    let limit = choice.limits.of_preparation("the search");
    let words = words_of_kernels(works);
    let at_once = parallel::processors();
    let bounds = match extent {
        Extent::Usual => (OTHERS, limit.left()),
        Extent::Time(time) => {
            let each = at_once.min(works.len()) as f64 / works.len().max(1) as f64;
            (u32::MAX, time.mul_f64(each))
        }
    };
    let progress = output.progress_bar(
        "search",
        works.len() as u64,
        "{wide_bar} {pos}/{len} modules, {eta} left",
    );
    let (limits, seed) = (&choice.limits, choice.seed);
    let found = parallel::each(works, at_once, |work| {
        let words = &words[&work.subject.kernel];
        let found = of_module(work, words, bounds, (limits, limit), seed);
        progress.inc(1);
        found
    });
    progress.finish_and_clear();
    let mut searched = Searched::default();
    let mut cases: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for (work, found) in plan.work.iter_mut().zip(found) {
        let Subject {
            kernel, variant, ..
        } = &work.subject;
        match found {
            Ok(found) => {
                searched.draws += u64::from(found.draws);
                searched.found += found.cases.len() as u64;
                work.reached = found.reached.map(Ok);
                cases.entry(kernel.clone()).or_default().extend(found.cases);
            }
            Err(not_searched) => {
                let module = format!("{kernel} ({variant})");
                let reason = match not_searched {
                    NotSearched::Cases(reason) => {
                        // It is not waited for again.
                        work.reached = Some(Err(reason.clone()));
                        reason
                    }
                    NotSearched::Else(reason) => reason,
                };
                searched.not_searched.insert(module, reason);
            }
        }
    }
    add(plan, pack, choice, cases)?;
    Ok(searched)
}

/// Adds cases to all modules of their kernels, with what the truths say of them.
fn add(
    plan: &mut Plan,
    pack: &Pack,
    choice: &Choice<'_>,
    found: BTreeMap<String, Vec<Case>>,
) -> Result<()> {
    let selected = plan::select(pack, choice.kernels)?;
    let mut oracles = Oracles::new(choice.oracles, &selected, choice.limits)?;
    for kernel in selected {
        let mut cases = found.get(kernel.id()).cloned().unwrap_or_default();
        // Modules of a kernel may have found the same one.
        let mut names = BTreeSet::new();
        cases.retain(|case| names.insert(case.name.clone()));
        if cases.iter().any(|case| case.open.is_some()) {
            // Whether there is truth enough was settled before.
            oracles.ask(kernel, &Standard::of(kernel, &[]), &mut cases, (0, 0));
        }
        for work in &mut plan.work {
            if work.subject.kernel == kernel.id() {
                cases.iter().cloned().for_each(|case| work.add(case));
            }
        }
    }
    Ok(())
}

/// Leaves only the case of this name, which a search has found, in a plan of all cases.
///
/// # Errors
/// Usage, for a name that no search gives.
pub fn only(plan: &mut Plan, pack: &Pack, choice: &Choice<'_>, name: &str) -> Result<()> {
    let draws = name.strip_prefix(PREFIX).unwrap_or_default().split('>');
    let draws: Option<Vec<Draw>> = draws.map(|draw| draw.parse().ok()).collect();
    let words = words_of_kernels(&plan.work);
    let mut found: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for work in &mut plan.work {
        let kernel = &work.subject.kernel;
        let drawn = draws
            .as_ref()
            .and_then(|draws| recipe(work, &words[kernel], draws, choice.seed));
        let drawn = drawn.and_then(|case| work.prepared(case));
        let of_kernel = found.entry(kernel.clone()).or_default();
        of_kernel.extend(drawn.map(|prepared| prepared.case));
        work.cases.clear();
        work.unplaceable.clear();
        // They name cases by their place among those that were there.
        work.sequences.clear();
    }
    if found.values().all(Vec::is_empty) {
        return Err(exit::usage(format!("no search finds a case `{name}`")));
    }
    add(plan, pack, choice, found)
}

/// The words in the modules of each kernel.
fn words_of_kernels(works: &[Work]) -> BTreeMap<String, Vec<u32>> {
    let mut words: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for work in works {
        let of_kernel = words.entry(work.subject.kernel.clone()).or_default();
        // The pre-pass has decoded the module.
        of_kernel.extend(dictionary::words(&work.subject.wasm).unwrap_or_default());
    }
    let words = words.into_iter();
    words
        .map(|(kernel, words)| (kernel, words.into_iter().collect()))
        .collect()
}

/// What was found of a module.
struct Found {
    draws: u32,
    cases: Vec<Case>,
    /// The flags of blocks that ran; `None` where a worker took them along.
    reached: Option<Vec<u32>>,
}

/// Why a module was not searched.
enum NotSearched {
    /// What came of its cases.
    Cases(String),
    /// Anything else.
    Else(String),
}

impl From<String> for NotSearched {
    fn from(reason: String) -> Self {
        NotSearched::Else(reason)
    }
}

/// Searches a module by draws for the words before code that did not run and by so many `others`, for so long at most. The error is why that was not done.
fn of_module(
    work: &Work,
    words: &[u32],
    (others, time): (u32, Duration),
    (limits, limit): (&TimeLimits, TimeLimit),
    seed: u64,
) -> Result<Found, NotSearched> {
    if limit.is_reached() {
        return Err(limit.to_string().into());
    }
    let flagged = Flagged::of(&work.subject.wasm)
        .map_err(|error| format!("failed to decode the module: {error}"))?;
    let subject = Subject {
        wasm: flagged.wasm.clone(),
        flags: Some(flagged.flags.clone()),
        ..work.subject.clone()
    };
    let launches = registry::in_this_executable(Some(limit));
    let mut session = launches
        .iter()
        .map(Session::new)
        .find(|session| session.lacks(&subject).is_none())
        .ok_or_else(|| "no engine in this executable runs it".to_owned())?;
    let mut reached = session
        .flags(work, &subject, limits)
        .map_err(NotSearched::Cases)?;
    let loaded = session.load(&subject).map_err(|(_, reason)| reason)?;
    let leading = leading(&flagged, &reached, &work.subject)?;
    // A call that does not end is not waited for longer than the search.
    session.begin(Some(TimeLimit::new("the search", time)));
    let start = Instant::now();
    let mut kept: Vec<Vec<Draw>> = Vec::new();
    let mut found = Found {
        draws: 0,
        cases: Vec::new(),
        reached: None,
    };
    for number in 1..=(leading.len() as u32).saturating_add(others) {
        if start.elapsed() >= time || limit.is_reached() {
            break;
        }
        // Half of the draws change what was kept.
        let mut choice = draws_of(seed, number);
        let mut draws = match kept.len() {
            0 => Vec::new(),
            _ if choice.bool() => Vec::new(),
            some => kept[choice.usize(..some)].clone(),
        };
        let word = leading.get(number as usize - 1).copied();
        draws.push(Draw { number, word });
        let Some(case) = recipe(work, words, &draws, seed) else {
            continue;
        };
        let Some(prepared) = work.prepared(case) else {
            continue;
        };
        found.draws += 1;
        let ended = session.once(&subject, loaded, &prepared);
        let now = session.gathered().to_vec();
        if now.len() != reached.len() {
            // A worker that was lost has taken what it knew along; whatever the case did is for the layers to say.
            found.cases.push(prepared.case);
            return Ok(found);
        }
        let new = now
            .iter()
            .zip(&reached)
            .any(|(now, before)| now & !before != 0);
        let stopped = !matches!(ended, Ended::Status { .. });
        if new || stopped {
            reached = joined(&now, &reached);
            kept.push(draws);
            found.cases.push(prepared.case);
        }
        if stopped {
            // One is enough: the others may take as long.
            break;
        }
    }
    found.reached = Some(reached);
    Ok(found)
}

/// The word of each draw: those before code that did not run, the nearest first, those before traps, and those that comparisons which came out one way only are with.
fn leading(flagged: &Flagged, reached: &[u32], own: &Subject) -> Result<Vec<u32>, String> {
    let ledger = Ledger::built_in().map_err(|error| format!("failed to {error}"))?;
    let unreachable = ledger.offsets(&coverage::digest(&own.wasm));
    let leading = flagged
        .leading(reached, &unreachable)
        .map_err(|error| format!("failed to decode the module: {error}"))?;
    let Leading {
        of_blocks,
        of_traps,
        of_comparisons,
    } = leading;
    // What is next to nothing every tensor has.
    let says = |word: &u32| word.wrapping_add(2) > 4;
    let of_traps = of_traps.into_iter().filter(says).take(MOST_TRAPS);
    let of_comparisons = of_comparisons.into_iter().filter(says);
    let of_comparisons = of_comparisons.take(MOST_COMPARED);
    let draws = of_blocks.into_iter().take(MOST_WORDS);
    let draws = draws.map(|word| (word, OF_A_WORD));
    let of_others = of_traps.chain(of_comparisons);
    let draws = draws.chain(of_others.map(|word| (word, OF_COMPARED)));
    Ok(draws
        .flat_map(|(word, draws)| std::iter::repeat_n(word, draws as usize))
        .collect())
}

fn draws_of(seed: u64, number: u32) -> Rng {
    Rng::with_seed(seed.rotate_left(32) ^ u64::from(number))
}

/// The case of these draws: the first makes one, each further one changes it. Of a kernel that the harness knows by heart, the native build says
/// which status is due when the case is placed.
fn recipe(work: &Work, words: &[u32], draws: &[Draw], seed: u64) -> Option<Case> {
    let names: Vec<String> = draws.iter().map(Draw::to_string).collect();
    let name = format!("{PREFIX}{}", names.join(">"));
    let Subject {
        standard,
        has_backward,
        ..
    } = &work.subject;
    let case = match (standard.definition, standard.open()) {
        (Some(kernel), _) => of_definition(kernel.id, words, draws, seed, name),
        (None, Some(contract)) => open::searched(contract, words, draws, seed, name),
        (None, None) => None,
    }?;
    standard.asks(case.entry, *has_backward).then_some(case)
}

fn of_definition(
    kernel: &str,
    words: &[u32],
    draws: &[Draw],
    seed: u64,
    name: String,
) -> Option<Case> {
    let (first, further) = draws.split_first()?;
    let mut rng = draws_of(seed, first.number);
    let mut case = match rng.u8(..4) {
        0 => generate::case(kernel, rng.u64(..), first.number)?,
        _ => {
            let used = generate::dimensions(kernel)?;
            let dimensions = dimensions(first, words, used, &mut rng)?;
            generate::sized(kernel, dimensions, rng.u64(..))?
        }
    };
    change(&mut case, first.words(words), &mut rng);
    for draw in further {
        change(
            &mut case,
            draw.words(words),
            &mut draws_of(seed, draw.number),
        );
    }
    Some(Case {
        name,
        source: Source::Drawn,
        ..case
    })
}

/// Dimensions, of which a kernel uses so many, some of them words of the dictionary; `None` if the tensors would be large. Each in turn is the word of a
/// draw that has one.
fn dimensions(draw: &Draw, words: &[u32], used: usize, rng: &mut Rng) -> Option<[u32; 4]> {
    let is_size = |word: &u32| (1..=8192).contains(word);
    let small: Vec<u32> = draw.words(words).iter().copied().filter(is_size).collect();
    let own = draw.word.filter(is_size);
    for _ in 0..TRIES {
        let mut dimensions = [1; 4];
        for (place, dimension) in dimensions[..used].iter_mut().enumerate() {
            *dimension = match (rng.u8(..3), own) {
                (_, Some(word)) if place == draw.number as usize % used => word,
                (0, _) if !small.is_empty() => small[rng.usize(..small.len())],
                (1, _) => 1 + rng.u32(..4),
                // Log-uniform, up to 512.
                _ => 2_f32.powf(rng.f32() * 9.0) as u32,
            };
        }
        let elements = dimensions.iter().map(|&size| u64::from(size));
        if elements.product::<u64>() <= MOST_ELEMENTS {
            return Some(dimensions);
        }
    }
    None
}

/// Puts words of the dictionary into the tensors, one into all elements or one into one, and now and then into a parameter.
fn change(case: &mut Case, words: &[u32], rng: &mut Rng) {
    // Of one word alone something is expected.
    let (seldom, in_params) = if words.len() == 1 { (8, 3) } else { (4, 8) };
    if words.is_empty() || rng.u8(..seldom) == 0 {
        return;
    }
    let word = |rng: &mut Rng| words[rng.usize(..words.len())].to_le_bytes();
    if rng.u8(..in_params) == 0 && case.params.len() >= 4 {
        let at = rng.usize(..case.params.len() / 4) * 4;
        case.params[at..at + 4].copy_from_slice(&word(rng));
    }
    let tensors = [Some(&mut case.a), Some(&mut case.b), case.base.as_mut()];
    for tensor in tensors.into_iter().flatten() {
        // Of one word alone: as wide as the elements most likely are.
        let halves = case.kernel.ends_with("f16");
        let width = match words.len() {
            1 if rng.u8(..4) > 0 => 4 - 2 * usize::from(halves),
            _ if rng.bool() => 4,
            _ => 2,
        };
        let elements = tensor.len() / width;
        if elements == 0 || rng.bool() {
            continue;
        }
        let (word, at) = (word(rng), rng.usize(..elements) * width);
        match rng.u8(..3) {
            0 => tensor
                .chunks_exact_mut(width)
                .for_each(|element| element.copy_from_slice(&word[..width])),
            1 => tensor[..width].copy_from_slice(&word[..width]),
            _ => tensor[at..at + width].copy_from_slice(&word[..width]),
        }
    }
}
