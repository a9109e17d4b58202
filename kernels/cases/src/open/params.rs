//! Values of parameters that are no axes.

use super::{
    Value,
    draw::{Random, value},
    searched,
};
use kernel_pack::{
    Param,
    contract::{Bounds, Class, Contract},
};
use std::collections::BTreeMap;

/// Bounds of a parameter beyond this are those of its type, not of what people pass.
const WIDE: f64 = 1e6;

/// The smallest and the largest value that a parameter may have.
pub(super) fn bounds(param: &Param) -> (f64, f64) {
    match *param {
        Param::F32 { min, max, .. } => (min.into(), max.into()),
        Param::U32 { min, max, .. } => (min.into(), max.into()),
        Param::I32 { min, max, .. } => (min.into(), max.into()),
    }
}

/// A number as a parameter's type has it, within its bounds.
fn of_type(param: &Param, value: f64) -> Value {
    let (low, high) = bounds(param);
    let value = value.clamp(low, high);
    match param {
        Param::F32 { .. } => Value::Float(value as f32),
        _ => Value::Integer(value as i64),
    }
}

/// Values that people pass and that a drawn one hits by chance only: the ends of what the domain or the bounds say, the first of all, then 0, round numbers
/// and small ones. Each once, and only what the contract allows.
pub(super) fn notable(contract: &Contract, name: &str, param: &Param) -> Vec<Value> {
    let (low, high) = bounds(param);
    let usual = default(param).real();
    let domain = contract.domain_of(name).map(|domain| domain.class);
    let ends = match domain {
        Some(Class::Uniform { min, max } | Class::LogUniform { min, max }) => vec![min, max],
        Some(Class::Integers { min, max }) => {
            let of = |bound: Option<i64>| bound.map(|bound| bound as f64);
            vec![of(min).unwrap_or(low), of(max).unwrap_or(high)]
        }
        Some(Class::Normal { scale }) => vec![-2.0 * scale, 2.0 * scale],
        Some(Class::Unit) => vec![-1.0, 1.0],
        Some(Class::Constant { value }) => vec![value],
        Some(Class::Angles) => vec![0.0, 1.0],
        None if is_narrow(low, high) => vec![low, high],
        None => vec![usual / 4.0, usual * 4.0],
    };
    let round = [1.0, -1.0, 0.0, 2.0, -2.0, 0.5, -0.5, 1.5, 1.0 / 64.0, 3.0];
    let fits = |value: f64| match domain {
        // 0 is no bell's value, and people pass it.
        Some(Class::Normal { .. }) if value == 0.0 => true,
        Some(class) => searched::allows(class, value),
        None if is_narrow(low, high) => true,
        None => value == 0.0 || usual == 0.0 || is_usual(usual, value),
    };
    let fits = |value: f64| (low..=high).contains(&value) && fits(value);
    let mut found: Vec<Value> = Vec::new();
    for wanted in ends.into_iter().chain(round) {
        let near = match param {
            // An end that f32 does not hold lies beyond it once it is rounded.
            Param::F32 { .. } => {
                let near = wanted as f32;
                [near, near.next_up(), near.next_down()].map(Value::Float)
            }
            _ => [Value::Integer(wanted.trunc() as i64); 3],
        };
        let value = near.into_iter().find(|value| fits(value.real()));
        if let Some(value) = value.filter(|value| fits(wanted) && !found.contains(value)) {
            found.push(value);
        }
    }
    found
}

/// Values of a parameter without narrow bounds at which a byte, or two or three of them, hold no more of it, and of floats some of many sizes. Where
/// nothing is allowed but a rounding, as a formula in f32 has no such answers for all of them; else those that the bounds name, and what one byte does not hold.
pub(super) fn wide(contract: &Contract, name: &str, param: &Param) -> Vec<Value> {
    let (low, high) = bounds(param);
    if is_narrow(low, high) || contract.domain_of(name).is_some() {
        return Vec::new();
    }
    let usual = default(param).real();
    let exact = contract.tolerance.iter().all(is_exact);
    let is_named = match *param {
        Param::U32 { max, .. } => max < u32::MAX,
        Param::I32 { max, .. } => max < i32::MAX,
        Param::F32 { .. } => false,
    };
    let wanted: &[f64] = match param {
        Param::F32 { .. } if exact => &[16.0, 128.0, -128.0, 4096.0, 1.0 / 128.0],
        Param::F32 { .. } => &[],
        _ if is_named => &[256.0, 65_536.0, 16_777_216.0],
        _ if exact => &[256.0, -256.0, 65_536.0],
        _ => &[256.0],
    };
    let fits = |value: f64| {
        (low..=high).contains(&value) && (is_named || usual == 0.0 || is_usual(usual, value))
    };
    let values = wanted.iter().copied().filter(|value| fits(*value));
    values.map(|value| of_type(param, value)).collect()
}

