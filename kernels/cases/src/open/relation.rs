//! Properties of a contract: what an answer says of itself, and answers that follow from others.
//!
//! They need no truth, so they find what a truth does not cover; they are no substitute for one, because a kernel may be consistently wrong.

use super::{Built, Call, Tensor, Value, Values, draw::Random, expected::judge_outputs};
use crate::{
    case::Case,
    number,
    truth::{Mismatch, Verdict},
};
use kernel_pack::contract::{Contract, Property};
use std::sync::Arc;

/// How the answer of a case follows from that of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The property that says so.
    pub property: Property,
    /// The other case.
    pub of: String,
    change: Change,
    rule: Rule,
}

/// What is changed in a call so that its answer follows.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    /// This axis, turned round.
    Turned(String),
    /// Nothing but the last row of this axis is left.
    LastRow(String),
    /// All elements, in the opposite order.
    Backwards,
    /// A tensor, times this; and by what the answer is multiplied then.
    Times(String, f64, f64),
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// For each output, which element of the other's each element is.
    Moved(Vec<Vec<usize>>),
    /// The other's times this.
    Times(f64),
}

/// The cases that follow from a generated one: those of one property, another for each case.
pub(super) fn related(contract: &Arc<Contract>, case: &Case, seed: u64, index: u32) -> Vec<Case> {
    let properties: Vec<&Property> = contract
        .properties
        .iter()
        .filter(|property| follows(property))
        .collect();
    let (false, Some(call)) = (properties.is_empty(), &case.open) else {
        return Vec::new();
    };
    let property = properties[index as usize % properties.len()];
    let mut random = Random::new(&contract.kernel, !seed, index);
    let changes: Vec<Change> = match property {
        Property::RowIndependent => {
            let axis = row_axis(contract).map(str::to_owned);
            let turned = axis.clone().map(Change::Turned);
            let rows = axis.map(Change::LastRow);
            [turned, rows].into_iter().flatten().collect()
        }
        Property::PermutesWith(axis) => vec![Change::Turned(axis.clone())],
        Property::Elementwise => vec![Change::Backwards],
        Property::LinearIn(name) => {
            let factor = random.pick(&[2.0, -1.0, -2.0]);
            vec![Change::Times(name.clone(), factor, factor)]
        }
        Property::ScaleInvariant(name) => {
            let factor = random.pick(&[4.0, 0.25]);
            vec![Change::Times(name.clone(), factor, 1.0)]
        }
        _ => Vec::new(),
    };
    let made = changes
        .into_iter()
        .filter_map(|change| following(case, call, property, change));
    made.enumerate()
        .map(|(number, made)| Case {
            name: format!("{}/{}-{number}", case.name, name_of(property)),
            ..made
        })
        .collect()
}

/// The call that follows from another one as this case follows from its own; `None` if it follows from none, or if the other one cannot be changed so.
pub fn following_as(case: &Case, other: &Case) -> Option<Case> {
    let relation = case.open.as_ref()?.relation.as_ref()?;
    let (property, change) = (&relation.property, relation.change.clone());
    let made = following(other, other.open.as_ref()?, property, change)?;
    Some(Case {
        name: case.name.clone(),
        ..made
    })
}

/// A call with a change, related to what it was before.
fn following(case: &Case, call: &Call, property: &Property, change: Change) -> Option<Case> {
    let (made, rule) = match &change {
        Change::Turned(axis) => turned(case, call, axis),
        Change::LastRow(axis) => last_row(case, call, axis),
        Change::Backwards => backwards(case, call),
        Change::Times(name, factor, answer) => scaled(case, call, name, *factor, *answer),
    }?;
    let relation = Relation {
        property: property.clone(),
        of: case.name.clone(),
        change,
        rule,
    };
    let open = made.open.as_deref().cloned().map(|call| {
        Arc::new(Call {
            relation: Some(relation),
            ..call
        })
    });
    Some(Case { open, ..made })
}

/// Whether a property is about the answers of two calls.
fn follows(property: &Property) -> bool {
    matches!(
        property,
        Property::RowIndependent
            | Property::PermutesWith(_)
            | Property::Elementwise
            | Property::LinearIn(_)
            | Property::ScaleInvariant(_)
    )
}

