//! Calls of kernels whose contract is data: what an author signed, in the place of what this project knows of its 13 kernels by heart.
//!
//! `blunt` says whether right and wrong can be told apart at all, `ignored` whether each input and parameter shows, `shown` makes calls for that, `spread` those with values of every size, `alike` those whose tensors hold what real ones often do, `meet` those in which special values of two inputs do, `corner` those in which rests of two axes do, `together` those in which several things are large at once. `draw` makes shapes and values, `searched` with what a module has in its code, `edge` calls that are refused or at a limit (`sizes`, `limits`, `special`), `vectors` reads an author's, `smaller` makes a failing one smaller, `expected` holds outputs against a truth,
//! `relation` against each other, `inverse` against what another kernel was given.
//! Nothing here knows what a kernel computes: that comes from oracles, reference modules and vectors.

#[cfg(feature = "generate")]
mod alike;
mod blunt;
#[cfg(feature = "generate")]
mod corner;
mod draw;
mod edge;
#[cfg(test)]
mod edge_tests;
mod expected;
mod ignored;
mod inverse;
mod limits;
#[cfg(feature = "generate")]
mod meet;
mod near;
mod params;
mod property;
mod random;
mod relation;
mod searched;
mod shown;
mod sizes;
#[cfg(feature = "generate")]
mod smaller;
#[cfg(test)]
#[cfg(feature = "generate")]
mod smaller_tests;
mod special;
#[cfg(feature = "generate")]
mod spread;
#[cfg(test)]
mod tests;
#[cfg(feature = "generate")]
mod together;
mod vectors;

#[cfg(feature = "generate")]
pub use alike::alike;
pub use blunt::blunt;
#[cfg(feature = "generate")]
pub use corner::corner;
pub use expected::{Expected, Strength, Values, contradicts};
pub(crate) use expected::{judge, judge_outputs};
pub use inverse::{to_undo, undoing};
#[cfg(feature = "generate")]
pub use meet::meet;
pub use near::near;
pub use relation::{Relation, following_as};
pub use searched::{searched, with_axes};
#[cfg(feature = "generate")]
pub use smaller::{Fails, Smaller};
pub use special::special;
#[cfg(feature = "generate")]
pub use spread::spread;
#[cfg(feature = "generate")]
pub use together::together;
pub(crate) use vectors::calls as vector_calls;

use crate::{
    case::{Case, Entry, Source},
    number,
    truth::Verdict,
};
use kernel_pack::{
    Dtype, Param,
    contract::{Array, Class, Contract, Shape},
};
use std::{collections::BTreeMap, sync::Arc};

/// The smallest and the largest of the whole numbers that an input may hold; `None` for one that holds others, or one alone.
pub(crate) fn whole_numbers(contract: &Contract, array: &Array) -> Option<(f64, f64)> {
    let class = contract.domain_of_input(array).class;
    match draw::whole(class, array.dtype) {
        Class::Integers {
            min: Some(min),
            max: Some(max),
        } if min < max && array.dtype.unit().0 == 1 => Some((min as f64, max as f64)),
        _ => None,
    }
}

/// A call of a kernel with an open contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The contract.
    pub contract: Arc<Contract>,
    /// The inputs in the order of the contract.
    pub inputs: Vec<Tensor>,
    /// The outputs in the order of their region.
    pub outputs: Vec<Tensor>,
    /// Values of axes and parameters.
    pub values: BTreeMap<String, f64>,
    /// What the truths say, as far as they were asked.
    pub expected: Vec<Expected>,
    /// How the answer follows from those of other cases.
    pub relation: Option<Relation>,
    /// Another kernel, and what it was given, where this one undoes its answer.
    pub undone: Option<(String, Vec<Values>)>,
}

/// A tensor of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Outermost first.
    pub shape: Vec<u32>,
    /// Where it lies.
    pub region: Region,
    /// Bytes of its region before it.
    pub offset: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// A region that tensors lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Input a.
    A,
    /// Input b.
    B,
    /// The output, on entry or after the call.
    Output,
}

