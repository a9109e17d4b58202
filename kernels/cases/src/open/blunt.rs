//! Whether a truth and its tolerance tell right from wrong at all: answers that nobody would take must be refused somewhere.
//!
//! A tolerance of 1e30, or inputs that are drawn as zeros only, would let any kernel pass, and the verdict would look like every other.

use super::{
    Call, Tensor, Values,
    expected::{Held, judge_tensor},
    ignored,
};
use crate::{
    case::{Binding, Case},
    number,
    truth::Verdict,
};
use kernel_pack::Dtype;
use std::collections::BTreeMap;

/// What a wrong answer is like.
struct Wrong {
    name: &'static str,
    of: fn(&[f64]) -> Vec<f64>,
    /// No kind of call may let it pass; of others it is enough that most do not.
    everywhere: bool,
}

/// A call, and what is due.
pub(super) type Judged<'a> = (&'a Call, Vec<Values>);

const ZEROS: Wrong = Wrong {
    name: "zeros",
    of: |due| vec![0.0; due.len()],
    everywhere: true,
};
const SIGN: Wrong = Wrong {
    name: "the other sign",
    of: |due| due.iter().map(|value| -value).collect(),
    everywhere: false,
};
const TENTH: Wrong = Wrong {
    name: "a tenth more",
    of: |due| due.iter().map(|value| value * 1.1).collect(),
    everywhere: false,
};
const ONE: Wrong = Wrong {
    name: "one more",
    of: |due| due.iter().map(|value| value + 1.0).collect(),
    everywhere: false,
};
/// Codes may be one beside the right one, where a rounding decides: a unit of 127 is little, of 3 it is not.
const TENTH_OF_CODES: Wrong = Wrong {
    name: "a tenth more, and at least one,",
    of: |due| {
        let more = |value: &f64| value + (value / 10.0).abs().round().max(1.0).copysign(*value);
        due.iter().map(more).collect()
    },
    everywhere: false,
};
/// What a mean over all elements hides.
const ONE_SIGN: Wrong = Wrong {
    name: "one element of the other sign, the largest,",
    of: |due| {
        let mut wrong = due.to_vec();
        let size = |value: &&mut f64| value.abs();
        let largest = wrong
            .iter_mut()
            .max_by(|one, other| size(one).total_cmp(&size(other)));
        if let Some(largest) = largest {
            *largest = -*largest;
        }
        wrong
    },
    everywhere: true,
};

/// Why the truths of these cases judge nothing, if they do not: the first output for which a wrong answer passes on most calls whose answer is
/// another one. Calls that are not finite do not count, but of what takes no input: NaN and infinities are due whatever the tolerance is.
pub fn blunt(cases: &[Case]) -> Option<String> {
    let judged: Vec<Judged<'_>> = cases.iter().flat_map(known).collect();
    let (call, _) = judged.first()?;
    let of_outputs = blunt_of_outputs(call, &judged);
    of_outputs.or_else(|| ignored::ignored(cases, &call.contract))
}

