//! Entries that are of one of several kinds: truths, operators of ONNX, properties.

use std::sync::Arc;

use super::{MOST_ENTRIES, identifier};
use crate::contract::{Attribute, Onnx, Operand, Property, Reference, TruthSource};
use crate::error::{Rejection, quoted};
use crate::fields::Field;
use crate::json::Value;
use crate::manifest::file_entry;

/// A kind alone, or an object with the kind as its only key.
fn kind<'json>(field: &Field<'json>) -> Result<(&'json str, Option<Field<'json>>), Rejection> {
    match field.value {
        Value::String(text) => match text.split_once(':') {
            // `linear_in: x`, as it is spelled in documents.
            Some((kind, _)) => Ok((kind, None)),
            None => Ok((text, None)),
        },
        Value::Object(members) if members.len() == 1 => {
            let (kind, value) = &members[0];
            Ok((
                kind,
                Some(Field {
                    value,
                    place: field.place.field(kind),
                }),
            ))
        }
        _ => Err(field
            .place
            .invalid("must be a kind, or an object with the kind as its only key")),
    }
}

pub(super) fn truth(field: Field<'_>) -> Result<TruthSource, Rejection> {
    match kind(&field)? {
        ("builtin", _) => Ok(TruthSource::Builtin),
        ("vectors", _) => Ok(TruthSource::Vectors),
        ("onnx", Some(field)) => onnx(field).map(|onnx| TruthSource::Onnx(Arc::new(onnx))),
        ("reference", Some(field)) => {
            let mut object = field.object()?;
            let reference = Reference {
                file: file_entry(&mut object)?,
                entry_point: match object.optional("entry_point") {
                    Some(field) => field.text()?,
                    None => "kernel_forward".to_owned(),
                },
            };
            object.finish()?;
            Ok(TruthSource::Reference(reference))
        }
        (kind @ ("onnx" | "reference"), None) => Err(field
            .place
            .invalid(format_args!("must be an object: {{\"{kind}\": {{...}}}}"))),
        (other, _) => Err(field.place.invalid(format_args!(
            "must be builtin, onnx, reference or vectors, not {}",
            quoted(other)
        ))),
    }
}

fn onnx(field: Field<'_>) -> Result<Onnx, Rejection> {
    let mut object = field.object()?;
    let onnx = Onnx {
        op: identifier(object.required("op")?)?,
        version: object.required("version")?.integer32(1, 1000)?,
        attributes: {
            let mut attributes = Vec::new();
            if let Some(field) = object.optional("attributes") {
                for (name, field) in field.object()?.named() {
                    attributes.push((name.to_owned(), attribute(&field, true)?));
                }
            }
            attributes
        },
        inputs: object
            .required("inputs")?
            .array(MOST_ENTRIES)?
            .map(|field| operand(&field))
            .collect::<Result<_, _>>()?,
        outputs: object
            .required("outputs")?
            .array(MOST_ENTRIES)?
            .map(|field| Ok(field.string()?.to_owned()))
            .collect::<Result<_, Rejection>>()?,
    };
    object.finish()?;
    Ok(onnx)
}

fn attribute(field: &Field<'_>, outermost: bool) -> Result<Attribute, Rejection> {
    Ok(match field.value {
        Value::Unsigned(value) => i64::try_from(*value)
            .map(Attribute::Integer)
            .map_err(|_| field.place.invalid("does not fit 64 bits"))?,
        Value::Negative(value) => Attribute::Integer(*value),
        Value::Float(value) => Attribute::Number(*value),
        Value::String(text) => Attribute::Text(text.clone()),
        Value::Array(items) if outermost && items.len() <= MOST_ENTRIES => {
            let items = items.iter().enumerate();
            Attribute::List(
                items
                    .map(|(index, value)| {
                        let place = field.place.index(index);
                        attribute(&Field { value, place }, false)
                    })
                    .collect::<Result<_, _>>()?,
            )
        }
        Value::Object(_) => match kind(field)? {
            ("param", Some(field)) => Attribute::Param(field.string()?.to_owned()),
            ("axis", Some(field)) => Attribute::Axis(field.string()?.to_owned()),
            _ => {
                return Err(field
                    .place
                    .invalid("must be a value, {\"param\": name} or {\"axis\": name}"));
            }
        },
        _ => {
            return Err(field
                .place
                .invalid("must be a number, a text or a short list of them"));
        }
    })
}

fn operand(field: &Field<'_>) -> Result<Operand, Rejection> {
    match field.value {
        Value::String(text) if text.is_empty() => Ok(Operand::Absent),
        Value::String(text) => Ok(Operand::Tensor(text.clone())),
        _ => match kind(field)? {
            ("param", Some(field)) => Ok(Operand::Param(field.string()?.to_owned())),
            _ => Err(field
                .place
                .invalid("must be the name of a tensor or {\"param\": name}")),
        },
    }
}

pub(super) fn property(field: &Field<'_>) -> Result<Property, Rejection> {
    let (kind, value) = kind(field)?;
    let argument = || -> Result<String, Rejection> {
        let text = match (&value, field.value) {
            (Some(value), _) => value.string()?.to_owned(),
            (None, Value::String(text)) => match text.split_once(':') {
                Some((_, argument)) => argument.trim().to_owned(),
                None => String::new(),
            },
            (None, _) => String::new(),
        };
        if text.is_empty() {
            return Err(field
                .place
                .invalid(format_args!("needs a name: \"{kind}: name\"")));
        }
        Ok(text)
    };
    let number = || -> Result<f64, Rejection> {
        let parsed = match &value {
            Some(value) => Some(value.number()?),
            None => argument()?.parse::<f64>().ok(),
        };
        parsed.filter(|value| value.is_finite()).ok_or_else(|| {
            field
                .place
                .invalid(format_args!("needs a number: \"{kind}: number\""))
        })
    };
    Ok(match kind {
        "row_independent" => Property::RowIndependent,
        "elementwise" => Property::Elementwise,
        "permutes_with" => Property::PermutesWith(argument()?),
        "linear_in" => Property::LinearIn(argument()?),
        "scale_invariant" => Property::ScaleInvariant(argument()?),
        "norm_preserving" => Property::NormPreserving,
        "inverse_of" => Property::InverseOf(argument()?),
        "sums_to_one" => Property::SumsToOne(argument()?),
        "finite" => Property::Finite,
        "at_least" => Property::AtLeast(number()?),
        "at_most" => Property::AtMost(number()?),
        other => {
            return Err(field.place.invalid(format_args!(
                "is no property that this release knows: {}; docs/contract.md lists them",
                quoted(other)
            )));
        }
    })
}
