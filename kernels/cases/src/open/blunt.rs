//! Whether a truth and its tolerance tell right from wrong at all: answers that nobody would take must be refused somewhere.
//!
//! A tolerance of 1e30, or inputs that are drawn as zeros only, would let any kernel pass, and the verdict would look like every other.

use super::{
    Call, Tensor, Values,
    expected::{Held, judge_tensor},
    near,
};
use crate::{
    case::{Binding, Case},
    near::beside,
    number,
    truth::Verdict,
};
use kernel_pack::{Dtype, contract::Contract};
use std::collections::BTreeMap;

/// What a wrong answer is like.
struct Wrong {
    name: &'static str,
    of: fn(f64) -> f64,
}

/// A call, and what is due.
type Judged<'a> = (&'a Call, Vec<Values>);

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
    let judged: Vec<Judged<'_>> = cases.iter().flat_map(known).collect();
    let (call, _) = judged.first()?;
    let of_outputs = blunt_of_outputs(call, &judged);
    of_outputs.or_else(|| ignored(cases, &call.contract))
}

/// The first input or parameter that a kernel could ignore: wherever only it is another one, the answer to what it was before would pass. A parameter
/// that changes no answer that is due may be ignored.
fn ignored(cases: &[Case], contract: &Contract) -> Option<String> {
    let inputs = contract
        .inputs
        .iter()
        .map(|array| (&array.name, near::other(&array.name), true));
    let params = contract
        .params
        .iter()
        .filter(|(name, _)| !contract.axes.contains_key(name));
    let params = params.map(|(name, _)| (name, near::param(name), false));
    inputs.chain(params).find_map(|(name, suffix, is_input)| {
        let (mut asked, mut refused, mut differ) = (0, 0, 0);
        for case in cases.iter().filter(|case| case.name.ends_with(&suffix)) {
            let Some(base) = beside(&case.name) else { continue };
            let Some(base) = cases.iter().find(|case| case.name == base) else {
                continue;
            };
            for ((call, due), (_, before)) in known(case).iter().zip(&known(base)) {
                asked += 1;
                let mut outputs = (0..call.outputs.len()).filter(|&index| due[index].values != before[index].values).peekable();
                differ += usize::from(outputs.peek().is_some());
                refused += usize::from(outputs.any(|index| is_refused(call, due, index, &before[index].values)));
            }
        }
        let tells = asked == 0 || refused > 0 || !is_input && differ == 0;
        (!tells).then(|| {
            format!(
                "its inputs and its tolerance tell too little: a kernel that ignores {name} would pass, in all {asked} calls in which only it is another one"
            )
        })
    })
}

fn blunt_of_outputs(call: &Call, judged: &[Judged<'_>]) -> Option<String> {
    call.outputs.iter().enumerate().find_map(|(index, tensor)| {
        let wrong: &[Wrong] = match tensor.dtype {
            dtype if number::is_float(dtype) => &[ZEROS, SIGN, TENTH],
            // Codes of blocks are judged by bits.
            Dtype::Q8 | Dtype::Q4 => return None,
            _ => &[ZEROS, ONE],
        };
        let finite = |(_, due): &&Judged<'_>| {
            let due = due.get(index);
            due.is_some_and(|due| due.values.iter().all(|value| value.is_finite()))
        };
        let finite: Vec<&Judged<'_>> = judged.iter().filter(finite).collect();
        let passing = |wrong: &Wrong| {
            let wrong_of = |due: &[Values]| -> Vec<f64> {
                due[index].values.iter().map(|value| (wrong.of)(*value)).collect()
            };
            let asked = finite.iter().filter(|(_, due)| wrong_of(due) != due[index].values);
            let asked: Vec<_> = asked.collect();
            let refused = asked.iter();
            let refused = refused.filter(|(call, due)| is_refused(call, due, index, &wrong_of(due)));
            let refused = refused.count();
            (2 * refused <= asked.len()).then(|| (asked.len() - refused, asked.len()))
        };
        let said = |wrong: &str, (passed, of): (usize, usize)| {
            format!(
                "its inputs and its tolerance tell too little: {wrong} in the place of {} would pass on {passed} of {of} calls",
                tensor.name
            )
        };
        let wrong = wrong.iter().find_map(|wrong| Some(said(wrong.name, passing(wrong)?)));
        wrong.or_else(|| Some(said("the answer of another call", replayed(&finite, index)?)))
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
fn known(case: &Case) -> Vec<Judged<'_>> {
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
fn is_refused(call: &Call, due: &[Values], index: usize, wrong: &[f64]) -> bool {
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
