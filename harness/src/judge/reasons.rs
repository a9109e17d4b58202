//! What speaks against an engine, suite by suite.

use super::Evidence;
use crate::{
    basics,
    conform::{forms, judge::Layer, planted, record::Entry},
    outcome::Outcome,
};

/// What speaks against an engine in its kernels.
pub(super) fn of_kernels(evidence: &Evidence, id: &str) -> Vec<String> {
    let own = |entry: &&Entry| entry.runtime == id && entry.case.is_none();
    let sums: Vec<&Entry> = evidence.conform.results.iter().filter(own).collect();
    let mut reasons = Vec::new();
    if evidence.kernels.is_empty() {
        reasons.push("no kernel was run".to_owned());
    }
    for entry in &sums {
        // A kernel that could not be run at all shows in the status layer; elsewhere a layer may have nothing to say.
        let is_form = forms::is_form(&entry.variant);
        let due = is_form || entry.variant == "base";
        let judged = entry.outcome != Outcome::Unjudged;
        let nothing_ran = due && judged && entry.layer == Layer::L1 && entry.passed == 0;
        if entry.outcome.is_bad() || nothing_ran {
            let form = match is_form {
                true => format!(" ({})", entry.variant),
                false => String::new(),
            };
            reasons.push(format!(
                "{}{form} {:?} {} ({} of {} {} cases pass): {}",
                entry.kernel,
                entry.layer,
                entry.outcome,
                entry.passed,
                entry.cases,
                entry.source.name(),
                entry.detail
            ));
        }
    }
    for kernel in &evidence.kernels {
        let base = |entry: &&Entry| entry.kernel == *kernel && entry.variant == "base";
        if !sums.iter().any(base) {
            reasons.push(format!("{kernel} was not run"));
        }
    }
    reasons
}

/// What speaks against an engine in the basics.
pub(super) fn of_basics(basics: &[basics::Finding], id: &str) -> Vec<String> {
    let own = || basics.iter().filter(|finding| finding.runtime == id);
    let mut reasons = Vec::new();
    for finding in own() {
        let lacks = finding.outcome == Outcome::Unsupported && basics::optional(&finding.check);
        if finding.outcome != Outcome::Pass && !lacks {
            reasons.push(format!(
                "basics, {}: {}: {}",
                finding.check, finding.outcome, finding.detail
            ));
        }
    }
    let (ran, all) = (own().count(), basics::count());
    if ran != all {
        reasons.push(format!("{ran} of {all} basics were run"));
    }
    reasons
}

/// What speaks against an engine in the faults that were planted, and what it could not be asked: no reason, because what it says of itself is judged
/// as such.
pub(super) fn of_planted(planted: &[basics::Finding], id: &str) -> (Vec<String>, Vec<String>) {
    let own = || planted.iter().filter(|finding| finding.runtime == id);
    let bad = own().filter(|finding| finding.outcome != Outcome::Pass);
    let (not_asked, untold): (Vec<_>, Vec<_>) =
        bad.partition(|finding| finding.outcome == Outcome::Unsupported);
    let line = |finding: &basics::Finding| {
        format!(
            "planted, {}: {}: {}",
            finding.check, finding.outcome, finding.detail
        )
    };
    let mut reasons: Vec<String> = untold.into_iter().map(line).collect();
    let (ran, all) = (own().count(), planted::COUNT);
    if ran != all {
        reasons.push(format!("{ran} of {all} faults were planted"));
    }
    (reasons, not_asked.into_iter().map(line).collect())
}
