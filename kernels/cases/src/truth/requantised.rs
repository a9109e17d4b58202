//! rope_q8: the rotated f32 values are known within a tolerance, the output is their Q8_0 blocks.

use super::{Mismatch, Tally, Verdict, describe_f16};
use crate::tolerance::{self, Format, Policy};
use kernel_abi::block::{ELEMENTS, Q8_BYTES};
use kernel_reference::{Element, Hazard, Truth, float16, kv};

/// Holds Q8_0 blocks against `elements`, packed as the contract packs, or against `expected` blocks where an oracle gives
/// them.
///
/// Scales may differ by 1 ulp16. A code may differ by one where the tolerance of the f32 values explains it, that is where
/// the value lies so near to the border of the two codes that it may fall on either side; and no more codes may than
/// [`tolerance::off_by_one_codes`].
pub(super) fn judge(
    policy: Policy,
    elements: &[Element],
    expected: Option<&[u8]>,
    output: &[u8],
) -> Verdict {
    let blocks = elements.len() / ELEMENTS;
    for bytes in [Some(output), expected].into_iter().flatten() {
        if bytes.len() != blocks * Q8_BYTES {
            return Verdict::Fail(Mismatch::length(blocks * Q8_BYTES, bytes.len()));
        }
    }
    let mut tally = Tally::default();
    let mut off_by_one = Vec::new();
    for (index, elements) in elements.chunks_exact(ELEMENTS).enumerate() {
        let bytes = index * Q8_BYTES..(index + 1) * Q8_BYTES;
        let block = Block {
            first_element: index * ELEMENTS,
            policy,
            elements,
            got: &output[bytes.clone()],
        };
        let held = match block.truth() {
            Known::Unknown(hazard) => {
                tally.unknown(block.first_element, ELEMENTS, hazard);
                continue;
            }
            Known::Bounded => block.hold_bounds(),
            Known::Values(values) => block.hold(
                &values,
                expected.map(|expected| &expected[bytes]),
                &mut off_by_one,
            ),
        };
        match held {
            Ok(ulps) => tally.judged(ELEMENTS, ulps),
            Err(mismatch) => return Verdict::Fail(mismatch),
        }
    }
    let allowed = tolerance::off_by_one_codes(elements.len());
    if let Some(mismatch) = off_by_one.first()
        && off_by_one.len() > allowed
    {
        return Verdict::Fail(Mismatch {
            detail: format!(
                "{} of {} codes are off by one where {allowed} may be; the first is this",
                off_by_one.len(),
                elements.len()
            ),
            ..mismatch.clone()
        });
    }
    tally.verdict()
}

enum Known {
    Values(Vec<f64>),
    Bounded,
    Unknown(Hazard),
}

struct Block<'a> {
    first_element: usize,
    policy: Policy,
    elements: &'a [Element],
    got: &'a [u8],
}

