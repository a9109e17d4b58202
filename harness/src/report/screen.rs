//! What commands say at their end: a short document of what was recorded, for a terminal.

mod conformance;
mod coverage;
mod envelope;
mod matrix;
mod qualification;
mod traps;

pub use conformance::parts as conformance;
pub use qualification::parts as qualification;
pub use traps::parts as traps;

use crate::engine::EngineReport;

/// Engines that are not ready or did not do it, each with its reason.
fn absent(engines: &[EngineReport]) -> impl Iterator<Item = String> {
    engines.iter().filter_map(|engine| {
        let reason = engine.reason.as_ref()?;
        Some(format!("{} {}: {reason}", engine.id, engine.status))
    })
}
