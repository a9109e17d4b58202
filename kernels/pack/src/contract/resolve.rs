//! Completes a contract from the manifest, and finds what contradicts.

mod check;
mod claims;

use std::collections::{BTreeMap, BTreeSet};

use super::read::{ContractEntry, Regions, Tolerances, Written};
use super::{Array, Axis, Bounds, Contract, Definition, Expression, TruthSource, Use};
use crate::error::{Code, Rejection, quoted};
use crate::schema::{Dimension, Dtype, KernelEntry, Param, Tensor, Tolerance};
use claims::{check_claim, contradiction, definition};

/// What a manifest says of a kernel besides its contract.
struct Interface<'a> {
    id: &'a str,
    inputs: &'a [Tensor],
    outputs: &'a [Tensor],
    params: &'a [(String, Param)],
    tolerance: Option<&'a Tolerance>,
}

/// The contract of a kernel of a manifest; the reason if nothing was promised that it could be judged by.
///
/// # Errors
/// `manifest-invalid` if what the author wrote contradicts itself, the manifest, or the definition that it names.
pub(crate) fn resolve(
    entry: &KernelEntry,
    written: Option<&Written>,
    file: &str,
) -> Result<Result<Contract, String>, Rejection> {
    let interface = Interface {
        id: &entry.id,
        inputs: &entry.inputs,
        outputs: &entry.outputs,
        params: &entry.params,
        tolerance: entry.tolerance.as_ref(),
    };
    let implied = Written::default();
    let resolved = complete(&interface, written.unwrap_or(&implied));
    match (resolved, written) {
        (Err(reason), Some(_)) => Err(invalid(&entry.id, file, &reason)),
        // Without a word of the author's there is nothing to contradict: the kernel is accepted, and nobody can judge it.
        (Err(Flaw::Contract(reason)), None) => Ok(Err(reason)),
        (Err(reason @ Flaw::Claim(_)), None) => Err(invalid(&entry.id, file, &reason)),
        (Ok(contract), _) => Ok(Ok(contract)),
    }
}

/// A contract that stands alone.
pub(super) fn alone(written: &Written, file: &str) -> Result<Contract, Rejection> {
    let id = written.id.as_deref().unwrap_or("kernel");
    let missing = |what: &str| {
        let flaw = Flaw::Contract(format!("lacks {what}, which no manifest states"));
        invalid(id, file, &flaw)
    };
    let interface = Interface {
        id,
        inputs: written.inputs.as_deref().ok_or_else(|| missing("inputs"))?,
        outputs: written
            .outputs
            .as_deref()
            .ok_or_else(|| missing("outputs"))?,
        params: written.params.as_deref().unwrap_or_default(),
        tolerance: None,
    };
    complete(&interface, written).map_err(|flaw| invalid(id, file, &flaw))
}

/// What is wrong with a contract.
enum Flaw {
    /// The contract itself.
    Contract(String),
    /// A claim of the manifest that nobody can hold.
    Claim(String),
}

impl From<String> for Flaw {
    fn from(reason: String) -> Self {
        Flaw::Contract(reason)
    }
}

fn invalid(kernel: &str, file: &str, flaw: &Flaw) -> Rejection {
    let (Flaw::Contract(reason) | Flaw::Claim(reason)) = flaw;
    Rejection::new(
        Code::ManifestInvalid,
        format!("{file}: the contract of {kernel} {reason}"),
    )
    .kernel(kernel)
    .file(file)
}

fn complete(interface: &Interface<'_>, written: &Written) -> Result<Contract, Flaw> {
    agree(interface, written)?;
    let definition = definition(interface, written)?;
    check_claim(interface, written, definition)?;
    // A kernel whose id implies that it is one of the 13 is called as that one, also where its manifest says otherwise.
    let implied = definition.filter(|definition| {
        written.definition.is_none() && contradiction(interface, definition).is_some()
    });
    let (inputs, outputs, params) = match implied {
        Some(definition) => (
            definition.inputs(),
            definition.outputs(),
            definition.params(),
        ),
        None => (interface.inputs, interface.outputs, interface.params),
    };
    let of_definition = definition.map(|definition| &definition.written);
    let regions = written
        .regions
        .as_ref()
        .or_else(|| of_definition.and_then(|written| written.regions.as_ref()));
    let inputs = arrays(inputs)?;
    let outputs = arrays(outputs)?;
    let placed = place(&inputs, &outputs, regions)?;
    let outputs: Vec<Array> = placed
        .output
        .iter()
        .map(|index| outputs[*index].clone())
        .collect();
    let axes = axes(&inputs, &outputs, params, written)?;
    let mut constraints = written.constraints.clone();
    for constraint in of_definition
        .iter()
        .flat_map(|written| &written.constraints)
    {
        if !constraints.contains(constraint) {
            constraints.push(constraint.clone());
        }
    }
    let contract = Contract {
        kernel: interface.id.to_owned(),
        definition,
        params: params.to_vec(),
        axes,
        constraints,
        a: placed.a,
        b: placed.b,
        initial: placed.initial,
        scratch: regions.and_then(|regions| regions.scratch.clone()),
        domain: written.domain.clone(),
        truth: truth(written, definition),
        tolerance: bounds(interface, &outputs, written, definition)?,
        properties: written.properties.clone(),
        source: written.source.clone(),
        inputs,
        outputs,
    };
    contract.check()?;
    Ok(contract)
}

