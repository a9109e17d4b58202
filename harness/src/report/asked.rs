//! The words of what nobody asked, and of what was not run: in the verdict, and the same in every document.

use super::{junit, screen, sections};
use crate::{
    conform::{
        device::Profile,
        envelope::{Envelope, OfEngine},
        judge::Layer,
        record::Entry,
        report::{Conformance, NotRun, TimeReport},
        search::Searched,
    },
    document::{html, markdown, terminal},
    judge::{
        Evidence, conformance_words,
        tests::{ENGINE, covered, evidence, sum, truth},
    },
    outcome::Outcome,
    records::{Qualification, Records},
};
use kernel_cases::open::Strength;
use serde::Serialize;

/// One change for each thing that may not be asked, its name, and the words that are due.
type Row = (fn(&mut Evidence), &'static str, &'static str);

const ROWS: [Row; 12] = [
    (
        |seen| seen.interruptions = 0,
        "interruptions",
        "nobody knows how late engines stop",
    ),
    (
        |seen| seen.conform.coverage = vec![covered(3), covered(1)],
        "code",
        "no case ran 2 of 6 basic blocks of code, in 1 module",
    ),
    (
        |seen| seen.conform.coverage.clear(),
        "coverage",
        "nobody knows which code the cases ran",
    ),
    (
        |seen| seen.conform.search = None,
        "search",
        "nobody searched for calls that run more of the code",
    ),
    (
        |seen| {
            let module = ("kernel (simd)".to_owned(), "time was over".to_owned());
            seen.conform.search = Some(Searched {
                not_searched: [module].into(),
                ..Searched::default()
            });
        },
        "search",
        "nobody searched for calls that run more of kernel (simd)",
    ),
    (
        |seen| {
            seen.pack.kernels = 2;
            seen.conform.pack_kernels = 2;
        },
        "kernels",
        "only 1 of the pack's 2 kernels were judged: kernel",
    ),
    (
        |seen| seen.conform.truths = vec![truth("vectors", Strength::Own, 40)],
        "another truth than the author's own",
        "by the author's own truth alone: kernel",
    ),
    (
        |seen| seen.conform.cases = 0,
        "generated cases",
        "no generated case was asked",
    ),
    (
        |seen| {
            let variant = "simd".to_owned();
            seen.conform.results.push(Entry {
                variant,
                outcome: Outcome::Unsupported,
                passed: 0,
                ..sum(Layer::L1)
            });
        },
        "variants",
        "no engine ran kernel (simd)",
    ),
    (
        |seen| {
            let agreement = seen.conform.results.iter_mut();
            for entry in agreement.filter(|entry| entry.layer == Layer::L2) {
                (entry.outcome, entry.passed) = (Outcome::Unsupported, 0);
            }
        },
        "agreement",
        "no two engines were compared in kernel",
    ),
    (
        |seen| {
            seen.conform.envelope = vec![Envelope {
                kernel: "kernel".to_owned(),
                engines: vec![OfEngine {
                    runtime: ENGINE.to_owned(),
                    sequence_calls: 200,
                    left_out: 100,
                    ..OfEngine::default()
                }],
            }];
        },
        "calls in sequences",
        "one made 200 of 300 calls in sequences",
    ),
    (
        |seen| {
            seen.conform.envelope = vec![Envelope {
                kernel: "kernel".to_owned(),
                engines: vec![OfEngine {
                    runtime: ENGINE.to_owned(),
                    cases: 5,
                    once: 2,
                    ..OfEngine::default()
                }],
            }];
        },
        "places of large tensors",
        "one called 3 of 5 cases at a second place",
    ),
];

/// Good evidence of which everything was asked.
fn complete() -> Evidence {
    let mut seen = evidence();
    seen.conform.coverage = vec![covered(3)];
    seen
}

fn qualification(change: impl FnOnce(&mut Evidence)) -> Qualification {
    let mut seen = complete();
    change(&mut seen);
    Qualification::of(seen, Profile::Server, None, None)
}