/// The property in a word that a case's name can have.
fn name_of(property: &Property) -> &'static str {
    match property {
        Property::RowIndependent => "rows",
        Property::PermutesWith(_) => "order",
        Property::Elementwise => "elements",
        Property::LinearIn(_) => "linear",
        _ => "scale",
    }
}

/// The first axis of the first output.
fn row_axis(contract: &Contract) -> Option<&str> {
    contract.outputs.first()?.shape.first()?.as_name()
}

/// Where a tensor's elements come from when an axis is turned round. `None` if it is made of blocks.
fn reversal(tensor: &Tensor, is_turned: &[bool]) -> Option<Vec<usize>> {
    let (1, _) = tensor.dtype.unit() else {
        return None;
    };
    let mut map = Vec::with_capacity(tensor.elements());
    for element in 0..tensor.elements() {
        let (mut rest, mut from, mut stride) = (element, 0, 1);
        for (length, turned) in tensor.shape.iter().zip(is_turned).rev() {
            let length = *length as usize;
            let at = rest % length;
            rest /= length;
            from += stride * if *turned { length - 1 - at } else { at };
            stride *= length;
        }
        map.push(from);
    }
    Some(map)
}

fn moved(tensor: &Tensor, bytes: &[u8], map: &[usize]) -> Vec<u8> {
    let (_, unit) = tensor.dtype.unit();
    let unit = unit as usize;
    map.iter()
        .flat_map(|from| bytes[from * unit..(from + 1) * unit].iter().copied())
        .collect()
}

/// Which dimensions of a contract's arrays are an axis.
fn positions(shape: &[kernel_pack::contract::Expression], axis: &str) -> Vec<bool> {
    shape
        .iter()
        .map(|length| length.as_name() == Some(axis))
        .collect()
}

/// The case with the inputs' bytes in the order of the contract.
fn rebuilt(
    case: &Case,
    call: &Call,
    values: Option<(&str, i64)>,
    data: &[Vec<u8>],
) -> Option<Case> {
    let contract = &call.contract;
    let mut all = call.own_values();
    if let Some((name, value)) = values {
        all.insert(name.to_owned(), Value::Integer(value));
    }
    let built = Built::new(contract, all).ok()?;
    Some(built.case(contract, case.source, case.name.clone(), data))
}

/// One axis turned round in all tensors that have it.
fn turned(case: &Case, call: &Call, axis: &str) -> Option<(Case, Rule)> {
    let contract = &call.contract;
    let data = contract
        .inputs
        .iter()
        .zip(&call.inputs)
        .map(|(array, tensor)| {
            let map = reversal(tensor, &positions(&array.shape, axis))?;
            Some(moved(tensor, call.input(case, tensor), &map))
        });
    let data: Option<Vec<_>> = data.collect();
    let outputs = contract.outputs.iter().zip(&call.outputs);
    let maps: Option<Vec<_>> = outputs
        .map(|(array, tensor)| reversal(tensor, &positions(&array.shape, axis)))
        .collect();
    Some((rebuilt(case, call, None, &data?)?, Rule::Moved(maps?)))
}

/// The last row alone.
fn last_row(case: &Case, call: &Call, axis: &str) -> Option<(Case, Rule)> {
    let contract = &call.contract;
    let rows = *call.outputs.first()?.shape.first()? as usize;
    if rows < 2 {
        return None;
    }
    let is_row = |shape: &[kernel_pack::contract::Expression]| -> Option<bool> {
        match positions(shape, axis).iter().position(|is| *is) {
            None => Some(false),
            Some(0) => Some(true),
            Some(_) => None,
        }
    };
    let last = |tensor: &Tensor| {
        let length = tensor.elements() / rows;
        (0..length)
            .map(|at| (rows - 1) * length + at)
            .collect::<Vec<_>>()
    };
    let mut data = Vec::new();
    for (array, tensor) in contract.inputs.iter().zip(&call.inputs) {
        let bytes = call.input(case, tensor);
        let (1, _) = tensor.dtype.unit() else {
            return None;
        };
        data.push(match is_row(&array.shape)? {
            true => moved(tensor, bytes, &last(tensor)),
            false => bytes.to_vec(),
        });
    }
    let mut maps = Vec::new();
    for (array, tensor) in contract.outputs.iter().zip(&call.outputs) {
        if !is_row(&array.shape)? {
            return None;
        }
        maps.push(last(tensor));
    }
    Some((
        rebuilt(case, call, Some((axis, 1)), &data)?,
        Rule::Moved(maps),
    ))
}

