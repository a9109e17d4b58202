//! Makes a failing generated case smaller, on the engine where it failed.

use super::{
    judge::{self, Layer},
    observe::Ended,
    record,
    run::Session,
    subject::{self, Subject},
};
use crate::outcome::Outcome;
use assay_worker::TimeLimit;
use kernel_cases::{case::Case, generate};
use proptest::strategy::ValueTree;
use std::time::{Duration, Instant};

/// Runs that shrinking one case may take.
const MAX_RUNS: u32 = 200;
/// Time that shrinking one case may take.
const MAX_TIME: Duration = Duration::from_secs(5);

/// Cases that can be made smaller step by step, by what their names begin with.
const GENERATED: &str = "generated:";
const DRAWN: &str = "drawn:";

/// Whether a case of this name can be made smaller.
pub fn knows(case: &str) -> bool {
    [GENERATED, DRAWN]
        .iter()
        .any(|prefix| case.starts_with(prefix))
}

/// The smallest case found that fails the same layer, with what is wrong there; `None` if the failure did not repeat.
pub fn shrink(
    session: &mut Session<'_>,
    subject: &Subject,
    layer: Layer,
    case: &str,
    (seed, own_seed): (u64, u64),
) -> Option<(Case, String)> {
    // Open contracts draw shapes that cannot be made smaller step by step.
    let kernel = subject.standard.definition?.id;
    let number = |prefix| case.strip_prefix(prefix)?.parse().ok();
    let mut tree = match number(GENERATED) {
        Some(index) => generate::tree(kernel, seed, index)?,
        None => generate::drawn_tree(kernel, own_seed, number(DRAWN)?)?,
    };
    // One call of a case that does not end may take longer than all of it.
    session.begin(Some(TimeLimit::new("shrinking", 2 * MAX_TIME)));
    let loaded = session.load(subject).ok()?;
    let mut fails = |case: Case| -> Option<(Case, String)> {
        let prepared = subject::prepare(case, subject, own_seed).ok()?;
        let (observed, _) = session.one(subject, loaded, &prepared);
        if matches!(observed.ended, Ended::Lost(_)) {
            return None;
        }
        let layers = judge::judge_alone(&prepared, &observed);
        // Alone on this engine, disagreement with others shows as a difference to the native build.
        let failed = match layer {
            Layer::L2 => observed.nan_bits.clone().or_else(|| {
                let native = layers.get(&Layer::L3)?;
                (native.outcome == Outcome::Fail).then(|| native.detail.clone())
            }),
            _ => layers.get(&layer).and_then(|judgement| {
                (judgement.outcome == Outcome::Fail).then(|| judgement.detail.clone())
            }),
        };
        failed.map(|detail| (prepared.case, detail))
    };

    let mut smallest = fails(tree.current())?;
    let start = Instant::now();
    let mut runs = 0;
    let mut go_on = tree.simplify();
    while go_on && runs < MAX_RUNS && start.elapsed() < MAX_TIME {
        runs += 1;
        go_on = match fails(tree.current()) {
            Some(smaller) => {
                smallest = smaller;
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    Some(smallest)
}

/// The case and what is wrong with it, in a line.
pub fn describe((case, detail): &(Case, String)) -> String {
    format!("{}: {detail}", record::summary(case))
}
