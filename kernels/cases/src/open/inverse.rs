//! `inverse_of`: the answer of another kernel, given to this one, is that one's input again.

use super::{Built, Call, Tensor, Value, Values, draw};
use crate::{
    case::{Case, Source},
    number,
};
use kernel_pack::{Param, contract::Contract};
use std::{collections::BTreeMap, sync::Arc};

/// Elements that all tensors of a call to be undone may have together.
const MOST_ELEMENTS: u64 = 1 << 13;

/// Call number `index` of the kernel whose answer another one undoes: ordinary values, because nobody gets a NaN's bits back.
pub fn to_undo(contract: &Arc<Contract>, seed: u64, index: u32) -> Option<Case> {
    let mut random = draw::Random::new(&contract.kernel, seed, index);
    let built = draw::built(contract, &mut random, MOST_ELEMENTS)?;
    let data = draw::plain(contract, &built, &mut random);
    Some(built.case(
        contract,
        Source::Generated,
        format!("inverse:{index}"),
        &data,
    ))
}

/// The call that undoes another kernel's, whose output region held `answer`. An input takes the other kernel's output of its name, else its
/// input of that name; but where no name is that of an output, the first input takes the first output. The outputs take inputs alike.
///
/// # Errors
/// What this kernel takes that the other one does not give, or gives back otherwise.
pub fn undoing(contract: &Arc<Contract>, done: &Case, answer: &[u8]) -> Result<Case, String> {
    let of = done
        .open
        .as_deref()
        .ok_or("it has no contract of its own")?;
    let values = contract
        .axes
        .keys()
        .chain(contract.params.iter().map(|(name, _)| name));
    let values: BTreeMap<String, Value> = values
        .filter_map(|name| Some((name.clone(), value(contract, name, *of.values.get(name)?))))
        .collect();
    let built = Built::new(contract, values).map_err(|reason| {
        format!(
            "no call of it has the parameters of one of {}: {reason}",
            done.kernel
        )
    })?;
    let (inputs, outputs) = built.tensors(contract);
    let is_output = |input: &Tensor| of.outputs.iter().any(|output| output.name == input.name);
    let by_name = inputs.iter().any(is_output);
    let mut data = Vec::new();
    for (index, tensor) in inputs.iter().enumerate() {
        let first = of.outputs.first().filter(|_| index == 0);
        let named = |all: &[Tensor]| all.iter().find(|other| other.name == tensor.name).cloned();
        let output = named(&of.outputs).or_else(|| first.filter(|_| !by_name).cloned());
        let (bytes, from) = match (output, named(&of.inputs), first) {
            (Some(output), _, _) => (output.of(answer), output),
            (None, Some(input), _) => (of.input(done, &input), input),
            (None, None, Some(output)) => (output.of(answer), output.clone()),
            (None, None, None) => {
                return Err(format!(
                    "{} has nothing called {}",
                    done.kernel, tensor.name
                ));
            }
        };
        if (from.dtype, &from.shape) != (tensor.dtype, &tensor.shape) {
            return Err(differs(tensor, &from, &done.kernel));
        }
        data.push(bytes.to_vec());
    }
    let mut due = Vec::new();
    for (index, tensor) in outputs.iter().enumerate() {
        let named = of.inputs.iter().find(|input| input.name == tensor.name);
        let from = named.or_else(|| of.inputs.first().filter(|_| index == 0));
        let from = from.ok_or_else(|| format!("{} takes no {}", done.kernel, tensor.name))?;
        if from.shape != tensor.shape {
            return Err(differs(tensor, from, &done.kernel));
        }
        due.push(Values {
            values: number::decode(from.dtype, of.input(done, from)),
            magnitude: None,
        });
    }
    let case = built.case(contract, Source::Generated, done.name.clone(), &data);
    let open = case.open.as_deref().cloned();
    let open = open.map(|call| {
        Arc::new(Call {
            undone: Some((done.kernel.clone(), due)),
            ..call
        })
    });
    Ok(Case { open, ..case })
}

fn value(contract: &Contract, name: &str, value: f64) -> Value {
    let param = contract.params.iter().find(|(param, _)| param == name);
    match param {
        Some((_, Param::F32 { .. })) => Value::Float(value as f32),
        _ => Value::Integer(value as i64),
    }
}

fn differs(own: &Tensor, other: &Tensor, of: &str) -> String {
    let shape = |tensor: &Tensor| format!("{} {:?}", tensor.dtype.name(), tensor.shape);
    format!(
        "its {} is {} where {of} has {} as {}",
        own.name,
        shape(own),
        other.name,
        shape(other)
    )
}
