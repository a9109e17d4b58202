//! Conformance on screen.

use super::{absent, coverage, envelope, matrix};
use crate::{
    conform::{record::Entry, report::Conformance},
    document::Part,
    judge,
};

/// Failures printed on screen; all are in the results folder.
const MAX_SHOWN: usize = 8;

/// The document of `assay conform`.
pub fn parts(conform: &Conformance) -> Vec<Part> {
    let mut parts = vec![
        Part::Table(matrix::table(&conform.results, &conform.runtimes())),
        Part::Text(
            "ok N: N checks hold (a check is a layer of a case). \
             L1 status, L2 agreement, L3 same source, L4 truth, L5 external, L6 frame, L7 properties."
                .to_owned(),
        ),
    ];
    parts.extend(coverage::parts(&conform.coverage, conform.search.as_ref()));
    parts.extend(envelope::parts(&conform.envelope));
    parts.push(Part::List(remarks(conform)));
    let failures: Vec<_> = conform
        .results
        .iter()
        .filter(|entry| entry.outcome.is_bad() && entry.case.is_some())
        .collect();
    let shown = failures.iter().take(MAX_SHOWN);
    parts.extend(shown.map(|failure| Part::List(lines(failure, &conform.evidence))));
    if failures.len() > MAX_SHOWN {
        parts.push(Part::Text(format!(
            "... and {} more failing cases, all in conform.json of the results",
            failures.len() - MAX_SHOWN
        )));
    }
    parts.push(Part::Text(sum(conform)));
    parts
}

/// What is to be known beside the table.
fn remarks(conform: &Conformance) -> Vec<String> {
    let mut lines: Vec<String> = absent(&conform.engines).collect();
    for summary in &conform.numerics {
        lines.push(format!("{} numerics: {}", summary.runtime, summary.line()));
    }
    lines.extend(judge::truths(&conform.truths));
    lines.extend(conform.notes.iter().cloned());
    lines.extend(conform.reasons.iter().take(MAX_SHOWN).cloned());
    if conform.reasons.len() > MAX_SHOWN {
        lines.push(format!(
            "... and {} more reasons in {}/conform.json",
            conform.reasons.len() - MAX_SHOWN,
            conform.evidence
        ));
    }
    lines
}

fn lines(failure: &Entry, evidence: &str) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} on {}, {:?} {}: {}",
        failure.outcome,
        failure.kernel,
        failure.runtime,
        failure.layer,
        failure.layer.title(),
        failure.detail
    )];
    lines.extend(
        failure
            .shrunk
            .iter()
            .map(|shrunk| format!("  smallest: {shrunk}")),
    );
    lines.extend(
        failure
            .bytes
            .iter()
            .map(|bytes| format!("  bytes:    {evidence}/{bytes}")),
    );
    lines.extend(
        failure
            .repeat
            .iter()
            .map(|repeat| format!("  repeat:   {repeat}")),
    );
    lines
}

fn sum(conform: &Conformance) -> String {
    let counts = &conform.counts;
    let words = judge::conformance_words(conform);
    let said = words.strip_prefix(&conform.verdict.to_string());
    let said = said.unwrap_or_default();
    let said = said
        .strip_prefix(", though ")
        .map_or(said.to_owned(), |said| format!("; {said}"));
    format!(
        "conformance: {} - {} of {} checks pass, {} fail, {} unsupported, {} error; {} absent (engine, kernel) cells; seed {}{}; results in {}{said}",
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
