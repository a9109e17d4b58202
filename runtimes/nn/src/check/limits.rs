//! Budgets and limits of guests.

use super::{Finding, Found, MISUSE_GUEST, Wrong, finding, models, offering, options, patient};
use crate::{Backend, Encoding, Guest, Nn, Target};
use runtime_api::{Budget, BudgetKind, Error, Runtime, Trap};
use std::sync::Arc;

/// By how much a process may grow over 10 000 loads, in the best of some rounds.
const MAX_GROWTH: u64 = 512 << 10;
const ROUNDS: usize = 5;

pub(super) fn findings(runtime: &dyn Runtime, backend: &Arc<dyn Backend>) -> Vec<Finding> {
    vec![
        finding(
            "a guest that computes without end, by epochs",
            stopped(runtime, backend, Budget::Epoch(20), Trap::EpochDeadline),
        ),
        finding(
            "a guest that computes without end, by fuel",
            stopped(runtime, backend, Budget::Fuel(20_000), Trap::FuelExhausted),
        ),
        finding("10 000 loads by bytes", flat(backend)),
    ]
}

fn stopped(runtime: &dyn Runtime, backend: &Arc<dyn Backend>, budget: Budget, due: Trap) -> Found {
    let nn = Arc::new(offering(backend, &models::all()[0], patient())?);
    let kind = budget.kind();
    if !runtime.info().capabilities.budgets.contains(&kind) {
        return Err(Wrong::Unsupported(format!(
            "the engine has no budget of {kind:?}"
        )));
    }
    let guest = Guest::compile(runtime, MISUSE_GUEST, &options(kind), nn)?;
    let enough = match kind {
        BudgetKind::Fuel => Budget::Fuel(1 << 40),
        _ => super::PATIENT,
    };
    let mut instance = guest.instantiate(enough)?;
    let entry = instance.entry("forever", 0)?;
    match instance.call(entry, &[], budget) {
        Err(Error::Trap { trap, .. }) if trap == due => Ok(trap.to_string()),
        other => Err(Wrong::Fails(format!("{other:?} where {due} is due"))),
    }
}

/// There is no function that drops a graph: the same graph again is the same handle, and holds nothing more.
fn flat(backend: &Arc<dyn Backend>) -> Found {
    let nn = Arc::new(Nn::new(patient()).backend(Arc::clone(backend)));
    let graph = models::all()[0].graph(backend.encoding());
    let mut session = nn.session();
    let mut load = || {
        let parts = vec![graph.to_vec()];
        session.load(parts, Encoding::Autodetect, Target::Cpu)
    };
    let first = load()?;
    // Others in this process may grow meanwhile; what leaks, grows each time.
    let mut grown = u64::MAX;
    for _ in 0..ROUNDS {
        let before = resident()?;
        for _ in 1..10_000 {
            if load()? != first {
                return Err(Wrong::Fails("it is another handle".to_owned()));
            }
        }
        grown = grown.min(resident()?.saturating_sub(before));
        if grown <= MAX_GROWTH {
            break;
        }
    }
    let held = session.held_bytes();
    if held != graph.len() as u64 || grown > MAX_GROWTH {
        return Err(Wrong::Fails(format!(
            "{held} bytes are held, and the process grew by {grown} bytes"
        )));
    }
    Ok(format!(
        "{held} bytes are held; the process grew by {grown} bytes"
    ))
}

/// Bytes that this process holds in memory.
#[cfg(not(target_family = "wasm"))]
fn resident() -> Result<u64, Wrong> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let unknown = || Wrong::Unsupported("the system does not say what a process holds".to_owned());
    Ok(pages.ok_or_else(unknown)? * 4096)
}

/// Bytes of this program's memory, which never shrinks.
#[cfg(target_family = "wasm")]
fn resident() -> Result<u64, Wrong> {
    Ok(std::arch::wasm32::memory_size::<0>() as u64 * 65536)
}