impl Tensor {
    /// Its elements, as the shape counts them.
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|length| *length as usize).product()
    }

    /// Its bytes in its region's.
    pub fn of<'a>(&self, region: &'a [u8]) -> &'a [u8] {
        region
            .get(self.offset..self.offset + self.bytes)
            .unwrap_or_default()
    }

    /// The bytes of an input in a case.
    fn in_case<'a>(&self, case: &'a Case) -> &'a [u8] {
        self.of(match self.region {
            Region::A => &case.a,
            Region::B => &case.b,
            Region::Output => case.base.as_deref().unwrap_or_default(),
        })
    }
}

impl Call {
    /// An answer, as numbers.
    pub fn decoded(&self, output: &[u8]) -> Vec<Values> {
        let outputs = self.outputs.iter().map(|tensor| Values {
            values: number::decode(tensor.dtype, tensor.of(output)),
            magnitude: None,
        });
        outputs.collect()
    }

    /// Values of axes and parameters, each as its type has it.
    fn own_values(&self) -> BTreeMap<String, Value> {
        let params = &self.contract.params;
        let is_float = |name: &str| {
            params
                .iter()
                .any(|(param, kind)| param == name && kind.kind() == "f32")
        };
        let values = self.values.iter().map(|(name, value)| {
            let value = match is_float(name) {
                true => Value::Float(*value as f32),
                false => Value::Integer(*value as i64),
            };
            (name.clone(), value)
        });
        values.collect()
    }

    /// The bytes of an input in a case.
    pub fn input<'a>(&self, case: &'a Case, tensor: &Tensor) -> &'a [u8] {
        tensor.in_case(case)
    }
}

/// Edge cases of an open contract: what the host did wrong, parameters that are refused, shapes and values at a limit.
pub fn edge_cases(contract: &Arc<Contract>) -> Vec<Case> {
    edge::cases(contract)
}

/// Generated case number `index`, named `generated:` and the index, and behind it those that are related to it.
pub fn generated(contract: &Arc<Contract>, seed: u64, index: u32) -> Vec<Case> {
    let Some(call) = draw::case(contract, seed, index) else {
        return Vec::new();
    };
    let related = relation::related(contract, &call, seed, index);
    std::iter::once(call).chain(related).collect()
}

/// A forward call with the largest typical shape of about so many elements, for measuring, named `sized:` and its axes.
pub fn sized(contract: &Arc<Contract>, elements: u64, seed: u64) -> Option<Case> {
    draw::sized(contract, elements, seed)
}

/// A forward call of small axes but one of those in the order of names, which has the nearest length that it may, counted in what it is a multiple
/// of; `None` where there is none, tensors would be too large, or no other axes fit it.
pub fn with_axis(contract: &Arc<Contract>, axis: usize, length: u32, seed: u64) -> Option<Case> {
    draw::with_axis(contract, axis, length, seed)
}

/// Whether a call with these parameters is refused whatever its tensors are.
pub fn refuses(contract: &Contract, params: &[u8]) -> bool {
    params::refused(contract, params)
}

/// Whether two answers to a call can both be right: each is off by no more than the contract allows.
pub fn agree(call: &Call, one: &[u8], other: &[u8]) -> bool {
    let judged = judge_outputs(call, &call.decoded(one), other, 2.0);
    matches!(judged, Verdict::Pass { .. })
}

/// What the answer of a case says of itself by the properties of its contract; `None` if they say nothing of one call.
pub fn judge_properties(case: &Case, output: &[u8]) -> Option<Verdict> {
    // A domain may end before what a stress case has.
    if case.stress {
        return None;
    }
    property::judge_alone(case, case.open.as_ref()?, output)
}

/// Whether the answer of a case follows from that of the other one as its relation says; `None` if it is related to none.
pub fn judge_relation(case: &Case, output: &[u8], other: (&Case, &[u8])) -> Option<Verdict> {
    let call = case.open.as_ref()?;
    let relation = call.relation.as_ref()?;
    Some(relation.judge(call, output, other.0.open.as_ref()?, other.1))
}

/// Whether these bits are a value of a parameter that a contract allows and that people pass.
pub(crate) fn means(contract: &Contract, name: &str, param: &Param, bits: u32) -> bool {
    params::meant(contract, name, param, bits).is_some()
}

/// Why cases of a contract cannot be made, if they cannot.
///
/// # Errors
/// The reason.
pub fn check(contract: &Arc<Contract>) -> Result<(), String> {
    match edge::good(contract) {
        Some(_) => Ok(()),
        None => {
            Err("no shape was found that its axes, constraints and 2^20 elements allow".to_owned())
        }
    }
}

