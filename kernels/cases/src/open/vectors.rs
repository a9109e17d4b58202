//! Vectors of a kernel with an open contract: inputs, parameters and outputs go by the names of the contract.

use super::{Built, Call, Tensor, Value};
use crate::{
    case::{Binding, Case, External, Source},
    number,
    tolerance::check_magnitudes,
    vectors::file::{self, VectorCase},
};
use kernel_pack::{
    Dtype, Param,
    contract::{Bounds, Contract},
};
use std::{collections::BTreeMap, sync::Arc};

/// The call of a vector case.
///
/// # Errors
/// What does not fit the contract.
pub(crate) fn calls(contract: &Arc<Contract>, vector: &VectorCase) -> Result<Case, String> {
    let mut values = parameters(contract, vector)?;
    for (name, axis) in &contract.axes {
        if values.contains_key(name) {
            continue;
        }
        let length = match axis.is_fixed() {
            true => Some(axis.min),
            false => length_of(contract, vector, name),
        };
        let length = length.ok_or_else(|| format!("nothing says what {name} is"))?;
        values.insert(name.clone(), Value::Integer(length.into()));
    }
    let built = Built::new(contract, values)?;
    let (inputs, outputs) = built.tensors(contract);
    let mut data = Vec::new();
    for tensor in &inputs {
        let array = vector
            .inputs
            .get(&tensor.name)
            .ok_or_else(|| format!("inputs.{} is missing", tensor.name))?;
        fits(array, tensor).map_err(|what| format!("inputs.{}: {what}", tensor.name))?;
        data.push(array.bytes.clone());
    }
    let case = built.case(
        contract,
        Source::Vector,
        format!("vector:{}", vector.name),
        &data,
    );
    let external = external(contract, vector, &outputs)?;
    if external.is_empty() {
        return Err("it has no output of any oracle".to_owned());
    }
    Ok(Case {
        external,
        stress: vector.class.only_informs(),
        ..case
    })
}