fn blunt_of_outputs(call: &Call, judged: &[Judged<'_>]) -> Option<String> {
    call.outputs.iter().enumerate().find_map(|(index, tensor)| {
        let wrong: &[Wrong] = match tensor.dtype {
            dtype if number::is_float(dtype) => &[ZEROS, SIGN, TENTH, ONE_SIGN],
            // Codes of blocks are judged by bits.
            Dtype::Q8 | Dtype::Q4 => return None,
            Dtype::I8 | Dtype::U8 => &[ZEROS, TENTH_OF_CODES],
            _ => &[ZEROS, ONE],
        };
        // What answers zeros and infinities alone, as a mask is that takes no input, is told by those.
        let tells = |value: &f64| value.is_finite() || call.inputs.is_empty() && !value.is_nan();
        let all_tell = |(_, due): &&Judged<'_>| {
            let due = due.get(index);
            due.is_some_and(|due| due.values.iter().all(tells))
        };
        let telling: Vec<&Judged<'_>> = judged.iter().filter(all_tell).collect();
        let said = |wrong: &str, of: &str, (passed, asked): (usize, usize)| {
            format!(
                "its inputs and its tolerance tell too little: {wrong} in the place of {} would pass on {passed} of {asked} calls{of}",
                tensor.name
            )
        };
        let passing = |wrong: &Wrong| {
            let asked = telling.iter().filter_map(|(call, due)| {
                let other = (wrong.of)(&due[index].values);
                let differs = other != due[index].values;
                differs.then(|| (*call, is_refused(call, due, index, &other)))
            });
            let asked: Vec<(&Call, bool)> = asked.collect();
            // A tenth more of zeros and infinities is the same.
            if asked.is_empty() && wrong.name != ZEROS.name {
                return None;
            }
            let refused = asked.iter().filter(|(_, refused)| *refused).count();
            if 2 * refused <= asked.len() {
                return Some(said(wrong.name, "", (asked.len() - refused, asked.len())));
            }
            let (kind, count) = wrong.everywhere.then(|| blunt_kind(&asked))??;
            Some(said(wrong.name, &kind, (count, count)))
        };
        let wrong = wrong.iter().find_map(passing);
        wrong.or_else(|| {
            let replayed = replayed(&telling, index)?;
            Some(said("the answer of another call", "", replayed))
        })
    })
}

/// The calls from some length of an axis on, if a wrong answer is refused on none of them, and how many they are. An axis at its largest is asked with
/// ordinary values, so that those are no tiny answers alone.
fn blunt_kind(asked: &[(&Call, bool)]) -> Option<(String, usize)> {
    let (first, _) = asked.first()?;
    first.contract.axes.keys().find_map(|name| {
        let length = |call: &Call| call.values.get(name).copied().unwrap_or_default();
        let refused = asked.iter().filter(|(_, refused)| *refused);
        let longest = refused.map(|(call, _)| length(call)).fold(0.0, f64::max);
        let beyond = asked.iter().filter(|(call, _)| length(call) > longest);
        let lengths: Vec<f64> = beyond.map(|(call, _)| length(call)).collect();
        let least = lengths.iter().copied().fold(f64::INFINITY, f64::min);
        // The next few lengths are others by chance.
        let far = lengths.iter().any(|length| *length >= 2.0 * longest);
        far.then(|| {
            (
                format!(" of which {name} is {least} or more"),
                lengths.len(),
            )
        })
    })
}

/// Whether the answer of another call passes wherever one has as many elements: how often, if it is never refused.
fn replayed(judged: &[&Judged<'_>], index: usize) -> Option<(usize, usize)> {
    let mut last: BTreeMap<usize, &[f64]> = BTreeMap::new();
    let mut asked = 0;
    for (call, due) in judged {
        let own = &due[index].values;
        if let Some(other) = last.insert(own.len(), own) {
            if is_refused(call, due, index, other) {
                return None;
            }
            asked += 1;
        }
    }
    (asked > 0).then_some((asked, asked))
}

/// What is known of the answer of a case.
pub(super) fn known(case: &Case) -> Vec<Judged<'_>> {
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

/// Whether a wrong output is refused.
pub(super) fn is_refused(call: &Call, due: &[Values], index: usize, wrong: &[f64]) -> bool {
    let alone = Tensor {
        offset: 0,
        ..call.outputs[index].clone()
    };
    let encoded = wrong
        .iter()
        .map(|value| number::encode(alone.dtype, *value));
    let bytes: Option<Vec<Vec<u8>>> = encoded.collect();
    let held = Held::new(&call.contract.tolerance[index], call);
    bytes.is_some_and(|bytes| {
        matches!(
            judge_tensor(&alone, &held, &due[index], &bytes.concat(), 0),
            Verdict::Fail(_)
        )
    })
}
