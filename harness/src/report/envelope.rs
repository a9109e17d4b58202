//! The envelope in a report.

use super::sections::headers;
use crate::{
    conform::envelope::Envelope,
    document::{Cell, Part, Section, Table},
};

/// What each kernel was asked and held for; `None` where nothing held, or nobody noted it.
pub(super) fn section(envelopes: &[Envelope]) -> Option<Section> {
    let rows = envelopes.iter().map(|envelope| {
        let (cases, bytes) = (envelope.cases(), envelope.largest_region_bytes());
        vec![
            Cell::new(&envelope.kernel),
            Cell::number(cases.to_string(), cases as f64),
            Cell::new(envelope.sequences()),
            Cell::number(bytes.to_string(), bytes as f64),
            Cell::new(envelope.words()),
        ]
    });
    let table = Table {
        caption: "What held on every engine that ran the kernel; a verdict says nothing of what lies beyond. Engines that made a part of the calls in \
                  sequences are named with their share"
            .to_owned(),
        headers: headers(&[
            "kernel",
            "cases answered",
            "calls in sequences",
            "largest region in bytes",
            "parameters and axes",
        ]),
        rows: rows.collect(),
    };
    (!envelopes.is_empty()).then(|| Section {
        id: "envelope",
        title: "Envelope",
        parts: vec![Part::Table(table)],
    })
}
