//! The envelope on screen.

use crate::conform::envelope::Envelope;

/// A line for each kernel; nothing where nothing held.
pub(super) fn text(envelopes: &[Envelope]) -> String {
    let mut text = String::new();
    if envelopes.is_empty() {
        return text;
    }
    text += "\nenvelope: what held on every engine that ran the kernel\n";
    for envelope in envelopes {
        text += &format!(
            "{:<16} {} cases answered; calls in sequences: {}; regions up to {} bytes",
            envelope.kernel,
            envelope.cases(),
            envelope.sequences(),
            envelope.largest_region_bytes()
        );
        let ranges = envelope.words();
        if !ranges.is_empty() {
            text += &format!("; {ranges}");
        }
        text += "\n";
    }
    text
}
