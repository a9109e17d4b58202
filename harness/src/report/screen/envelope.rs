//! The envelope on screen.

use crate::{conform::envelope::Envelope, document::Part};

/// A line for each kernel; nothing where nothing held.
pub(super) fn parts(envelopes: &[Envelope]) -> Option<Part> {
    let lines = envelopes.iter().map(|envelope| {
        let mut line = format!(
            "{:<16} {} cases answered; calls in sequences: {}; regions up to {} bytes",
            envelope.kernel,
            envelope.cases(),
            envelope.sequences(),
            envelope.largest_region_bytes()
        );
        let ranges = envelope.words();
        if !ranges.is_empty() {
            line += &format!("; {ranges}");
        }
        line
    });
    let title = "envelope: what held on every engine that ran the kernel".to_owned();
    (!envelopes.is_empty()).then(|| Part::List(std::iter::once(title).chain(lines).collect()))
}
