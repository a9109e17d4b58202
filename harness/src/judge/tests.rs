//! One case for each way in which a verdict comes about: evidence on which everything holds, with one thing changed.

mod adapters;
mod rests;

use super::*;
use crate::conform::{
    search::Searched,
    truths::{Asked, Truth},
};
use crate::{
    conform::{device::Shape, judge::Layer, planted, record::Entry},
    coverage::{Block, Coverage, Uncovered},
    engine::Judged,
    numerics,
    outcome::{Counts, Whole},
    traps::{CaseResult, State, checks::CheckResult, latency::Latency},
};
use kernel_cases::case::Source;
use kernel_cases::open::Strength;

pub(crate) const ENGINE: &str = "one";

pub(crate) fn sum(layer: Layer) -> Entry {
    Entry {
        runtime: ENGINE.to_owned(),
        kernel: "kernel".to_owned(),
        variant: "base".to_owned(),
        source: Source::Edge,
        case: None,
        layer,
        outcome: Outcome::Pass,
        detail: String::new(),
        max_ulp: None,
        cases: 3,
        passed: 3,
        bytes: None,
        shrunk: None,
        repeat: None,
    }
}

fn trap_case(index: usize) -> CaseResult {
    CaseResult {
        runtime: ENGINE.to_owned(),
        class: "Unreachable".to_owned(),
        case: format!("case {index}"),
        expected: "call Unreachable".to_owned(),
        outcome: Outcome::Pass,
        seen: "call Unreachable".to_owned(),
        detail: String::new(),
        fresh: State::Sound,
        bystander: State::Sound,
        elapsed_ms: 1.0,
    }
}

fn latency(index: usize) -> Latency {
    Latency {
        runtime: ENGINE.to_owned(),
        code: format!("code {index}"),
        outcome: Outcome::Pass,
        detail: String::new(),
        interruptions: 20,
        killed: 0,
        p50_ms: Some(1.0),
        p99_ms: Some(2.0),
        max_ms: Some(2.0),
        engine_p99_ms: None,
        bound_ms: 50.0,
        rounds: 1,
    }
}

fn basic(runtime: &str, check: &str) -> basics::Finding {
    basics::Finding {
        runtime: runtime.to_owned(),
        check: check.to_owned(),
        outcome: Outcome::Pass,
        detail: "detail".to_owned(),
    }
}

/// Evidence on which everything holds: one engine, one kernel.
pub(crate) fn evidence() -> Evidence {
    let engine = EngineReport {
        id: ENGINE.to_owned(),
        status: Status::Ready,
        version: Some("1.0.0".to_owned()),
        reason: None,
        compiled_elsewhere: None,
        native_code_not_compared: Vec::new(),
        lacks: Vec::new(),
    };
    let numerics = numerics::Summary {
        runtime: ENGINE.to_owned(),
        operations: 2,
        held: 2,
        unsupported: 0,
        known_failures: 0,
        cases: 10,
        because: Vec::new(),
        findings: Vec::new(),
        holds: true,
    };
    let checks = (0..traps::checks::COUNT).map(|index| CheckResult {
        runtime: ENGINE.to_owned(),
        check: format!("check {index}"),
        outcome: Outcome::Pass,
        detail: String::new(),
    });
    let basics = (0..basics::count()).map(|index| basic(ENGINE, &format!("basic {index}")));
    Evidence {
        pack: PackIdentity {
            name: "core".to_owned(),
            version: "1.0.0".to_owned(),
            key: "ed25519:key".to_owned(),
            kernels: 1,
            manifest_sha256: "00".to_owned(),
        },
        kernels: vec!["kernel".to_owned()],
        fits: Vec::new(),
        conform: Conformance {
            verdict: Whole::Pass,
            reasons: Vec::new(),
            seed: 1,
            own_seed: None,
            cases: 2,
            counts: Counts {
                pass: 9,
                ..Counts::default()
            },
            engines: vec![engine],
            notes: Vec::new(),
            results: vec![sum(Layer::L1), sum(Layer::L4), sum(Layer::L2)],
            numerics: vec![numerics],
            truths: vec![truth("builtin rmsnorm@1", Strength::Independent, 100)],
            coverage: Vec::new(),
            search: Some(Searched::default()),
            held_back: std::collections::BTreeMap::new(),
            time_limit: None,
            pack_kernels: 1,
            envelope: Vec::new(),
            words: None,
            evidence: "folder".to_owned(),
        },
        basics: std::iter::once(basic(basics::NATIVE, "denormals"))
            .chain(basics)
            .collect(),
        planted: (0..planted::COUNT)
            .map(|index| basic(ENGINE, &format!("planted {index}")))
            .collect(),
        traps: Survey {
            results: (0..traps::count()).map(trap_case).collect(),
            checks: checks.collect(),
            latency: (0..latency::KINDS).map(latency).collect(),
        },
        interruptions: 20,
        unfinished: Vec::new(),
    }
}

fn fit() -> Fit {
    let shape = Shape {
        rows: 2,
        dimensions: "2x64".to_owned(),
        memory_bytes: 1000,
    };
    Fit {
        kernel: "kernel".to_owned(),
        largest: Some(shape.clone()),
        beyond: shape,
        bytes: 200 * 1024,
    }
}

