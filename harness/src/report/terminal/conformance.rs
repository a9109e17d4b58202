//! Conformance on screen.

use super::{coverage, envelope, matrix};
use crate::{conform::report::Conformance, judge};

/// Failures printed on screen; all are in the results folder.
const MAX_SHOWN: usize = 8;

/// The document of `assay conform`.
pub fn text(conform: &Conformance, colour: bool) -> String {
    let mut text = matrix::render(&conform.results, &conform.runtimes(), colour);
    text += "\nok N: N checks hold (a check is a layer of a case). \
             L1 status, L2 agreement, L3 same source, L4 truth, L5 external, L6 frame, L7 properties.\n";
    text += &coverage::text(&conform.coverage, conform.search.as_ref());
    text += &envelope::text(&conform.envelope);
    for engine in &conform.engines {
        if let Some(reason) = &engine.reason {
            text += &format!("{} {}: {reason}\n", engine.id, engine.status);
        }
    }
    for summary in &conform.numerics {
        text += &format!("{} numerics: {}\n", summary.runtime, summary.line());
    }
    for line in judge::truths(&conform.truths) {
        text += &format!("{line}\n");
    }
    for note in conform
        .notes
        .iter()
        .chain(conform.reasons.iter().take(MAX_SHOWN))
    {
        text += &format!("{note}\n");
    }
    if conform.reasons.len() > MAX_SHOWN {
        text += &format!(
            "... and {} more reasons in {}/conform.json\n",
            conform.reasons.len() - MAX_SHOWN,
            conform.evidence
        );
    }
    let failures: Vec<_> = conform
        .results
        .iter()
        .filter(|entry| entry.outcome.is_bad() && entry.case.is_some())
        .collect();
    for failure in failures.iter().take(MAX_SHOWN) {
        text += &format!(
            "\n{} {} on {}, {:?} {}: {}\n",
            failure.outcome,
            failure.kernel,
            failure.runtime,
            failure.layer,
            failure.layer.title(),
            failure.detail
        );
        if let Some(shrunk) = &failure.shrunk {
            text += &format!("  smallest: {shrunk}\n");
        }
        if let Some(bytes) = &failure.bytes {
            text += &format!("  bytes:    {}/{bytes}\n", conform.evidence);
        }
        if let Some(repeat) = &failure.repeat {
            text += &format!("  repeat:   {repeat}\n");
        }
    }
    if failures.len() > MAX_SHOWN {
        text += &format!(
            "\n... and {} more failing cases in {}/conform.json\n",
            failures.len() - MAX_SHOWN,
            conform.evidence
        );
    }
    let counts = &conform.counts;
    let words = judge::conformance_words(conform);
    let said = words.strip_prefix(&conform.verdict.to_string());
    let said = said.unwrap_or_default();
    let said = said
        .strip_prefix(", though ")
        .map_or(said.to_owned(), |said| format!("; {said}"));
    text + &format!(
        "\nconformance: {} - {} of {} checks pass, {} fail, {} unsupported, {} error; {} absent (engine, kernel) cells; seed {}{}; results in {}{said}",
        conform.verdict,
        counts.pass,
        counts.total() - counts.absent,
        counts.fail,
        counts.unsupported,
        counts.error,
        counts.absent,
        conform.seed,
        conform
            .own_seed
            .map_or_else(String::new, |seed| format!(", own seed {seed}")),
        conform.evidence
    )
}
