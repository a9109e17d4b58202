//! Layers L4 and L5: what a kernel's output should be, and whether it is.
//!
//! The truth comes from the f64 oracles of `kernel_reference`, the distance allowed from [`tolerance`](super::tolerance).
//! Where an f32 intermediate of the contract's arithmetic may overflow or lose a subnormal while the oracle, which computes
//! in f64, sees nothing, an element has no truth to be judged by: if all others pass, the case is
//! [`NotApplicable`](Verdict::NotApplicable), never passed.

mod expectation;
mod layout;
mod promised;
mod requantised;

pub use layout::Differences;
pub use promised::breaks_promise;

use self::{
    expectation::{Expectation, decode, expectation},
    layout::{Layout, first_difference},
};
use super::{
    case::{Binding, Case, External},
    open,
    tolerance::{Format, Policy},
};
use kernel_abi::params::Rope;
use kernel_pack::Dtype;
use kernel_reference::{Element, Hazard, Truth, float16};
use std::fmt;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every element holds.
    Pass {
        /// Largest distance from the expectation in units in the last place.
        max_ulp: f64,
    },
    /// The first element that does not hold.
    Fail(Mismatch),
    /// There is nothing to judge by, and why.
    NotApplicable(String),
    /// What should judge did not answer, and why: nobody knows.
    Unknown(String),
}

/// An element that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Element of the output, counted from 0 over all its tensors.
    pub index: usize,
    /// Bits in hexadecimal and value.
    pub expected: String,
    /// Bits in hexadecimal and value.
    pub got: String,
    /// Distance in units in the last place; `None` where one side is NaN or no float.
    pub ulp: Option<f64>,
    /// What else is known: the tolerance that was exceeded, the block.
    pub detail: String,
}