fn parameters(contract: &Contract, vector: &VectorCase) -> Result<BTreeMap<String, Value>, String> {
    let mut values = BTreeMap::new();
    for (name, param) in &contract.params {
        let value = match (param, vector.params.optional(name)) {
            (_, None) if contract.axes.contains_key(name) => {
                match length_of(contract, vector, name) {
                    Some(length) => Value::Integer(length.into()),
                    None => return Err(format!("params.{name} is missing")),
                }
            }
            (Param::F32 { default, .. }, None) => Value::Float(*default),
            (Param::U32 { default, .. }, None) => Value::Integer((*default).into()),
            (Param::I32 { default, .. }, None) => Value::Integer((*default).into()),
            (Param::F32 { .. }, Some(_)) => Value::Float(vector.params.number(name)?),
            (_, Some(value)) => {
                let whole = value.as_i64().or_else(|| {
                    let float = value.as_f64().filter(|float| float.fract() == 0.0)?;
                    (float.abs() < 9.0e15).then_some(float as i64)
                });
                let whole = whole.ok_or_else(|| format!("params.{name} is no whole number"))?;
                let fits = match param {
                    Param::U32 { .. } => u32::try_from(whole).is_ok(),
                    _ => i32::try_from(whole).is_ok(),
                };
                if !fits {
                    return Err(format!(
                        "params.{name} is {whole}, which does not fit {}",
                        param.kind()
                    ));
                }
                Value::Integer(whole)
            }
        };
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// The length of an axis in the shape of an input.
fn length_of(contract: &Contract, vector: &VectorCase, axis: &str) -> Option<u32> {
    contract.inputs.iter().find_map(|array| {
        let given = vector.inputs.get(&array.name)?;
        let position = array
            .shape
            .iter()
            .position(|length| length.as_name() == Some(axis))?;
        (given.shape.len() == array.shape.len())
            .then(|| given.shape[position])
            .and_then(|length| u32::try_from(length).ok())
    })
}

fn fits(array: &file::Array, tensor: &Tensor) -> Result<(), String> {
    // Blocks are bytes.
    let due = match tensor.dtype {
        Dtype::Q8 | Dtype::Q4 => "u8",
        other => other.name(),
    };
    if array.dtype.name() != due || array.bytes.len() != tensor.bytes {
        return Err(format!(
            "it has {} bytes of {} where {} of {due} are due",
            array.bytes.len(),
            array.dtype.name(),
            tensor.bytes
        ));
    }
    Ok(())
}

/// What is due: by the names of the outputs, or for each oracle an array of the only output, or `ORACLE.OUTPUT` for each.
fn external<'v>(
    contract: &Contract,
    vector: &'v VectorCase,
    outputs: &[Tensor],
) -> Result<Vec<External>, String> {
    let binding = match () {
        () if vector.class.only_informs() => Binding::Informs,
        () if contract.tolerance.iter().all(|bounds: &Bounds| bounds.bits) => Binding::Bits,
        () => Binding::Tolerance,
    };
    let mut oracles: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let gather = |array_of: &dyn Fn(&Tensor) -> Option<&'v file::Array>, what: &str| {
        let mut bytes = Vec::new();
        for tensor in outputs {
            let name = &tensor.name;
            let array =
                array_of(tensor).ok_or_else(|| format!("outputs{what}.{name} is missing"))?;
            fits(array, tensor).map_err(|what| format!("outputs of {name}: {what}"))?;
            bytes.extend_from_slice(&array.bytes);
        }
        Ok::<_, String>(bytes)
    };
    if outputs
        .iter()
        .any(|tensor| vector.outputs.contains_key(&tensor.name))
    {
        // By the names of the outputs: the author's own word.
        let of = |tensor: &Tensor| vector.outputs.get(&tensor.name);
        oracles.insert("author", gather(&of, "")?);
    } else {
        for name in vector.outputs.keys() {
            let oracle = name
                .split_once('.')
                .map_or(name.as_str(), |(oracle, _)| oracle);
            if oracles.contains_key(oracle) {
                continue;
            }
            let of = |tensor: &Tensor| {
                let named = vector.outputs.get(&format!("{oracle}.{}", tensor.name));
                named.or_else(|| vector.outputs.get(oracle).filter(|_| outputs.len() == 1))
            };
            oracles.insert(oracle, gather(&of, &format!(".{oracle}"))?);
        }
    }
    let magnitude = match &vector.magnitude {
        Some(array) => Some(array.floats().ok_or("`mag` has no floats")?),
        None => None,
    };
    let elements: usize = outputs.iter().map(Tensor::elements).sum();
    if magnitude
        .as_ref()
        .is_some_and(|magnitude| magnitude.len() != elements)
    {
        return Err(format!(
            "`mag` has not the {elements} elements of the output"
        ));
    }
    if let (Some(magnitude), true) = (&magnitude, binding != Binding::Informs) {
        for bytes in oracles.values() {
            let decoded = outputs.iter();
            let decoded = decoded.flat_map(|tensor| number::decode(tensor.dtype, tensor.of(bytes)));
            let values: Vec<f64> = decoded.collect();
            check_magnitudes(magnitude, &values)?;
        }
    }
    Ok(oracles
        .into_iter()
        .map(|(oracle, bytes)| External {
            oracle: oracle.to_owned(),
            bytes,
            binding,
            magnitude: magnitude.clone(),
        })
        .collect())
}

impl Call {
    /// What an oracle of a vector says, as numbers.
    pub(crate) fn values_of(&self, external: &External) -> Vec<super::Values> {
        let mut first = 0;
        let values = self.outputs.iter().map(|tensor| {
            let elements = tensor.elements();
            let magnitude = external
                .magnitude
                .as_ref()
                .map(|all| all[first..first + elements].to_vec());
            first += elements;
            super::Values {
                values: number::decode(tensor.dtype, tensor.of(&external.bytes)),
                magnitude,
            }
        });
        values.collect()
    }
}
