//! What engines say of themselves, and what they did not tell of kernels that something was planted in.

use super::*;
use crate::engine::Lack;

#[test]
fn a_fault_that_was_not_told_forbids_it_and_one_that_was_not_asked_for_is_a_limitation() {
    let reasons = |change: fn(&mut Evidence)| after(Profile::Server, change).2;
    assert_eq!(
        reasons(|seen| seen.planted[0].outcome = Outcome::Fail),
        ["planted, planted 0: fail: detail"]
    );
    assert_eq!(
        reasons(|seen| seen.planted[1].outcome = Outcome::Error),
        ["planted, planted 1: error: detail"]
    );
    assert_eq!(
        reasons(|seen| drop(seen.planted.pop())),
        ["5 of 6 faults were planted"]
    );
    let mut seen = evidence();
    seen.planted[2].outcome = Outcome::Unsupported;
    let engine = &judge(&seen, Profile::Server).engines[0];
    assert_eq!(engine.verdict, EngineWord::Qualified);
    assert_eq!(
        engine.limitations,
        ["planted, planted 2: unsupported: detail"]
    );
}

#[test]
fn an_engine_that_cannot_be_interrupted_or_limited_is_not_qualified_and_lesser_lacks_are_named() {
    for profile in [Profile::Server, Profile::Embedded] {
        for lack in [Lack::Interruption, Lack::MemoryLimit] {
            let (word, engine, reasons) = after(profile, |seen| {
                seen.fits = vec![fit()];
                seen.conform.engines[0].lacks = vec![lack];
            });
            assert_eq!(word, Word::NotQualified);
            assert_eq!(engine, EngineWord::NotQualified);
            assert_eq!(reasons, [lack.to_string()]);
        }
    }
    let mut seen = evidence();
    seen.conform.engines[0].lacks = vec![Lack::TableLimit, Lack::StackLimit];
    let engine = &judge(&seen, Profile::Server).engines[0];
    assert_eq!(engine.verdict, EngineWord::Qualified);
    assert_eq!(
        engine.limitations,
        [Lack::TableLimit.to_string(), Lack::StackLimit.to_string()]
    );
}
