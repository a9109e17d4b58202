//! Looks for cases that run code which no other case runs. Constants that a module has are a dictionary for dimensions, parameters and the bits of
//! inputs; a case that reaches a new block is kept, judged like any other on all engines, and changed further.
//!
//! Where a case comes from is its name, `search:` and the numbers of the draws, so that it can be made again without the search.

use super::{
    observe::Ended,
    plan::Plan,
    run::{Session, Work},
    subject::Subject,
};
use crate::{
    coverage::{Flagged, dictionary},
    exit,
    output::Output,
    parallel, registry,
    time_limits::TimeLimits,
};
use anyhow::Result;
use assay_worker::TimeLimit;
use fastrand::Rng;
use kernel_cases::{
    case::{Case, Source},
    generate,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// The start of the names.
pub const PREFIX: &str = "search:";
/// Elements that a drawn tensor of rows may have, about.
const MOST_ELEMENTS: u64 = 1 << 15;

/// Searches for so long, all modules together, and adds what was found to the cases of all modules of its kernel.
pub fn search(plan: &mut Plan, time: Duration, seed: u64, limits: &TimeLimits, output: &Output) {
    let works = &plan.work;
    let limit = limits.of_preparation("the search");
    let words = words_of_kernels(works);
    let at_once = parallel::processors();
    let each = time.mul_f64(at_once.min(works.len()) as f64 / works.len().max(1) as f64);
    let progress = output.progress_bar(
        "search",
        works.len() as u64,
        "{wide_bar} {pos}/{len} modules, {eta} left",
    );
    let found: Vec<(String, Vec<Case>)> = parallel::each(works, at_once, |work| {
        let kernel = work.subject.kernel.clone();
        let found =
            of_module(work, &words[&kernel], (each, limits, limit), seed).unwrap_or_default();
        progress.inc(1);
        (kernel, found)
    });
    progress.finish_and_clear();
    for (kernel, cases) in found {
        for work in plan
            .work
            .iter_mut()
            .filter(|work| work.subject.kernel == kernel)
        {
            for case in &cases {
                let known = work.cases.iter().any(|known| known.case.name == case.name);
                if !known {
                    work.add(case.clone());
                }
            }
        }
    }
}

/// Leaves only the case of this name, which a search has found, in a plan of all cases.
///
/// # Errors
/// Usage, for a name that no search gives.
pub fn only(plan: &mut Plan, name: &str, seed: u64) -> Result<()> {
    let draws = name.strip_prefix(PREFIX).unwrap_or_default().split('>');
    let draws: Option<Vec<u32>> = draws.map(|draw| draw.parse().ok()).collect();
    let words = words_of_kernels(&plan.work);
    let mut found = false;
    for work in &mut plan.work {
        let kernel = &work.subject.kernel;
        let drawn = draws
            .as_ref()
            .and_then(|draws| recipe(kernel, &words[kernel], draws, seed));
        work.cases = drawn
            .and_then(|case| work.prepared(case))
            .into_iter()
            .collect();
        work.unplaceable.clear();
        // They name cases by their place among those that were there.
        work.sequences.clear();
        found |= !work.cases.is_empty();
    }
    if found {
        return Ok(());
    }
    Err(exit::usage(format!("no search finds a case `{name}`")))
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

fn of_module(
    work: &Work,
    words: &[u32],
    (time, limits, limit): (Duration, &TimeLimits, TimeLimit),
    seed: u64,
) -> Option<Vec<Case>> {
    if limit.is_reached() {
        return None;
    }
    let flagged = Flagged::of(&work.subject.wasm).ok()?;
    let subject = Subject {
        wasm: flagged.wasm,
        flags: Some(flagged.flags),
        ..work.subject.clone()
    };
    let launches = registry::in_this_executable(Some(limit));
    let mut session = launches
        .iter()
        .map(Session::new)
        .find(|session| session.lacks(&subject).is_none())?;
    let mut reached = session.flags(work, &subject, limits).ok()?;
    let loaded = session.load(&subject).ok()?;
    // A call that does not end is not waited for longer than the search.
    session.begin(Some(TimeLimit::new("the search", time)));
    let start = Instant::now();
    let mut kept: Vec<Vec<u32>> = Vec::new();
    let mut found = Vec::new();
    let mut number = 0;
    while start.elapsed() < time && !limit.is_reached() {
        number += 1;
        // Half of the draws change what was kept.
        let mut choice = draws_of(seed, number);
        let mut draws = match kept.len() {
            0 => Vec::new(),
            _ if choice.bool() => Vec::new(),
            some => kept[choice.usize(..some)].clone(),
        };
        draws.push(number);
        let Some(case) = recipe(&subject.kernel, words, &draws, seed) else {
            continue;
        };
        let Some(prepared) = work.prepared(case) else {
            continue;
        };
        let ended = session.once(&subject, loaded, &prepared);
        let now = session.gathered().to_vec();
        if now.len() != reached.len() {
            // A worker that was lost has taken what it knew along; whatever the case did is for the layers to say.
            found.push(prepared.case);
            break;
        }
        let new = now
            .iter()
            .zip(&reached)
            .any(|(now, before)| now & !before != 0);
        let stopped = !matches!(ended, Ended::Status { .. });
        if new || stopped {
            let joined = now.iter().zip(&reached).map(|(now, before)| now | before);
            reached = joined.collect();
            kept.push(draws);
            found.push(prepared.case);
        }
        if stopped {
            // One is enough: the others may take as long.
            break;
        }
    }
    Some(found)
}

fn draws_of(seed: u64, number: u32) -> Rng {
    Rng::with_seed(seed.rotate_left(32) ^ u64::from(number))
}

/// The case of these draws: the first makes one, each further one changes it. Which status is due, the native build says when it is placed.
fn recipe(kernel: &str, words: &[u32], draws: &[u32], seed: u64) -> Option<Case> {
    let (first, further) = draws.split_first()?;
    let mut rng = draws_of(seed, *first);
    let mut case = match rng.u8(..3) {
        0 => generate::case(kernel, rng.u64(..), *first)?,
        _ => generate::sized(kernel, dimensions(words, &mut rng)?, rng.u64(..))?,
    };
    change(&mut case, words, &mut rng);
    for draw in further {
        change(&mut case, words, &mut draws_of(seed, *draw));
    }
    let names: Vec<String> = draws.iter().map(u32::to_string).collect();
    case.name = format!("{PREFIX}{}", names.join(">"));
    case.source = Source::Generated;
    Some(case)
}

/// Dimensions, some of them words of the dictionary; `None` if the tensors would be large.
fn dimensions(words: &[u32], rng: &mut Rng) -> Option<[u32; 4]> {
    let small: Vec<u32> = words
        .iter()
        .copied()
        .filter(|word| (1..=8192).contains(word))
        .collect();
    let dimensions = std::array::from_fn(|_| match rng.u8(..3) {
        0 if !small.is_empty() => small[rng.usize(..small.len())],
        1 => 1 + rng.u32(..4),
        // Log-uniform, up to 512.
        _ => 2_f32.powf(rng.f32() * 9.0) as u32,
    });
    let elements = dimensions
        .iter()
        .map(|&size| u64::from(size))
        .product::<u64>();
    (elements <= MOST_ELEMENTS).then_some(dimensions)
}

/// Puts words of the dictionary into the tensors, one into all elements or one into one, and now and then into a parameter.
fn change(case: &mut Case, words: &[u32], rng: &mut Rng) {
    if words.is_empty() || rng.u8(..4) == 0 {
        return;
    }
    let word = |rng: &mut Rng| words[rng.usize(..words.len())].to_le_bytes();
    if rng.u8(..8) == 0 && case.params.len() >= 4 {
        let at = rng.usize(..case.params.len() / 4) * 4;
        case.params[at..at + 4].copy_from_slice(&word(rng));
    }
    let tensors = [Some(&mut case.a), Some(&mut case.b), case.base.as_mut()];
    for tensor in tensors.into_iter().flatten() {
        let width = if rng.bool() { 4 } else { 2 };
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
