//! Holds an output against what a truth says, within the contract's tolerance.

use super::{Call, Tensor};
use crate::{
    case::External,
    number,
    tolerance::HALF_SUBNORMAL,
    truth::{Mismatch, Verdict},
};
use kernel_pack::{
    Dtype,
    contract::{Bounds, Expression},
};

/// Whose word a truth is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// The author's own: signed vectors, a reference module.
    Own,
    /// Of somebody else: an oracle of this project, an operator of ONNX, a program or vectors of the user.
    Independent,
}

/// What a truth says of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name: `onnx Gelu-20`.
    pub truth: String,
    /// The outputs in the order of the call, or why there are none.
    pub outputs: Result<Vec<Values>, String>,
}

/// Expected elements of an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// In f64, not rounded.
    pub values: Vec<f64>,
    /// What relative distances are measured against, where the truth knows it better than by the value itself.
    pub magnitude: Option<Vec<f64>>,
}

/// Bounds with their values for a call.
pub(super) struct Held {
    bits: bool,
    ulp: f64,
    abs: f64,
    rel: f64,
    nmse: Option<f64>,
}

impl Held {
    /// The bounds of an output for the call.
    pub(super) fn new(bounds: &Bounds, call: &Call) -> Self {
        // What has no value, or none that is a distance, allows nothing.
        let distance = |expression: &Option<Expression>| {
            let value = expression
                .as_ref()?
                .real(&|name| call.values.get(name).copied())
                .ok()?;
            Some(if value.is_finite() {
                value.max(0.0)
            } else {
                0.0
            })
        };
        Self {
            bits: bounds.bits,
            ulp: distance(&bounds.ulp).unwrap_or(0.0),
            abs: distance(&bounds.abs).unwrap_or(0.0),
            rel: distance(&bounds.rel).unwrap_or(0.0),
            nmse: bounds
                .nmse
                .as_ref()
                .map(|_| distance(&bounds.nmse).unwrap_or(0.0)),
        }
    }

    /// The same, so many times as wide: for answers of which each may be off.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            bits: self.bits,
            ulp: self.ulp * factor,
            abs: self.abs * factor,
            rel: self.rel * factor,
            nmse: self.nmse.map(|nmse| nmse * factor * factor),
        }
    }

    /// The distance allowed from a finite value.
    pub(super) fn allowed(&self, dtype: Dtype, want: f64, size: f64) -> f64 {
        if self.bits {
            return 0.0;
        }
        let in_ulp = self.ulp * number::spacing(dtype, number::round(dtype, want));
        let floor = if number::is_float(dtype) {
            HALF_SUBNORMAL
        } else {
            0.0
        };
        in_ulp.max(self.abs + self.rel * size) + floor
    }

    /// Whether `got` holds where `want` is due. Answers the distance in units in the last place.
    pub(super) fn hold(&self, dtype: Dtype, want: f64, size: f64, got: f64) -> Result<f64, f64> {
        let rounded = number::round(dtype, want);
        if want.is_nan() || got.is_nan() || want.is_infinite() {
            let same = want.is_nan() && got.is_nan() || want == got;
            return if same { Ok(0.0) } else { Err(0.0) };
        }
        let allowed = self.allowed(dtype, want, size);
        let ulps = || ((got - rounded) / number::spacing(dtype, rounded)).abs();
        if self.bits {
            let same = rounded == got && rounded.is_sign_negative() == got.is_sign_negative();
            return if same { Ok(0.0) } else { Err(0.0) };
        }
        if got.is_infinite() {
            // Only where a value within the tolerance rounds to it.
            let farthest = number::round(dtype, want + allowed.copysign(want));
            return if farthest == got {
                Ok(0.0)
            } else {
                Err(allowed)
            };
        }
        let expected = if rounded.is_finite() { rounded } else { want };
        if (got - expected).abs() <= allowed || (got - want).abs() <= allowed {
            Ok(ulps())
        } else {
            Err(allowed)
        }
    }
}

