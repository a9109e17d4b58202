//! What an answer says of itself by the properties of its contract.

use super::{
    Call, Values,
    expected::{Held, describe, judge_outputs},
};
use crate::{
    case::Case,
    number,
    truth::{Mismatch, Verdict},
};
use kernel_pack::contract::Property;

/// What an answer says of itself: properties of the contract that need no other call. `None` if there are none.
pub(super) fn judge_alone(case: &Case, call: &Call, output: &[u8]) -> Option<Verdict> {
    let mut verdict = None;
    for property in &call.contract.properties {
        let found = match property {
            Property::Finite | Property::AtLeast(_) | Property::AtMost(_) => {
                if !is_finite(case, call) {
                    continue;
                }
                bounded(property, call, output)
            }
            Property::SumsToOne(axis) => sums(axis, call, output),
            Property::NormPreserving => norms(case, call, output),
            Property::InverseOf(of) => match &call.undone {
                Some((kernel, due)) if kernel == of => undone(call, due, output),
                _ => continue,
            },
            _ => continue,
        };
        if let Err(mismatch) = found {
            return Some(Verdict::Fail(Mismatch {
                detail: format!("{}`{property}` does not hold", mismatch.detail),
                ..mismatch
            }));
        }
        verdict = Some(Verdict::Pass { max_ulp: 0.0 });
    }
    verdict
}

fn undone(call: &Call, due: &[Values], output: &[u8]) -> Result<(), Mismatch> {
    match judge_outputs(call, due, output, 1.0) {
        Verdict::Fail(mismatch) => Err(Mismatch {
            detail: format!("{}; ", mismatch.detail),
            ..mismatch
        }),
        _ => Ok(()),
    }
}

fn is_finite(case: &Case, call: &Call) -> bool {
    call.inputs.iter().all(|tensor| {
        let values = number::decode(tensor.dtype, call.input(case, tensor));
        values.iter().all(|value| value.is_finite())
    })
}

fn mismatch(index: usize, expected: String, got: String) -> Mismatch {
    Mismatch {
        index,
        expected,
        got,
        ulp: None,
        detail: String::new(),
    }
}

fn bounded(property: &Property, call: &Call, output: &[u8]) -> Result<(), Mismatch> {
    let mut first = 0;
    for tensor in &call.outputs {
        for (index, got) in number::decode(tensor.dtype, tensor.of(output))
            .into_iter()
            .enumerate()
        {
            let (holds, expected) = match property {
                Property::AtLeast(bound) => (
                    !got.is_finite() || got >= *bound,
                    format!("at least {bound}"),
                ),
                Property::AtMost(bound) => (
                    !got.is_finite() || got <= *bound,
                    format!("at most {bound}"),
                ),
                _ => (got.is_finite(), "a finite number".to_owned()),
            };
            if !holds {
                return Err(mismatch(
                    first + index,
                    expected,
                    describe(tensor.dtype, got),
                ));
            }
        }
        first += tensor.elements();
    }
    Ok(())
}

/// Sums along an axis that an output ends with.
fn sums(axis: &str, call: &Call, output: &[u8]) -> Result<(), Mismatch> {
    for (index, (array, tensor)) in call.contract.outputs.iter().zip(&call.outputs).enumerate() {
        if array.shape.last().and_then(|length| length.as_name()) != Some(axis) {
            continue;
        }
        let length = tensor.shape.last().copied().unwrap_or(1).max(1) as usize;
        let held = Held::new(&call.contract.tolerance[index], call);
        let values = number::decode(tensor.dtype, tensor.of(output));
        for (row, values) in values.chunks(length).enumerate() {
            let sum: f64 = values.iter().sum();
            // Each term may be off by its own tolerance.
            let allowed: f64 = values
                .iter()
                .map(|value| held.allowed(tensor.dtype, *value, value.abs()))
                .sum();
            if !sum.is_nan() && (sum - 1.0).abs() > allowed {
                return Err(mismatch(
                    row * length,
                    format!("a sum of 1 along {axis}, {allowed:.3e} allowed"),
                    format!("{sum:?}"),
                ));
            }
        }
    }
    Ok(())
}

/// Rows of the first output against those of the first input.
fn norms(case: &Case, call: &Call, output: &[u8]) -> Result<(), Mismatch> {
    let (Some(input), Some(tensor)) = (call.inputs.first(), call.outputs.first()) else {
        return Ok(());
    };
    let length = tensor.shape.last().copied().unwrap_or(1).max(1) as usize;
    let held = Held::new(&call.contract.tolerance[0], call);
    let before = number::decode(input.dtype, call.input(case, input));
    let after = number::decode(tensor.dtype, tensor.of(output));
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    for (row, (before, after)) in before.chunks(length).zip(after.chunks(length)).enumerate() {
        let (due, got) = (norm(before), norm(after));
        if !due.is_finite() {
            continue;
        }
        // The norm moves by no more than the vector of the elements' tolerances has.
        let allowed = norm(
            &after
                .iter()
                .map(|value| held.allowed(tensor.dtype, *value, due))
                .collect::<Vec<_>>(),
        );
        if (due - got).abs() > allowed {
            return Err(mismatch(
                row * length,
                format!("a row of norm {due:?}, {allowed:.3e} allowed"),
                format!("{got:?}"),
            ));
        }
    }
    Ok(())
}
