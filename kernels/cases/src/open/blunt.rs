//! Whether a truth and its tolerance tell right from wrong at all: answers that nobody would take must be refused somewhere.
//!
//! A tolerance of 1e30, or inputs that are drawn as zeros only, would let any kernel pass, and the verdict would look like every other.

use super::{Call, Values, expected::judge_outputs};
use crate::{
    case::{Binding, Case},
    number,
    truth::Verdict,
};
use kernel_pack::Dtype;

/// What a wrong answer is like.
struct Wrong {
    name: &'static str,
    of: fn(f64) -> f64,
}

const ZEROS: Wrong = Wrong {
    name: "zeros",
    of: |_| 0.0,
};
const SIGN: Wrong = Wrong {
    name: "the other sign",
    of: |value| -value,
};
const TENTH: Wrong = Wrong {
    name: "a tenth more",
    of: |value| value * 1.1,
};
const ONE: Wrong = Wrong {
    name: "one more",
    of: |value| value + 1.0,
};

/// Why the truths of these cases judge nothing, if they do not: the first output for which a wrong answer passes on most calls whose answer is
/// another one. Calls that are not finite do not count: NaN and infinities are due whatever the tolerance is.
pub fn blunt(cases: &[Case]) -> Option<String> {
    let judged: Vec<(&Call, Vec<Values>)> = cases.iter().flat_map(known).collect();
    let (call, _) = judged.first()?;
    call.outputs.iter().enumerate().find_map(|(index, tensor)| {
        let wrong: &[Wrong] = match tensor.dtype {
            dtype if number::is_float(dtype) => &[ZEROS, SIGN, TENTH],
            // Codes of blocks are judged by bits.
            Dtype::Q8 | Dtype::Q4 => &[],
            _ => &[ZEROS, ONE],
        };
        let passing = |wrong: &Wrong| {
            let differs = |(_, due): &&(&Call, Vec<Values>)| {
                let values = due.get(index).map_or(&[][..], |due| &due.values);
                let finite = values.iter().all(|value| value.is_finite());
                finite && values.iter().any(|value| (wrong.of)(*value) != *value)
            };
            let asked: Vec<_> = judged.iter().filter(differs).collect();
            let refused = asked.iter();
            let refused = refused.filter(|(call, due)| is_refused(call, due, index, wrong));
            let refused = refused.count();
            (2 * refused <= asked.len()).then(|| (asked.len() - refused, asked.len()))
        };
        let (wrong, (passed, of)) = wrong
            .iter()
            .find_map(|wrong| Some((wrong, passing(wrong)?)))?;
        Some(format!(
            "its inputs and its tolerance tell too little: {} in the place of {} would pass on {passed} of {of} calls",
            wrong.name, tensor.name
        ))
    })
}

/// What is known of the answer of a case.
fn known(case: &Case) -> Vec<(&Call, Vec<Values>)> {
    let Some(call) = case.open.as_deref().filter(|_| case.expects_output()) else {
        return Vec::new();
    };
    let of_truths = call.expected.iter();
    let of_truths = of_truths.filter_map(|expected| expected.outputs.as_ref().ok().cloned());
    let binding = case.external.iter();
    let binding = binding.filter(|external| external.binding != Binding::Informs);
    let of_vectors = binding.map(|external| call.values_of(external));
    of_truths.chain(of_vectors).map(|due| (call, due)).collect()
}

/// Whether the answer with one output made wrong is refused.
fn is_refused(call: &Call, due: &[Values], wrong_output: usize, wrong: &Wrong) -> bool {
    let outputs = call.outputs.iter().zip(due).enumerate();
    let bytes: Option<Vec<Vec<u8>>> = outputs
        .flat_map(|(index, (tensor, due))| {
            due.values.iter().map(move |value| {
                let value = match index == wrong_output {
                    true => (wrong.of)(*value),
                    false => *value,
                };
                number::encode(tensor.dtype, value)
            })
        })
        .collect();
    bytes.is_some_and(|bytes| {
        matches!(
            judge_outputs(call, due, &bytes.concat(), 1.0),
            Verdict::Fail(_)
        )
    })
}
