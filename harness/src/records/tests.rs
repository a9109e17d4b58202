//! What is written is read, byte for byte and value for value.

use super::*;
use crate::{
    basics,
    conform::{
        device::Profile,
        judge::{Judgement, Layer},
        record::{Entry, Line},
    },
    coverage::Coverage,
    engine::{Judged, NativeCode},
    judge::tests::{covered, evidence},
    machine::Fingerprint,
    numerics,
    outcome::Outcome,
    results::Folder,
};
use kernel_cases::case::Source;
use run::Run;
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

/// Written as a results folder is written, and read again.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(document: &T) -> String {
    let place = crate::scratch();
    let folder = Folder::create(Some(place.path()), "test").unwrap();
    folder.document("document.json", document).unwrap();
    let path = place.path().join("document.json");
    assert_eq!(&parse::<T>(&path).unwrap(), document);
    fs::read_to_string(path).unwrap()
}

/// With something in every field that may be empty.
fn qualification() -> Qualification {
    let mut evidence = evidence();
    let conform = &mut evidence.conform;
    conform.reasons.push("a reason".to_owned());
    conform.notes.push("a note".to_owned());
    let mut coverage = covered(1);
    coverage.globals_changed = vec![1];
    coverage.uncovered[0].unreachable = Some("a proof".to_owned());
    conform.coverage = vec![coverage, Coverage::unknown("kernel", "simd", "why")];
    let held_back = &mut conform.held_back;
    held_back.insert("two".to_owned(), "no limit".to_owned());
    conform.engines[0].compiled_elsewhere = Some("code".to_owned());
    conform.engines[0].native_code_not_compared = [Judged::Beside, Judged::Instead]
        .map(|judged| NativeCode {
            kernel: "kernel".to_owned(),
            engine: "one".to_owned(),
            target: "here".to_owned(),
            differs: judged == Judged::Beside,
            reason: "why".to_owned(),
            confinement: "not confined: how".to_owned(),
            judged,
        })
        .into();
    conform.results.push(Entry {
        case: Some("generated:1".to_owned()),
        outcome: Outcome::Fail,
        max_ulp: Some(1.5),
        bytes: Some("failures/one".to_owned()),
        shrunk: Some("smaller".to_owned()),
        repeat: Some("assay conform".to_owned()),
        ..conform.results[0].clone()
    });
    conform.numerics[0].findings.push(numerics::Finding {
        runtime: "one".to_owned(),
        operation: "f32.min".to_owned(),
        feature: Some("simd".to_owned()),
        outcome: Outcome::KnownFailure,
        cases: 1,
        detail: "why".to_owned(),
    });
    let emulated = Some("how it shows".to_owned());
    Qualification::of(
        evidence,
        Profile::Embedded,
        Some("x86_64".to_owned()),
        emulated,
    )
}

#[test]
fn every_document_is_read_as_it_was_written() {
    let qualification = qualification();
    let text = round_trip(&qualification);
    for key in [
        "words",
        "interruptions",
        "fits",
        "trap_summaries",
        "held_back",
        "coverage",
        "planted",
        "globals_changed",
        "native_code_not_compared",
    ] {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
    round_trip(&qualification.conform);
    round_trip::<Vec<basics::Finding>>(&qualification.basics);
    round_trip::<Vec<basics::Finding>>(&qualification.planted);
    round_trip::<Vec<numerics::Finding>>(&qualification.numerics[0].findings);
    let traps = TrapReport::of(
        qualification.conform.engines.clone(),
        evidence().traps,
        "folder".to_owned(),
    );
    round_trip(&traps);

    let judgement = Judgement {
        max_ulp: Some(0.5),
        ..Judgement::of(Outcome::Fail, "why")
    };
    round_trip(&Line {
        runtime: Cow::Borrowed("one"),
        kernel: Cow::Borrowed("kernel"),
        variant: Cow::Borrowed("base"),
        source: Source::Generated,
        case: Cow::Borrowed("generated:1"),
        layers: Cow::Owned(BTreeMap::from([(Layer::L4, judgement)])),
    });
}

#[test]
fn the_record_of_a_run_is_read_as_it_was_written_and_any_other_byte_is_found() {
    let place = crate::scratch();
    let folder = Folder::create(Some(place.path()), "test").unwrap();
    folder.file("inner/a.bin", b"some bytes").unwrap();
    let mut lines = folder.lines("lines.jsonl").unwrap();
    lines.push(&1).unwrap();
    let run = Run::of("qualify", Fingerprint::take(), &qualification(), &folder).unwrap();
    let names: Vec<&str> = run.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["inner/a.bin", "lines.jsonl"]);
    assert_eq!(run.files["inner/a.bin"].bytes, 10);
    run.write(&folder).unwrap();
    assert_eq!(Run::read(place.path()).unwrap(), run);

    let path = place.path().join(run::FILE);
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let read = Run::read(place.path());
        assert!(
            matches!(read, Err(run::RunError::Changed(_))),
            "byte {at}: {read:?}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        Run::read(place.path()),
        Err(run::RunError::Missing(_))
    ));
}