/// A call in the making: values of axes and parameters, and the tensors' bytes.
struct Built {
    values: BTreeMap<String, Value>,
    shape: Shape,
    params: Vec<u8>,
}

/// A value of a parameter or an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Integer(i64),
    Float(f32),
}

impl Value {
    fn integer(self) -> Option<i64> {
        match self {
            Value::Integer(value) => Some(value),
            Value::Float(_) => None,
        }
    }

    fn real(self) -> f64 {
        match self {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value.into(),
        }
    }
}

impl Built {
    /// Shapes and the parameter struct for certain values.
    fn new(contract: &Contract, values: BTreeMap<String, Value>) -> Result<Self, String> {
        let shape = contract.shape(&|name| values.get(name)?.integer())?;
        let params = params(contract, &values);
        Ok(Self {
            values,
            shape,
            params,
        })
    }

    /// Where the tensors lie.
    fn tensors(&self, contract: &Contract) -> (Vec<Tensor>, Vec<Tensor>) {
        let mut inputs: Vec<Tensor> = contract
            .inputs
            .iter()
            .zip(&self.shape.inputs)
            .map(|(array, shape)| tensor(&array.name, array.dtype, shape, Region::Output))
            .collect();
        for (region, indices) in [(Region::A, &contract.a), (Region::B, &contract.b)] {
            let mut offset = 0;
            for index in indices {
                inputs[*index].region = region;
                inputs[*index].offset = offset;
                offset += inputs[*index].bytes;
            }
        }
        let mut offset = 0;
        let mut outputs = Vec::new();
        for (array, shape) in contract.outputs.iter().zip(&self.shape.outputs) {
            let mut tensor = tensor(&array.name, array.dtype, shape, Region::Output);
            tensor.offset = offset;
            offset += tensor.bytes;
            outputs.push(tensor);
        }
        (inputs, outputs)
    }

    /// The case, with the inputs' bytes in the order of the contract.
    fn case(
        self,
        contract: &Arc<Contract>,
        source: Source,
        name: String,
        data: &[Vec<u8>],
    ) -> Case {
        let (inputs, outputs) = self.tensors(contract);
        let gather = |indices: &[usize]| -> Vec<u8> {
            let parts: Vec<&[u8]> = indices.iter().map(|index| &data[*index][..]).collect();
            parts.concat()
        };
        Case {
            kernel: contract.kernel.clone(),
            entry: Entry::Forward,
            source,
            name,
            params: self.params,
            a: gather(&contract.a),
            b: gather(&contract.b),
            output_size: outputs.iter().map(|tensor| tensor.bytes).sum::<usize>() as u32,
            base: contract.initial.map(|index| data[index].clone()),
            scratch_size: self.shape.scratch,
            tweaks: Vec::new(),
            expect: 0,
            external: Vec::new(),
            stress: false,
            open: Some(Arc::new(Call {
                contract: contract.clone(),
                inputs,
                outputs,
                values: self
                    .values
                    .iter()
                    .map(|(name, value)| (name.clone(), value.real()))
                    .collect(),
                expected: Vec::new(),
                relation: None,
                undone: None,
            })),
        }
    }
}

fn tensor(name: &str, dtype: Dtype, shape: &[u32], region: Region) -> Tensor {
    let elements: usize = shape.iter().map(|length| *length as usize).product();
    Tensor {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        region,
        offset: 0,
        bytes: number::bytes_of(dtype, elements),
    }
}

/// The parameter struct; a parameter without a value has its default.
fn params(contract: &Contract, values: &BTreeMap<String, Value>) -> Vec<u8> {
    let bytes = contract
        .params
        .iter()
        .flat_map(|(name, param)| match (param, values.get(name)) {
            (Param::F32 { .. }, Some(Value::Float(value))) => value.to_le_bytes(),
            (Param::F32 { default, .. }, _) => default.to_le_bytes(),
            (Param::U32 { .. }, Some(Value::Integer(value))) => (*value as u32).to_le_bytes(),
            (Param::U32 { default, .. }, _) => default.to_le_bytes(),
            (Param::I32 { .. }, Some(Value::Integer(value))) => (*value as i32).to_le_bytes(),
            (Param::I32 { default, .. }, _) => default.to_le_bytes(),
        });
    bytes.collect()
}