/// Where the truth comes from. A kernel that is called as one of a definition is judged by it, whatever else is named.
fn truth(written: &Written, definition: Option<&Definition>) -> Vec<TruthSource> {
    let mut truth = written.truth.clone();
    if truth.is_empty() {
        truth.push(TruthSource::Vectors);
    }
    if definition.is_some() && !truth.contains(&TruthSource::Builtin) {
        truth.insert(0, TruthSource::Builtin);
    }
    truth
}

/// What the contract repeats of the manifest must be the same.
fn agree(interface: &Interface<'_>, written: &Written) -> Result<(), String> {
    let differs = |what: &str| Err(format!("has other {what} than the manifest"));
    if written.id.as_ref().is_some_and(|id| id != interface.id) {
        return Err(format!(
            "is one of {}, as its id says",
            quoted(written.id.as_deref().unwrap_or_default())
        ));
    }
    if written
        .inputs
        .as_ref()
        .is_some_and(|inputs| inputs != interface.inputs)
    {
        return differs("inputs");
    }
    if written
        .outputs
        .as_ref()
        .is_some_and(|outputs| outputs != interface.outputs)
    {
        return differs("outputs");
    }
    if written
        .params
        .as_ref()
        .is_some_and(|params| params != interface.params)
    {
        return differs("params");
    }
    Ok(())
}

fn arrays(tensors: &[Tensor]) -> Result<Vec<Array>, String> {
    let array = |tensor: &Tensor| {
        let shape = tensor.shape.iter().map(|dimension| {
            let text = dimension.to_string();
            Expression::parse(&text, Use::Size).map_err(|reason| {
                format!(
                    "has the dimension {} of {}, which {reason}",
                    quoted(&text),
                    tensor.name
                )
            })
        });
        Ok(Array {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: shape.collect::<Result<_, String>>()?,
        })
    };
    tensors.iter().map(array).collect()
}

struct Placement {
    a: Vec<usize>,
    b: Vec<usize>,
    output: Vec<usize>,
    initial: Option<usize>,
}

/// Which tensors lie in which region: each input in one, each output in the output.
fn place(
    inputs: &[Array],
    outputs: &[Array],
    regions: Option<&Regions>,
) -> Result<Placement, String> {
    let find = |arrays: &[Array], name: &str, what: &str| {
        arrays
            .iter()
            .position(|array| array.name == name)
            .ok_or_else(|| format!("places {}, which is no {what}", quoted(name)))
    };
    let all = |arrays: &[Array], names: &[String], what: &str| -> Result<Vec<usize>, String> {
        names.iter().map(|name| find(arrays, name, what)).collect()
    };
    let initial = regions
        .and_then(|regions| regions.initial.as_deref())
        .map(|name| find(inputs, name, "input"))
        .transpose()?;
    let given = |of: fn(&Regions) -> &Option<Vec<String>>| {
        regions.and_then(|regions| of(regions).as_deref())
    };
    let a = given(|regions| &regions.a)
        .map(|names| all(inputs, names, "input"))
        .transpose()?;
    let b = given(|regions| &regions.b)
        .map(|names| all(inputs, names, "input"))
        .transpose()?;
    let rest = |taken: &[usize]| -> Vec<usize> {
        (0..inputs.len())
            .filter(|index| !taken.contains(index) && Some(*index) != initial)
            .collect()
    };
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(a), None) => {
            let b = rest(&a);
            (a, b)
        }
        (None, Some(b)) => (rest(&b), b),
        (None, None) => {
            let mut free = rest(&[]).into_iter();
            (free.next().into_iter().collect(), free.collect())
        }
    };
    let output = match given(|regions| &regions.output) {
        Some(names) => all(outputs, names, "output")?,
        None => (0..outputs.len()).collect(),
    };
    let placed: Vec<usize> = a.iter().chain(&b).copied().chain(initial).collect();
    let unique: BTreeSet<_> = placed.iter().collect();
    if unique.len() != placed.len() || placed.len() != inputs.len() {
        return Err("does not place each input exactly once in regions".to_owned());
    }
    if output.iter().collect::<BTreeSet<_>>().len() != outputs.len() {
        return Err("does not place each output exactly once in regions".to_owned());
    }
    Ok(Placement {
        a,
        b,
        output,
        initial,
    })
}