/// Layer L4 of an open contract: every truth that was asked holds.
pub(crate) fn judge(call: &Call, output: &[u8]) -> Verdict {
    if call.expected.is_empty() {
        return Verdict::NotApplicable("no truth says what this call answers".to_owned());
    }
    let mut largest: f64 = 0.0;
    let mut silent = None;
    let mut unknown = None;
    for expected in &call.expected {
        let outputs = match &expected.outputs {
            Ok(outputs) => outputs,
            Err(reason) => {
                unknown = Some(format!("{}: {reason}", expected.truth));
                continue;
            }
        };
        match judge_outputs(call, outputs, output, 1.0) {
            Verdict::Pass { max_ulp } => largest = largest.max(max_ulp),
            Verdict::Fail(mismatch) => {
                return Verdict::Fail(Mismatch {
                    detail: format!("{}; truth: {}", mismatch.detail, expected.truth),
                    ..mismatch
                });
            }
            Verdict::NotApplicable(reason) => {
                silent = Some(format!("{}: {reason}", expected.truth));
            }
            Verdict::Unknown(reason) => unknown = Some(reason),
        }
    }
    // Many a truth has no word for a sum, or a largest element, of nothing: such a call must be taken, whatever it answers.
    let of_nothing = call.inputs.iter().any(|input| input.elements() == 0);
    match (unknown, silent) {
        (Some(reason), _) if of_nothing => Verdict::NotApplicable(reason),
        (Some(reason), _) => Verdict::Unknown(reason),
        (None, Some(reason)) => Verdict::NotApplicable(reason),
        (None, None) => Verdict::Pass { max_ulp: largest },
    }
}

/// Outputs against the numbers that are due, within so many times the tolerance.
pub(crate) fn judge_outputs(call: &Call, due: &[Values], output: &[u8], times: f64) -> Verdict {
    let length: usize = call.outputs.iter().map(|tensor| tensor.bytes).sum();
    if output.len() != length {
        return Verdict::Fail(Mismatch::length(length, output.len()));
    }
    let mut largest: f64 = 0.0;
    let mut first = 0;
    for ((tensor, bounds), due) in call.outputs.iter().zip(&call.contract.tolerance).zip(due) {
        let held = Held::new(bounds, call).times(times);
        match judge_tensor(tensor, &held, due, output, first) {
            Verdict::Pass { max_ulp } => largest = largest.max(max_ulp),
            other => return other,
        }
        first += tensor.elements();
    }
    Verdict::Pass { max_ulp: largest }
}

pub(super) fn judge_tensor(
    tensor: &Tensor,
    held: &Held,
    due: &Values,
    output: &[u8],
    first: usize,
) -> Verdict {
    let got = number::decode(tensor.dtype, tensor.of(output));
    if got.len() != due.values.len() {
        return Verdict::NotApplicable(format!(
            "it has {} values for the {} elements of {}",
            due.values.len(),
            got.len(),
            tensor.name
        ));
    }
    let (mut largest, mut distances, mut squares) = (0.0f64, 0.0, 0.0);
    for (index, (want, got)) in due.values.iter().zip(&got).enumerate() {
        let size = match &due.magnitude {
            // A size that is no number would allow every distance.
            Some(magnitude) if magnitude[index].is_finite() => {
                magnitude[index].abs().max(want.abs())
            }
            _ => want.abs(),
        };
        match held.hold(tensor.dtype, *want, size, *got) {
            Ok(ulps) => largest = largest.max(ulps),
            Err(allowed) => {
                return Verdict::Fail(Mismatch {
                    index: first + index,
                    expected: describe(tensor.dtype, *want),
                    got: describe(tensor.dtype, *got),
                    ulp: (want.is_finite() && got.is_finite())
                        .then(|| ((got - want) / number::spacing(tensor.dtype, *want)).abs()),
                    detail: format!("{allowed:.3e} allowed; element {index} of {}", tensor.name),
                });
            }
        }
        if want.is_finite() && got.is_finite() {
            distances += (got - want) * (got - want);
            squares += want * want;
        }
    }
    if let Some(nmse) = held.nmse
        && distances > nmse * squares
    {
        return Verdict::Fail(Mismatch {
            index: first,
            expected: format!("a normalised mean squared error of at most {nmse:e}"),
            got: format!("{:e}", distances / squares),
            ulp: None,
            detail: format!("all of {}", tensor.name),
        });
    }
    Verdict::Pass { max_ulp: largest }
}

/// A number of the type, with its bits where it is one of the type's.
pub(super) fn describe(dtype: Dtype, value: f64) -> String {
    match number::encode(dtype, value) {
        Some(bytes) if number::is_float(dtype) => {
            let digits: String = bytes
                .iter()
                .rev()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("0x{digits} ({:?})", number::round(dtype, value))
        }
        _ => format!("{value}"),
    }
}

/// Where a vector is not what a truth says, if it is not.
pub fn contradicts(call: &Call, truth: &[Values], vector: &External) -> Option<Mismatch> {
    match judge_outputs(call, truth, &vector.bytes, 1.0) {
        Verdict::Fail(mismatch) => Some(mismatch),
        _ => None,
    }
}
