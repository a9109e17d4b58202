//! Where engines are known to differ from the specification with random modules, and why. Such a module counts as explained, not as
//! agreement, and does not fail the run.

use super::session::Seen;

/// A known difference.
struct Known {
    /// Engine id.
    runtime: &'static str,
    /// What its step looks like.
    seen: fn(&Seen) -> bool,
    /// Why.
    reason: &'static str,
}

const KNOWN: &[Known] = &[];

/// Why it is known that this engine ends a step like this.
pub(super) fn explains(runtime: &str, seen: &Seen) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|known| known.runtime == runtime && (known.seen)(seen))
        .map(|known| known.reason)
}
