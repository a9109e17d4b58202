//! Tensors and parameters of a kernel.

use std::collections::BTreeSet;

use super::lists::{list, named};
use super::{MOST_DIMENSIONS, MOST_TENSORS};
use crate::error::{Rejection, quoted};
use crate::fields::{Field, Object};
use crate::json::Value;
use crate::schema::{Dimension, Dtype, Param, Tensor};

pub(crate) fn tensors(field: Field<'_>) -> Result<Vec<Tensor>, Rejection> {
    let mut names = BTreeSet::new();
    list(Some(field), MOST_TENSORS, |field| {
        let mut object = field.object()?;
        let name = object.read("name", |field| {
            let name = field.identifier("letters, digits, `_`", |b| {
                b.is_ascii_alphanumeric() || b == b'_'
            })?;
            if names.insert(name.clone()) {
                return Ok(name);
            }
            let reason = format_args!("is the name of an earlier tensor: {name}");
            Err(field.place.invalid(reason))
        });
        let dtype = object.read("dtype", |field| {
            Dtype::parse(field.string()?).ok_or_else(|| {
                let all = "must be one of f32 f16 bf16 i8 u8 i32 u32 q8 q4";
                field.place.invalid(all)
            })
        });
        let shape = object.read("shape", |field| {
            list(Some(field), MOST_DIMENSIONS, |field| dimension(&field))
        });
        object.end(|| {
            Some(Tensor {
                name: name?,
                dtype: dtype?,
                shape: shape?,
            })
        })
    })
}

/// A kernel without outputs computes nothing that could be judged.
pub(crate) fn outputs(field: Field<'_>) -> Result<Vec<Tensor>, Rejection> {
    let place = field.place.clone();
    let tensors = tensors(field)?;
    if tensors.is_empty() {
        return Err(place.invalid("is empty; a kernel has at least one output"));
    }
    Ok(tensors)
}

fn dimension(field: &Field<'_>) -> Result<Dimension, Rejection> {
    if !matches!(field.value, Value::String(_)) {
        return Ok(Dimension::Fixed(field.integer32(1, u32::MAX)?));
    }
    let symbol = field.identifier("letters, digits, `_`, `+`, `-`, `*`, `/`", |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'*' | b'/')
    })?;
    if !symbol.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(field.place.invalid("must start with a letter"));
    }
    Ok(Dimension::Symbolic(symbol))
}

/// Parameters in the order in which they are written: that of the struct.
pub(crate) fn params(field: Field<'_>) -> Result<Vec<(String, Param)>, Rejection> {
    named(Some(field), param)
}

/// `min` and `max` may be left out: then the type's own range is meant, of f32 the finite one.
fn param(field: Field<'_>) -> Result<Param, Rejection> {
    let mut object = field.object()?;
    let kind = object.required("type")?;
    let param = match kind.string()? {
        "f32" => {
            let (default, min, max) = range(&mut object, float32, f32::MIN, f32::MAX)?;
            Param::F32 { default, min, max }
        }
        "u32" => {
            let read = |field: &Field<'_>| field.integer32(0, u32::MAX);
            let (default, min, max) = range(&mut object, read, u32::MIN, u32::MAX)?;
            Param::U32 { default, min, max }
        }
        "i32" => {
            let (default, min, max) = range(&mut object, signed32, i32::MIN, i32::MAX)?;
            Param::I32 { default, min, max }
        }
        other => {
            return Err(kind.place.invalid(format_args!(
                "must be f32, u32 or i32, not {}",
                quoted(other)
            )));
        }
    };
    object.finish()?;
    Ok(param)
}

/// `default`, `min` and `max` of a parameter, in order; what stands for a bound that is left out comes last.
fn range<T: PartialOrd>(
    object: &mut Object<'_>,
    read: impl Fn(&Field<'_>) -> Result<T, Rejection>,
    smallest: T,
    largest: T,
) -> Result<(T, T, T), Rejection> {
    let default = read(&object.required("default")?)?;
    let mut bound = |name: &str, left_out: T| match object.optional(name) {
        Some(field) => read(&field),
        None => Ok(left_out),
    };
    let (min, max) = (bound("min", smallest)?, bound("max", largest)?);
    if min <= default && default <= max {
        Ok((default, min, max))
    } else {
        Err(object
            .place
            .field("default")
            .invalid("is not within min..max"))
    }
}

/// A number that f32 can hold: 1e39 is not one, it would become an infinity.
fn float32(field: &Field<'_>) -> Result<f32, Rejection> {
    let value = field.number()? as f32;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(field.place.invalid("is out of the range of f32"))
    }
}

fn signed32(field: &Field<'_>) -> Result<i32, Rejection> {
    let value = match field.value {
        Value::Unsigned(value) => i32::try_from(*value).ok(),
        Value::Negative(value) => i32::try_from(*value).ok(),
        _ => None,
    };
    value.ok_or_else(|| field.place.invalid("must be an integer of 32 bits"))
}