/// What one change makes of good evidence: the verdict, the engine's verdict, and the start of its only reason.
fn after(profile: Profile, change: impl FnOnce(&mut Evidence)) -> (Word, EngineWord, Vec<String>) {
    let mut evidence = evidence();
    change(&mut evidence);
    let verdict = judge(&evidence, profile);
    let engine = &verdict.engines[0];
    (verdict.word, engine.verdict, engine.reasons.clone())
}

#[test]
fn what_holds_in_everything_qualifies() {
    for profile in [Profile::Server, Profile::Embedded] {
        let good = after(profile, |evidence| evidence.fits = vec![fit()]);
        assert_eq!(good, (Word::Qualified, EngineWord::Qualified, Vec::new()));
    }
}

#[test]
fn one_thing_that_does_not_hold_forbids_it_and_is_named() {
    type Change = fn(&mut Evidence);
    let table: [(&str, Change); 19] = [
        ("kernel L4 fail (2 of 3 edge cases pass): why", |seen| {
            let sum = &mut seen.conform.results[1];
            (sum.outcome, sum.passed) = (Outcome::Fail, 2);
            sum.detail = "why".to_owned();
        }),
        ("kernel L4 error", |seen| {
            seen.conform.results[1].outcome = Outcome::Error;
        }),
        ("kernel L1 unsupported (0 of 3", |seen| {
            let sum = &mut seen.conform.results[0];
            (sum.outcome, sum.passed) = (Outcome::Unsupported, 0);
        }),
        ("another was not run", |seen| {
            seen.kernels.push("another".to_owned());
        }),
        ("kernel was not run", |seen| seen.conform.results.clear()),
        ("no kernel was run", |seen| seen.kernels.clear()),
        ("basics, basic 0: fail: detail", |seen| {
            seen.basics[1].outcome = Outcome::Fail;
        }),
        ("basics, basic 0: unsupported", |seen| {
            seen.basics[1].outcome = Outcome::Unsupported;
        }),
        ("of 14 basics were run", |seen| drop(seen.basics.pop())),
        ("traps, case 0: fail", |seen| {
            seen.traps.results[0].outcome = Outcome::Fail;
        }),
        ("cases were run", |seen| drop(seen.traps.results.pop())),
        ("traps, check 0: error", |seen| {
            seen.traps.checks[0].outcome = Outcome::Error;
        }),
        ("checks were run", |seen| drop(seen.traps.checks.pop())),
        ("traps, interrupting code 0: fail", |seen| {
            seen.traps.latency[0].outcome = Outcome::Fail;
        }),
        ("3 of 4 kinds of code were interrupted", |seen| {
            drop(seen.traps.latency.pop());
        }),
        ("numerics: not every operation was run", |seen| {
            seen.conform.numerics[0].holds = false;
        }),
        ("numerics, f32.min: fail: why", |seen| {
            let numerics = &mut seen.conform.numerics[0];
            numerics.holds = false;
            numerics.findings.push(numerics::Finding {
                runtime: ENGINE.to_owned(),
                operation: "f32.min".to_owned(),
                feature: None,
                outcome: Outcome::Fail,
                cases: 1,
                detail: "why".to_owned(),
            });
        }),
        ("the numeric instructions were not run", |seen| {
            seen.conform.numerics.clear();
        }),
        ("it does not start", |seen| {
            let engine = &mut seen.conform.engines[0];
            engine.status = Status::Failed;
            engine.reason = Some("it does not start".to_owned());
        }),
    ];
    for (reason, change) in table {
        let (word, engine, reasons) = after(Profile::Server, change);
        let both = (word, engine);
        assert_eq!(
            both,
            (Word::NotQualified, EngineWord::NotQualified),
            "{reason}"
        );
        assert!(
            reasons.iter().any(|one| one.contains(reason)),
            "{reason}: {reasons:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_whole_forbids_it_though_no_engine_is_to_blame() {
    type Change = fn(&mut Evidence);
    let table: [(&str, Change); 5] = [
        ("conformance failed", |seen| {
            seen.conform.verdict = Whole::Fail;
        }),
        ("conformance has a reason", |seen| {
            seen.conform.reasons.push("it ran too little".to_owned());
        }),
        ("a check failed that no sum shows", |seen| {
            seen.conform.counts.fail = 1;
        }),
        ("native code flushes denormals", |seen| {
            seen.basics[0].outcome = Outcome::Fail;
        }),
        ("nobody looked at native code", |seen| {
            drop(seen.basics.remove(0));
        }),
    ];
    for (what, change) in table {
        let (word, engine, _) = after(Profile::Server, change);
        assert_eq!(
            (word, engine),
            (Word::NotQualified, EngineWord::Qualified),
            "{what}"
        );
    }
}

#[test]
fn an_absent_engine_takes_nothing_from_the_others_and_is_not_enough_alone() {
    let absent = |evidence: &mut Evidence| {
        let mut engine = evidence.conform.engines[0].clone();
        engine.id = "two".to_owned();
        engine.status = Status::Absent;
        engine.reason = Some("not in this build".to_owned());
        evidence.conform.engines.push(engine);
    };
    let mut both = evidence();
    absent(&mut both);
    let verdict = judge(&both, Profile::Server);
    assert_eq!(verdict.word, Word::Qualified);
    assert_eq!(verdict.engines[1].verdict, EngineWord::Absent);
    assert_eq!(verdict.engines[1].reasons, ["not in this build"]);
    assert_eq!(verdict.trap_summaries.len(), 1);

    both.conform.engines.remove(0);
    assert_eq!(judge(&both, Profile::Server).word, Word::NotQualified);
}

#[test]
fn an_engine_may_lack_vectors_and_fail_as_is_known_and_says_so() {
    let mut seen = evidence();
    let vectors = &mut seen.basics[1];
    vectors.check = "choices by comparisons of vectors".to_owned();
    vectors.outcome = Outcome::Unsupported;
    seen.traps.results[0].outcome = Outcome::KnownFailure;
    seen.traps.results[0].detail = "known".to_owned();
    seen.conform.engines[0].compiled_elsewhere = Some("code".to_owned());
    let verdict = judge(&seen, Profile::Server);
    assert_eq!(verdict.word, Word::Qualified);
    let limitations = &verdict.engines[0].limitations;
    assert_eq!(limitations.len(), 2, "{limitations:?}");
    assert!(limitations[0].ends_with(": code") && limitations[1] == "case 0: known");
}

#[test]
fn a_device_adds_its_limits_and_what_fits() {
    let held_back = after(Profile::Embedded, |seen| {
        let reason = "the engine honours no limit of stack".to_owned();
        seen.conform.held_back.insert(ENGINE.to_owned(), reason);
    });
    // Nothing qualifies then, and the engine is not to blame.
    assert_eq!(
        (held_back.0, held_back.1),
        (Word::NotQualified, EngineWord::Unsupported)
    );
    for change in [
        (|fit: &mut Fit| fit.largest = None) as fn(&mut Fit),
        |fit| fit.bytes = 256 * 1024 + 1,
    ] {
        let set = |seen: &mut Evidence| {
            let mut fit = fit();
            change(&mut fit);
            seen.fits = vec![fit];
        };
        let (word, engine, reasons) = after(Profile::Embedded, set);
        assert_eq!(
            (word, engine),
            (Word::NotQualified, EngineWord::NotQualified)
        );
        assert_eq!(reasons, ["kernel does not fit the device"]);
    }
}

/// A module of three blocks of which so many ran.
pub(crate) fn covered(ran: u64) -> Coverage {
    let mut coverage = Coverage::unknown("kernel", "base", "");
    coverage.blocks = 3;
    coverage.ran = ran;
    let block = Block {
        function: "kernel_forward".to_owned(),
        offset: 100,
        instructions: 2,
        text: "i32.const 1; return".to_owned(),
    };
    let uncovered = Uncovered {
        block,
        unreachable: None,
    };
    coverage.uncovered = (ran..3).map(|_| uncovered.clone()).collect();
    coverage
}

#[test]
fn a_call_that_leaves_a_global_changed_speaks_against_the_pack() {
    let mut evidence = evidence();
    let mut changed = covered(3);
    assert_eq!(judge(&evidence, Profile::Server).word, Word::Qualified);
    changed.globals_changed = vec![1];
    evidence.conform.add_coverage(vec![changed]);
    assert_eq!(judge(&evidence, Profile::Server).word, Word::NotQualified);
    assert!(evidence.conform.reasons[0].contains("left global 1 changed"));
}

pub(crate) fn truth(name: &str, strength: Strength, cases: usize) -> Truth {
    Truth {
        kernel: "kernel".to_owned(),
        sources: vec![Asked {
            name: name.to_owned(),
            strength,
            cases,
            absent: None,
        }],
        unjudged: None,
    }
}

#[test]
fn words_are_spelled_in_json_as_ever() {
    let spelled = |value: &dyn erased::Spelled| value.spelled();
    for (word, name) in [
        (&Word::Qualified as &dyn erased::Spelled, "qualified"),
        (&Word::NotQualified, "not-qualified"),
        (&EngineWord::Qualified, "qualified"),
        (&EngineWord::NotQualified, "not-qualified"),
        (&EngineWord::Absent, "absent"),
        (&EngineWord::Unsupported, "unsupported"),
        (&Status::Ready, "ready"),
        (&Status::Absent, "absent"),
        (&Status::Failed, "failed"),
        (&Whole::Pass, "pass"),
        (&Whole::Fail, "fail"),
        (&Profile::Server, "server"),
        (&Profile::Embedded, "embedded"),
    ] {
        assert_eq!(spelled(word), (format!("\"{name}\""), name.to_owned()));
    }
}

mod erased {
    /// As it stands in JSON, and as people read it.
    pub(super) trait Spelled {
        fn spelled(&self) -> (String, String);
    }

    impl<T: serde::Serialize + ToString> Spelled for T {
        fn spelled(&self) -> (String, String) {
            (serde_json::to_string(self).unwrap(), self.to_string())
        }
    }
}