impl Mismatch {
    pub(crate) fn length(expected: usize, got: usize) -> Self {
        Self {
            index: expected.min(got),
            expected: format!("{expected} bytes"),
            got: format!("{got} bytes"),
            ulp: None,
            detail: "lengths differ".to_owned(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "index {}: expected {}, got {}",
            self.index, self.expected, self.got
        )?;
        if let Some(ulp) = self.ulp {
            write!(f, ", {ulp} ulp")?;
        }
        if !self.detail.is_empty() {
            write!(f, "; {}", self.detail)?;
        }
        Ok(())
    }
}

/// Layer L4: `output` of the case against the f64 oracle.
///
/// Total: a case whose sizes do not fit its parameters has no truth, an output of the wrong length fails.
pub fn judge(case: &Case, output: &[u8]) -> Verdict {
    if let Some(call) = &case.open {
        // A definition that is built in says what is right of calls that were made for its properties too.
        let definition = call.contract.builtin().filter(|_| call.expected.is_empty());
        return match definition {
            Some(kernel) => {
                let known = Case {
                    kernel: kernel.to_owned(),
                    open: None,
                    ..case.clone()
                };
                judge(&known, output)
            }
            None => open::judge(call, output),
        };
    }
    let expectation = match expectation(case) {
        Ok(expectation) => expectation,
        Err(reason) => return Verdict::NotApplicable(reason),
    };
    if case.stress {
        return judge_stress(case, expectation, output);
    }
    match expectation {
        Expectation::Exact(expected) => judge_bits(case, &expected, output),
        Expectation::Elements(format, tensors) => judge_elements(format, &tensors, output),
        Expectation::Requantised(policy, elements) => {
            requantised::judge(policy, &elements, None, output)
        }
    }
}

/// `output` of the case against all that is known of it: oracle or truths, and vectors that bind. `None` if nothing is.
pub fn judge_all(case: &Case, output: &[u8]) -> Option<Verdict> {
    let told = case
        .open
        .as_ref()
        .is_none_or(|call| !call.expected.is_empty() || call.contract.builtin().is_some());
    let of_truth = told.then(|| judge(case, output));
    let binding = case.external.iter();
    let binding = binding.filter(|external| external.binding != Binding::Informs);
    let of_vectors = binding.map(|external| judge_external(case, external, output));
    let mut last = None;
    for verdict in of_truth.into_iter().chain(of_vectors) {
        if !matches!(verdict, Verdict::Pass { .. }) {
            return Some(verdict);
        }
        last = Some(verdict);
    }
    last
}

/// Layer L5: `output` of the case against what one outside oracle says.
pub fn judge_external(case: &Case, external: &External, output: &[u8]) -> Verdict {
    match external.binding {
        Binding::Bits => return judge_bits(case, &external.bytes, output),
        Binding::Informs => return inform(case, &external.bytes, output),
        Binding::Tolerance => {}
    }
    if let Some(call) = &case.open {
        return open::judge_outputs(call, &call.values_of(external), output, 1.0);
    }
    // The case's own truth says what the tolerance needs to know: magnitudes, and where f32 and f64 part.
    match expectation(case) {
        Err(reason) => Verdict::NotApplicable(reason),
        Ok(Expectation::Exact(_)) => judge_bits(case, &external.bytes, output),
        Ok(Expectation::Requantised(policy, elements)) => {
            requantised::judge(policy, &elements, Some(&external.bytes), output)
        }
        Ok(Expectation::Elements(format, mut tensors)) => {
            let expected = decode(format, &external.bytes);
            let elements: usize = tensors.iter().map(|(_, elements)| elements.len()).sum();
            let given = external.magnitude.as_ref().map(Vec::len);
            if expected.len() != elements || given.is_some_and(|given| given != elements) {
                return Verdict::NotApplicable(format!(
                    "oracle {} has {} values and {} magnitudes for {elements} elements",
                    external.oracle,
                    expected.len(),
                    given.map_or("no".to_owned(), |given| given.to_string())
                ));
            }
            let all = tensors.iter_mut().flat_map(|(_, elements)| elements);
            for (index, (element, expected)) in all.zip(expected).enumerate() {
                // Where the two agree the unrounded value is kept: it knows how far Inf is.
                if let Truth::Value(value) = element.truth
                    && format.round(value) != expected
                {
                    element.truth = Truth::Value(expected);
                }
                if let Some(magnitude) = &external.magnitude {
                    element.magnitude = magnitude[index];
                }
            }
            judge_elements(format, &tensors, output)
        }
    }
}

/// The first element in which two outputs of the case differ bit for bit, NaN as a class. `a` counts as the expected one.
pub fn bits_differ(case: &Case, a: &[u8], b: &[u8]) -> Option<Mismatch> {
    let mut first = 0;
    for (layout, tensor, (a, b)) in layout::parts(case, a, b) {
        if let Some(mismatch) = first_difference(layout, a, b) {
            return Some(Mismatch {
                index: first + mismatch.index,
                ..mismatch
            });
        }
        first += tensor;
    }
    None
}

/// By how much two outputs of the case differ, NaN as a class. `a` counts as the expected one.
pub fn differences(case: &Case, a: &[u8], b: &[u8]) -> Differences {
    let mut found = Differences::default();
    for (layout, _, (a, b)) in layout::parts(case, a, b) {
        found.add(&layout::differences(layout, a, b));
    }
    found
}

/// The type of the elements of a case's output, of the first one where there are several. `None` where bytes are all that is known.
pub fn output_dtype(case: &Case) -> Option<Dtype> {
    match Layout::of_output(case) {
        Layout::F32 => Some(Dtype::F32),
        Layout::F16 => Some(Dtype::F16),
        Layout::Bf16 => Some(Dtype::Bf16),
        Layout::Q8 => Some(Dtype::Q8),
        Layout::Q4 => Some(Dtype::Q4),
        Layout::Bytes => None,
    }
}

/// An output of the case with every NaN in one encoding: equal bytes mean outputs that do not differ.
pub fn canonical(case: &Case, output: &[u8]) -> Vec<u8> {
    let parts = layout::parts(case, output, &[]).into_iter();
    let parts = parts.map(|(layout, _, (output, _))| layout::canonical(layout, output));
    parts.collect::<Vec<_>>().concat()
}

/// The case with every NaN of its inputs in another encoding (other sign, other payload, quiet stays quiet); `None` if they
/// hold no NaN. The contract says that no output depends on it.
pub fn flip_nans(case: &Case) -> Option<Case> {
    layout::flip_nans(case)
}

/// What has been seen of the elements so far.
#[derive(Default)]
struct Tally {
    elements: usize,
    max_ulp: f64,
    unknown: usize,
    first_unknown: Option<(usize, Hazard)>,
}

impl Tally {
    fn judged(&mut self, elements: usize, ulps: f64) {
        self.elements += elements;
        self.max_ulp = self.max_ulp.max(ulps);
    }