/// Whether an output is due to the bit, or to a rounding.
fn is_exact(bounds: &Bounds) -> bool {
    let ulp = bounds.ulp.as_ref().map(|ulp| ulp.real(&|_| None));
    let is_rounding = ulp.is_some_and(|ulp| ulp.is_ok_and(|ulp| ulp <= 1.0));
    bounds.bits || is_rounding && bounds.abs.is_none() && bounds.rel.is_none()
}

/// Whether a value is one of a size that people pass, where nothing but the default says what that is.
fn is_usual(usual: f64, value: f64) -> bool {
    (usual.abs() / WIDE..=usual.abs() * WIDE).contains(&value.abs())
}

pub(super) fn default(param: &Param) -> Value {
    match *param {
        Param::F32 { default, .. } => Value::Float(default),
        Param::U32 { default, .. } => Value::Integer(default.into()),
        Param::I32 { default, .. } => Value::Integer(default.into()),
    }
}

/// The parameters that are no axes.
pub(super) fn no_axes(contract: &Contract) -> impl Iterator<Item = &(String, Param)> {
    let params = contract.params.iter();
    params.filter(|(name, _)| !contract.axes.contains_key(name))
}

/// Their defaults.
pub(super) fn defaults(contract: &Contract) -> impl Iterator<Item = (String, Value)> {
    no_axes(contract).map(|(name, param)| (name.clone(), default(param)))
}

/// A parameter that is no axis: as its domain says, else mostly its default, else within its range where that is one of what people pass.
pub(super) fn parameter(
    contract: &Contract,
    name: &str,
    param: &Param,
    random: &mut Random,
) -> Value {
    let (low, high) = bounds(param);
    let of_type = |value: f64| of_type(param, value);
    if let Some(domain) = contract.domain_of(name) {
        return of_type(value(domain.class, random, 0, 1));
    }
    let standard = default(param);
    let narrow = is_narrow(low, high);
    match random.below(8) {
        0..4 => standard,
        4 if narrow => of_type(low),
        5 if narrow => of_type(high),
        _ if narrow => of_type(low + random.unit() * (high - low)),
        // A multiple of nothing would always be nothing.
        _ if standard == Value::Float(0.0) => of_type(random.pick(&[0.25, 1.0, -1.0, 2.0, -3.0])),
        _ if standard == Value::Integer(0) => of_type(random.pick(&[1.0, 2.0, -1.0, 7.0, -300.0])),
        _ => of_type(standard.real() * random.pick(&[0.5, 1.0, 2.0])),
    }
}

/// A parameter whose bits are a word, where its type, its domain and what people pass allow that.
pub(super) fn meant(contract: &Contract, name: &str, param: &Param, word: u32) -> Option<Value> {
    let value = of_word(param, word);
    let (low, high) = bounds(param);
    let (real, usual) = (value.real(), default(param).real());
    let fits = match contract.domain_of(name) {
        Some(domain) => searched::allows(domain.class, real),
        None if is_narrow(low, high) => true,
        None => is_usual(usual, real),
    };
    (fits && (low..=high).contains(&real)).then_some(value)
}

/// Whether parameters are refused whatever the tensors are: by their length, by a value, or by a relation of theirs alone. What breaks a relation
/// to an axis that only tensors tell is refused with those.
pub(super) fn refused(contract: &Contract, bytes: &[u8]) -> bool {
    let Some(values) = read(contract, bytes) else {
        return true;
    };
    let taken = |(name, param): &(String, Param)| {
        let value = values[name];
        let (low, high) = bounds(param);
        let length = value.integer().and_then(|value| u32::try_from(value).ok());
        let axis = contract.axes.get(name);
        (low..=high).contains(&value.real())
            && axis.is_none_or(|axis| length.is_some_and(|length| axis.takes(length)))
    };
    let with = |name: &str| values.get(name)?.integer();
    let mut relations = contract.constraints.iter().filter(|relation| {
        let mut names = relation.names().into_iter();
        names.all(|name| values.contains_key(name))
    });
    !contract.params.iter().all(taken) || relations.any(|relation| !contract.holds(relation, &with))
}

/// The values of the parameter struct; `None` if it is of another length.
pub(super) fn read(contract: &Contract, bytes: &[u8]) -> Option<BTreeMap<String, Value>> {
    let (words, rest) = bytes.as_chunks();
    if words.len() != contract.params.len() || !rest.is_empty() {
        return None;
    }
    let values = contract.params.iter().zip(words);
    let values = values.map(|((name, param), word)| {
        let value = of_word(param, u32::from_le_bytes(*word));
        (name.clone(), value)
    });
    Some(values.collect())
}

fn of_word(param: &Param, word: u32) -> Value {
    match param {
        Param::F32 { .. } => Value::Float(f32::from_bits(word)),
        Param::U32 { .. } => Value::Integer(word.into()),
        Param::I32 { .. } => Value::Integer((word as i32).into()),
    }
}

/// Whether bounds of a parameter say what people pass.
fn is_narrow(low: f64, high: f64) -> bool {
    low.abs() <= WIDE && high.abs() <= WIDE
}