/// All names in shapes, with their ranges.
fn axes(
    inputs: &[Array],
    outputs: &[Array],
    params: &[(String, Param)],
    written: &Written,
) -> Result<BTreeMap<String, Axis>, String> {
    let names: BTreeSet<&str> = inputs
        .iter()
        .chain(outputs)
        .flat_map(|array| array.shape.iter().flat_map(Expression::names))
        .collect();
    let of_param = |name: &str| params.iter().find(|(param, _)| param == name);
    if let Some(stray) = written
        .axes
        .keys()
        .find(|name| !names.contains(name.as_str()))
    {
        return Err(format!(
            "has the axis {}, which is in no shape",
            quoted(stray)
        ));
    }
    let mut axes = BTreeMap::new();
    for name in names {
        let own = written.axes.get(name).cloned().unwrap_or_default();
        let (least, most) = match of_param(name) {
            Some((_, Param::U32 { min, max, .. })) => (*min, *max),
            Some((_, Param::I32 { min, max, .. })) => {
                ((*min).max(0).unsigned_abs(), (*max).max(0).unsigned_abs())
            }
            Some((_, Param::F32 { .. })) => {
                return Err(format!(
                    "has the axis {name}, a parameter that is no integer"
                ));
            }
            None => (1, u32::MAX),
        };
        let axis = match own.value {
            Some(value) => Axis {
                min: value,
                max: value,
                multiple_of: 1,
                typical: Vec::new(),
                is_param: of_param(name).is_some(),
            },
            None => Axis {
                min: own.min.unwrap_or(least),
                max: own.max.unwrap_or(most),
                multiple_of: own.multiple_of.unwrap_or(1),
                typical: own.typical.clone(),
                is_param: of_param(name).is_some(),
            },
        };
        let inside = of_param(name).is_none() || (axis.min >= least && axis.max <= most);
        if !inside || axis.min > axis.max {
            return Err(format!(
                "has the axis {name} from {} to {}, and the parameter from {least} to {most}",
                axis.min, axis.max
            ));
        }
        if let Some(stray) = axis.typical.iter().find(|value| !axis.takes(**value)) {
            return Err(format!(
                "has {stray} as typical of the axis {name}, which cannot be that"
            ));
        }
        axes.insert(name.to_owned(), axis);
    }
    Ok(axes)
}

/// The bounds of each output.
fn bounds(
    interface: &Interface<'_>,
    outputs: &[Array],
    written: &Written,
    definition: Option<&Definition>,
) -> Result<Vec<Bounds>, String> {
    let number = |value: Option<f64>| value.map(Expression::number);
    let of_manifest = interface.tolerance.map(|tolerance| Bounds {
        abs: number(tolerance.abs),
        rel: number(tolerance.rel),
        ulp: number(tolerance.ulp),
        ..Bounds::default()
    });
    if let Some(Tolerances::Each(each)) = &written.tolerance
        && let Some(stray) = each
            .keys()
            .find(|name| !outputs.iter().any(|output| output.name == **name))
    {
        return Err(format!("bounds {}, which is no output", quoted(stray)));
    }
    outputs
        .iter()
        .map(|output| {
            let own = match &written.tolerance {
                Some(Tolerances::All(bounds)) => Some((**bounds).clone()),
                Some(Tolerances::Each(each)) => each.get(&output.name).cloned(),
                // What the manifest claims beside a definition is held to, and loosens nothing.
                None => match definition {
                    Some(definition) => definition.bounds().cloned(),
                    None => of_manifest.clone().filter(|bounds| !bounds.is_empty()),
                },
            };
            let implied = match output.dtype {
                Dtype::F16 | Dtype::Bf16 => Bounds {
                    ulp: Some(Expression::number(1.0)),
                    ..Bounds::default()
                },
                Dtype::F32 => Bounds::default(),
                _ => Bounds {
                    bits: true,
                    ..Bounds::default()
                },
            };
            let bounds = own.unwrap_or(implied);
            if bounds.is_empty() && definition.is_none() {
                return Err(format!(
                    "states no tolerance for {}; f32 has none by itself",
                    output.name
                ));
            }
            Ok(bounds)
        })
        .collect()
}

/// What a manifest says of a kernel's contract, for a kernel whose contract is in the manifest.
impl ContractEntry {
    pub(crate) fn inline(&self) -> Option<&Written> {
        match self {
            ContractEntry::Inline(written) => Some(written),
            ContractEntry::File(_) => None,
        }
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dimension::Fixed(number) => write!(f, "{number}"),
            Dimension::Symbolic(text) => f.write_str(text),
        }
    }
}