    fn unknown(&mut self, index: usize, elements: usize, hazard: Hazard) {
        self.elements += elements;
        self.unknown += elements;
        self.first_unknown.get_or_insert((index, hazard));
    }

    fn verdict(self) -> Verdict {
        match self.first_unknown {
            None => Verdict::Pass {
                max_ulp: self.max_ulp,
            },
            Some((index, hazard)) => Verdict::NotApplicable(format!(
                "truth undefined here: {hazard} at index {index} and {} more of {} elements; all others pass",
                self.unknown - 1,
                self.elements
            )),
        }
    }
}

fn judge_bits(case: &Case, expected: &[u8], output: &[u8]) -> Verdict {
    match bits_differ(case, expected, output) {
        None => Verdict::Pass { max_ulp: 0.0 },
        Some(mismatch) => Verdict::Fail(mismatch),
    }
}

fn judge_elements(format: Format, tensors: &[(Policy, Vec<Element>)], output: &[u8]) -> Verdict {
    let elements: usize = tensors.iter().map(|(_, elements)| elements.len()).sum();
    let element_bytes = match format {
        Format::F32 => 4,
        Format::F16 => 2,
    };
    if output.len() != elements * element_bytes {
        return Verdict::Fail(Mismatch::length(elements * element_bytes, output.len()));
    }
    let mut tally = Tally::default();
    let all = tensors
        .iter()
        .flat_map(|(policy, elements)| elements.iter().map(move |element| (policy, element)));
    for (index, ((policy, element), got)) in all.zip(decode(format, output)).enumerate() {
        match judge_element(format, policy, element, got) {
            Ok(Ok(ulps)) => tally.judged(1, ulps),
            Ok(Err(hazard)) => tally.unknown(index, 1, hazard),
            Err((expected, ulp, detail)) => {
                return Verdict::Fail(Mismatch {
                    index,
                    expected,
                    got: describe(format, got),
                    ulp,
                    detail,
                });
            }
        }
    }
    tally.verdict()
}

type Held = Result<f64, Hazard>;

/// Answers the distance or why there is none; fails with the expectation, the distance and the tolerance.
fn judge_element(
    format: Format,
    policy: &Policy,
    element: &Element,
    got: f64,
) -> Result<Held, (String, Option<f64>, String)> {
    let value = match element.truth {
        Truth::Unknown(hazard) => return Ok(Err(hazard)),
        Truth::Bounded => return hold_bound(format, policy, element, got).map(Ok),
        Truth::Value(value) => value,
    };
    let rounded = format.round(value);
    if value.is_finite() && policy.is_drowned(element, value) {
        return Ok(Err(Hazard::Underflow));
    }
    if policy.signs_zeros
        && got == 0.0
        && got.is_sign_negative() != value.is_sign_negative()
        && !value.is_nan()
    {
        let detail = format!("the sign of a product ({}), truth {value:?}", policy.name);
        return Err((describe(format, rounded), format.ulps(rounded, got), detail));
    }
    policy
        .hold(format, element, value, got)
        .map(Ok)
        .map_err(|allowed| {
            (
                describe(format, rounded),
                format.ulps(rounded, got),
                format!("{allowed:.3e} allowed ({}), truth {value:?}", policy.name),
            )
        })
}

/// A rotation by an angle beyond the accurate range stays finite and within the size of its pair; Inf only where that size,
/// rounded, is no finite value of the format.
fn hold_bound(
    format: Format,
    policy: &Policy,
    element: &Element,
    got: f64,
) -> Result<f64, (String, Option<f64>, String)> {
    let most = element.magnitude + policy.allowed(element, element.magnitude) + element.loss;
    let within = if got.is_infinite() {
        format.round(most).is_infinite()
    } else {
        got.abs() <= most
    };
    if within {
        return Ok(0.0);
    }
    Err((
        format!("at most {most:e} in magnitude"),
        None,
        "the angle is beyond 2^17, so only the size of the result is known".to_owned(),
    ))
}

/// Cases that only ask for an end in time and finite results where the contract promises them: rotations of finite pairs.
fn judge_stress(case: &Case, expectation: Expectation, output: &[u8]) -> Verdict {
    let no_truth = "the case asks only for an end in time and, where the contract promises it, a finite result";
    let bounded = |element: Element| match element.truth {
        Truth::Value(value) if value.is_finite() => Element {
            truth: Truth::Bounded,
            ..element
        },
        _ => element,
    };
    // Tables need not be rotations, so they promise no size.
    let by_angles = Rope::from_le_bytes(&case.params).is_some_and(|params| params.table == 0);
    let verdict = match expectation {
        Expectation::Elements(format, tensors) if case.kernel.starts_with("rope_") && by_angles => {
            let tensors: Vec<_> = tensors
                .into_iter()
                .map(|(policy, elements)| (policy, elements.into_iter().map(bounded).collect()))
                .collect();
            judge_elements(format, &tensors, output)
        }
        Expectation::Requantised(policy, elements) if by_angles => {
            let elements: Vec<_> = elements.into_iter().map(bounded).collect();
            requantised::judge(policy, &elements, None, output)
        }
        _ => return Verdict::NotApplicable(no_truth.to_owned()),
    };
    match verdict {
        Verdict::Fail(mismatch) => Verdict::Fail(mismatch),
        Verdict::Pass { .. } => Verdict::NotApplicable(format!("{no_truth}: it is finite")),
        Verdict::NotApplicable(_) => Verdict::NotApplicable(no_truth.to_owned()),
        unknown @ Verdict::Unknown(_) => unknown,
    }
}

/// How far the output is from an oracle that does not bind.
fn inform(case: &Case, expected: &[u8], output: &[u8]) -> Verdict {
    let Some(first) = bits_differ(case, expected, output) else {
        return Verdict::NotApplicable("informs only: equal bit for bit".to_owned());
    };
    let format = match Layout::of_output(case) {
        Layout::F32 => Format::F32,
        Layout::F16 => Format::F16,
        _ => return Verdict::NotApplicable(format!("informs only: {first}")),
    };
    if expected.len() != output.len() {
        return Verdict::NotApplicable(format!("informs only: {first}"));
    }
    let (mut differing, mut largest) = (0_usize, 0.0_f64);
    let (expected, output) = (decode(format, expected), decode(format, output));
    for (expected, got) in expected.iter().zip(&output) {
        let ulps = format.ulps(*expected, *got).unwrap_or(f64::INFINITY);
        if ulps > 0.0 {
            differing += 1;
            largest = largest.max(ulps);
        }
    }
    Verdict::NotApplicable(format!(
        "informs only: {differing} of {} elements differ by up to {largest} ulp; {first}",
        output.len()
    ))
}

fn describe(format: Format, value: f64) -> String {
    match format {
        Format::F32 => describe_f32(value as f32),
        Format::F16 => describe_f16(float16::encode(value)),
    }
}

fn describe_f32(value: f32) -> String {
    format!("{:#010x} ({value:?})", value.to_bits())
}

fn describe_f16(bits: u16) -> String {
    format!("{bits:#06x} ({:?})", float16::decode(bits))
}

#[cfg(test)]
mod tests;