/// The last line on screen, HTML, Markdown, JUnit and JSON.
fn documents(qualify: &Qualification) -> [String; 5] {
    let records = Records {
        qualify: Some(qualify.clone()),
        ..Records::default()
    };
    rendered(
        &terminal::render(&screen::qualification(qualify), false),
        qualify,
        &records,
    )
}

/// The same of a conformance by itself.
fn documents_of_conformance(conform: &Conformance) -> [String; 5] {
    let conform = Conformance {
        words: Some(conformance_words(conform)),
        ..conform.clone()
    };
    let records = Records {
        conform: Some(conform.clone()),
        ..Records::default()
    };
    rendered(
        &terminal::render(&screen::conformance(&conform), false),
        &conform,
        &records,
    )
}

fn rendered(text: &str, json: &impl Serialize, records: &Records) -> [String; 5] {
    let json = serde_json::to_value(json).unwrap();
    let document = sections::document(records, String::new()).unwrap();
    [
        text.lines().last().unwrap().to_owned(),
        html::render(&document).unwrap(),
        markdown::render(&document),
        junit::render(records).unwrap(),
        json["words"].as_str().unwrap().to_owned(),
    ]
}

/// Whether a document has these words, as its format spells them.
fn says(document: &str, words: &str) -> bool {
    ["'", "&#39;", "&#x27;", "&apos;"]
        .iter()
        .any(|quote| document.contains(&words.replace('\'', quote)))
}

#[test]
fn what_was_not_asked_stands_in_every_document_of_a_good_verdict() {
    let whole = qualification(|_| {});
    assert_eq!(whole.words(), "qualified");
    assert!(whole.is_unreserved());
    for (change, name, words) in ROWS {
        let qualify = qualification(change);
        assert_eq!(qualify.words(), format!("qualified, though {words}"));
        assert!(!qualify.is_unreserved());
        for document in documents(&qualify) {
            assert!(says(&document, words), "{name}: {document}");
        }
        let skipped = format!("not asked: {name}");
        assert!(says(&documents(&qualify)[3], &skipped), "{skipped}");
        // How late engines stop is no question of conformance.
        if name != "interruptions" {
            for document in documents_of_conformance(&qualify.conform) {
                assert!(says(&document, words), "conformance, {name}: {document}");
            }
        }
    }
    let both = qualification(|seen| {
        seen.interruptions = 0;
        seen.conform.cases = 0;
    });
    assert_eq!(
        both.words(),
        "qualified, though nobody knows how late engines stop, and no generated case was asked"
    );
}

#[test]
fn what_was_not_run_stands_in_every_document_and_nothing_qualifies() {
    let given_up = |seen: &mut Evidence| {
        let not_run = NotRun {
            runtime: ENGINE.to_owned(),
            kernel: "kernel".to_owned(),
            variant: "base".to_owned(),
            cases: 7,
            sequences: 5,
            reason: "3 calls used up their deadline".to_owned(),
        };
        seen.conform.time_limit = Some(TimeReport {
            seconds: 5,
            module_seconds: None,
            not_run: vec![not_run],
        });
        seen.conform.reasons = vec!["it was given up".to_owned()];
        seen.conform.verdict = seen.conform.follows();
    };
    let words = "3 calls used up their deadline: not run in full: kernel (base) on one";
    let qualify = qualification(given_up);
    assert_eq!(qualify.words(), format!("not-qualified; {words}"));
    for (index, document) in documents(&qualify).iter().enumerate() {
        // JUnit has the cases themselves.
        assert!(index == 3 || says(document, words), "{document}");
    }
    for (index, document) in documents_of_conformance(&qualify.conform)
        .iter()
        .enumerate()
    {
        assert!(index == 3 || says(document, words), "{document}");
    }

    let cut = qualification(|seen| {
        seen.conform.time_limit = Some(TimeReport {
            seconds: 5,
            ..TimeReport::default()
        });
        seen.unfinished = vec!["the traps".to_owned()];
    });
    assert_eq!(
        cut.words(),
        "not-qualified; the time limit of 5 s for the run (--time-limit) was reached: not asked in full: the traps"
    );
}
