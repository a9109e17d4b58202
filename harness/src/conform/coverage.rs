//! Which code of a pack's modules the cases run: all of them, once more, on modules that keep a flag for each basic block.
//!
//! They run on an engine of this very executable, whatever engines are judged: an engine that gets something wrong, or lies, says nothing here.

use super::{
    plan::{self, Choice, Plan},
    request::Request,
    run::{Session, Work},
    subject::Subject,
};
use crate::{
    coverage::{Coverage, Flagged, ledger::Ledger},
    output::Output,
    parallel, registry,
    time_limits::TimeLimits,
};
use anyhow::Result;
use assay_worker::{Launch, TimeLimit};
use kernel_pack::{Pack, State};
use sha2::{Digest, Sha256};

/// What the cases of a plan run of the modules that they are about. A device has a part of the cases and of the modules only, as many as fit:
/// what it has not run is no gap of theirs, so that all cases are asked in its place.
///
/// # Errors
/// As [`plan::plan`].
pub fn of_pack(
    pack: &Pack,
    plan: &Plan,
    request: &Request,
    output: &Output,
) -> Result<Vec<Coverage>> {
    if plan.device.is_none() {
        return Ok(of_modules(&plan.work, &request.limits, output));
    }
    let choice = Choice {
        device: None,
        ..request.choice(None, None)
    };
    let whole = plan::plan(pack, &choice)?;
    Ok(of_modules(&whole.work, &request.limits, output))
}

/// What the cases of each module run of it.
pub fn of_modules(work: &[Work], limits: &TimeLimits, output: &Output) -> Vec<Coverage> {
    let limit = limits.of_preparation("coverage");
    let launches = registry::in_this_executable(Some(limit));
    let template = "{wide_bar} {pos}/{len} modules, {eta} left";
    let progress = output.progress_bar("coverage", work.len() as u64, template);
    let coverage = parallel::each(work, parallel::processors(), |work| {
        let coverage = of_module(work, &launches, limits);
        progress.inc(1);
        coverage
    });
    progress.finish_and_clear();
    coverage
}

fn of_module(work: &Work, launches: &[Launch], limits: &TimeLimits) -> Coverage {
    let Subject {
        kernel, variant, ..
    } = &work.subject;
    measured(work, launches, limits)
        .unwrap_or_else(|error| Coverage::unknown(kernel, variant, error))
}

fn measured(work: &Work, launches: &[Launch], limits: &TimeLimits) -> Result<Coverage, String> {
    let limit = launches.iter().find_map(|launch| launch.time_limit);
    // What a pack decides the size of takes time in this process too.
    if let Some(limit) = limit.filter(TimeLimit::is_reached) {
        return Err(limit.to_string());
    }
    let own = &work.subject;
    let undecoded = |error| format!("failed to decode the module: {error}");
    let flagged = Flagged::of(&own.wasm).map_err(undecoded)?;
    let subject = Subject {
        wasm: flagged.wasm.clone(),
        flags: Some(flagged.flags.clone()),
        ..own.clone()
    };
    let mut why_not = "this executable has no engine of its own".to_owned();
    for launch in launches {
        if let Some(limit) = launch.time_limit.filter(TimeLimit::is_reached) {
            return Err(limit.to_string());
        }
        let mut session = Session::new(launch);
        if let Some(reason) = session.lacks(&subject) {
            why_not = reason;
            continue;
        }
        let words = match &work.reached {
            Some(reached) => {
                let reached = reached.as_ref().map_err(Clone::clone)?;
                session.further_flags(work, &subject, reached, limits)
            }
            None => session.flags(work, &subject, limits),
        };
        let words = match words {
            Ok(words) => words,
            // What one engine cannot run another may.
            Err(reason) => {
                why_not = reason;
                continue;
            }
        };
        let coverage = flagged.coverage(&own.kernel, &own.variant, &words);
        let mut coverage = coverage.map_err(undecoded)?;
        coverage.runtime = launch.id.clone();
        if own.state.contains(&State::Globals) {
            // What the pack declares; that answers do not depend on it is for the layers to see.
            coverage.globals_changed.clear();
        }
        let ledger = Ledger::built_in().map_err(|error| format!("failed to {error}"))?;
        ledger.mark(&mut coverage, &digest(&own.wasm));
        return Ok(coverage);
    }
    Err(why_not)
}

/// SHA-256 of a module, as the ledger of unreachable code names it.
pub fn digest(wasm: &[u8]) -> String {
    hex::encode(Sha256::digest(wasm))
}