impl Block<'_> {
    /// What is known of all elements: a block is as good as its worst element, because they share the scale.
    fn truth(&self) -> Known {
        let mut bounded = false;
        let mut values = Vec::with_capacity(ELEMENTS);
        for element in self.elements {
            match element.truth {
                Truth::Unknown(hazard) => return Known::Unknown(hazard),
                Truth::Bounded => bounded = true,
                Truth::Value(value) => values.push(value),
            }
        }
        if bounded {
            return Known::Bounded;
        }
        let finite = || {
            values
                .iter()
                .map(|value| value.abs())
                .filter(|v| v.is_finite())
        };
        let largest = finite().fold(0.0, f64::max);
        // Near the end of f32's range the value itself may round to Inf; below its normal range 1/scale overflows, and a
        // scale is the 127th part of a value.
        if largest >= f64::from(f32::MAX) / 2.0 {
            return Known::Unknown(Hazard::Overflow);
        }
        if largest > 0.0 && largest < 256.0 * f64::from(f32::MIN_POSITIVE) {
            return Known::Unknown(Hazard::Underflow);
        }
        Known::Values(values)
    }

    fn scale(&self) -> f64 {
        float16::decode(self.scale_bits(self.got))
    }

    fn scale_bits(&self, block: &[u8]) -> u16 {
        u16::from_le_bytes([block[0], block[1]])
    }

    fn code(&self, block: &[u8], element: usize) -> i32 {
        i32::from(block[2 + element].cast_signed())
    }

    fn mismatch(&self, element: usize, expected: i32, detail: String) -> Mismatch {
        Mismatch {
            index: self.first_element + element,
            expected: format!("code {expected}"),
            got: format!("code {}", self.code(self.got, element)),
            ulp: None,
            detail,
        }
    }

    fn scale_mismatch(&self, expected: String, allowed: f64) -> Mismatch {
        Mismatch {
            index: self.first_element,
            expected,
            got: describe_f16(self.scale_bits(self.got)),
            ulp: None,
            detail: format!("scale of a block, {allowed:e} allowed"),
        }
    }

    fn hold(
        &self,
        values: &[f64],
        given: Option<&[u8]>,
        off_by_one: &mut Vec<Mismatch>,
    ) -> Result<f64, Mismatch> {
        let rounded: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let packed = kv::pack_q8(&rounded);
        let expected = given.unwrap_or(&packed);

        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let scale = largest(&mut values.iter().map(|value| value.abs())) / 127.0;
        let expected_bits = self.scale_bits(expected);
        // Beyond the range of f16 the scale itself says how near Inf is.
        let true_scale = if float16::encode(scale) == expected_bits {
            scale
        } else {
            float16::decode(expected_bits)
        };
        let exact = Element {
            truth: Truth::Value(true_scale),
            magnitude: 0.0,
            loss: 0.0,
            tail: 0.0,
        };
        let ulps = tolerance::SCALE
            .hold(Format::F16, &exact, true_scale, self.scale())
            .map_err(|allowed| self.scale_mismatch(describe_f16(expected_bits), allowed))?;

        let error = |element: usize| {
            let Element {
                magnitude, loss, ..
            } = self.elements[element];
            if magnitude.is_finite() {
                self.policy
                    .allowed(&self.elements[element], values[element])
                    + loss
            } else {
                0.0
            }
        };
        let scale_error = largest(&mut (0..ELEMENTS).map(error)) / 127.0;
        for (element, value) in values.iter().enumerate() {
            let (want, got) = (self.code(expected, element), self.code(self.got, element));
            if want == got {
                continue;
            }
            // Where the value is between the codes, and how far its own error, that of the scale and three f32 roundings
            // may move it.
            let position = value / scale;
            let reach = (error(element) + position.abs() * scale_error) / scale
                + 4.0 * tolerance::U * position.abs();
            let border = f64::from(want + got) / 2.0;
            let explained = (want - got).abs() == 1 && (position - border).abs() <= reach;
            if !explained {
                let detail = format!("the value is {position:.4} steps, known to {reach:.1e}");
                return Err(self.mismatch(element, want, detail));
            }
            off_by_one.push(self.mismatch(element, want, String::new()));
        }
        Ok(ulps)
    }

    /// Angles beyond the accurate range: the block stays within the sizes of its pairs, give or take the rounding of scale
    /// (2^-11 of it, so 2^-10 is ample) and codes (half a step).
    fn hold_bounds(&self) -> Result<f64, Mismatch> {
        let bound = self
            .elements
            .iter()
            .map(|e| e.magnitude)
            .fold(0.0, f64::max)
            * (1.0 + 1.0 / 1024.0);
        let scale = self.scale();
        let least_step = 2f64.powi(-24);
        let fits = scale <= bound / 127.0 + least_step
            || (scale.is_infinite() && bound / 127.0 >= 65504.0);
        if !(fits && scale >= 0.0) {
            return Err(self.scale_mismatch(format!("at most {:e}", bound / 127.0), 0.0));
        }
        for (index, element) in self.elements.iter().enumerate() {
            let value = f64::from(self.code(self.got, index)) * scale;
            let most = element.magnitude * (1.0 + 1.0 / 1024.0) + scale;
            if value.abs() > most && scale > least_step {
                let most_code = (most / scale) as i32;
                return Err(self.mismatch(
                    index,
                    most_code,
                    "at most, by the size of the pair".to_owned(),
                ));
            }
        }
        Ok(0.0)
    }
}