/// All elements in the opposite order, in each tensor that has the shape of the output.
fn backwards(case: &Case, call: &Call) -> Option<(Case, Rule)> {
    let shape = &call.outputs.first()?.shape;
    let all = |tensor: &Tensor| {
        let turn = tensor.shape == *shape;
        reversal(tensor, &vec![turn; tensor.shape.len()])
    };
    let data: Option<Vec<_>> = call
        .inputs
        .iter()
        .map(|tensor| Some(moved(tensor, call.input(case, tensor), &all(tensor)?)))
        .collect();
    let maps: Option<Vec<_>> = call.outputs.iter().map(all).collect();
    Some((rebuilt(case, call, None, &data?)?, Rule::Moved(maps?)))
}

/// One tensor times a power of two, where its type holds that exactly.
fn scaled(case: &Case, call: &Call, name: &str, factor: f64, answer: f64) -> Option<(Case, Rule)> {
    let mut data = Vec::new();
    for tensor in &call.inputs {
        let bytes = call.input(case, tensor);
        if tensor.name != name {
            data.push(bytes.to_vec());
            continue;
        }
        let mut scaled = Vec::with_capacity(bytes.len());
        for value in number::decode(tensor.dtype, bytes) {
            let due = value * factor;
            if !due.is_nan() && number::round(tensor.dtype, due) != due {
                return None;
            }
            scaled.extend(number::encode(tensor.dtype, due)?);
        }
        data.push(scaled);
    }
    Some((rebuilt(case, call, None, &data)?, Rule::Times(answer)))
}

impl Relation {
    /// Holds the answer of the case against that of the other one.
    pub(super) fn judge(
        &self,
        call: &Call,
        output: &[u8],
        other: &Call,
        other_output: &[u8],
    ) -> Verdict {
        let mut due = Vec::new();
        for (index, tensor) in other.outputs.iter().enumerate() {
            let values = number::decode(tensor.dtype, tensor.of(other_output));
            let magnitudes = sizes(other, index, &values, self.by_element());
            let (values, magnitude) = match &self.rule {
                Rule::Moved(maps) => {
                    let take = |of: &[f64]| -> Option<Vec<f64>> {
                        maps.get(index)?
                            .iter()
                            .map(|from| of.get(*from).copied())
                            .collect()
                    };
                    (take(&values), take(&magnitudes))
                }
                Rule::Times(factor) => {
                    let times =
                        |of: &[f64], by: f64| Some(of.iter().map(|value| value * by).collect());
                    (times(&values, *factor), times(&magnitudes, factor.abs()))
                }
            };
            let (Some(values), Some(magnitude)) = (values, magnitude) else {
                return Verdict::Fail(Mismatch::length(
                    other.outputs.iter().map(|tensor| tensor.bytes).sum(),
                    other_output.len(),
                ));
            };
            due.push(Values {
                values,
                magnitude: Some(magnitude),
            });
        }
        // Each of the two may be off by the tolerance.
        match judge_outputs(call, &due, output, 2.0) {
            Verdict::Fail(mismatch) => Verdict::Fail(Mismatch {
                detail: format!(
                    "{}; `{}` does not hold between this call and {}",
                    mismatch.detail, self.property, self.of
                ),
                ..mismatch
            }),
            other => other,
        }
    }

    /// Whether nothing is summed in another order.
    fn by_element(&self) -> bool {
        matches!(
            self.property,
            Property::RowIndependent | Property::Elementwise
        )
    }
}

/// What distances are measured against: what a truth says, else the largest of the tensor where sums may cancel.
fn sizes(call: &Call, index: usize, values: &[f64], by_element: bool) -> Vec<f64> {
    let of_truth = call.expected.iter().find_map(|expected| {
        let outputs = expected.outputs.as_ref().ok()?;
        outputs.get(index)?.magnitude.clone()
    });
    if let Some(magnitude) = of_truth {
        return magnitude;
    }
    let sizes: Vec<f64> = values
        .iter()
        .map(|value| if value.is_finite() { value.abs() } else { 0.0 })
        .collect();
    if by_element {
        return sizes;
    }
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    vec![largest; sizes.len()]
}
