//! Reads what an author wrote: types and ranges of each field. What contradicts the manifest is found by `resolve`.

mod kinds;

use std::collections::BTreeMap;

use super::{
    Bounds, Class, Domain, Expression, LARGEST_CONTRACT, Property, Special, TruthSource, Use,
};
use crate::error::{Code, Rejection, quoted};
use crate::fields::{Field, Object, Place};
use crate::json::{self, Value};
use crate::manifest::{file_entry, names, outputs, params, tensors};
use crate::schema::{FileEntry, Param, Tensor};
use kinds::{property, truth};

/// Axes, constraints, truths, properties, attributes: more than any kernel has.
const MOST_ENTRIES: usize = 64;

/// Values of a list.
const MOST_TYPICAL: usize = 64;

/// Where a manifest has the contract of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ContractEntry {
    /// In the manifest.
    Inline(Box<Written>),
    /// In a file of its own.
    File(FileEntry),
}

/// A contract as it was written: all fields may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) id: Option<String>,
    pub(crate) inputs: Option<Vec<Tensor>>,
    pub(crate) outputs: Option<Vec<Tensor>>,
    pub(crate) params: Option<Vec<(String, Param)>>,
    pub(crate) definition: Option<String>,
    pub(crate) axes: BTreeMap<String, WrittenAxis>,
    pub(crate) constraints: Vec<Expression>,
    pub(crate) regions: Option<Regions>,
    pub(crate) domain: BTreeMap<String, Domain>,
    pub(crate) truth: Vec<TruthSource>,
    pub(crate) tolerance: Option<Tolerances>,
    pub(crate) properties: Vec<Property>,
    pub(crate) source: Option<String>,
}

/// An axis as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WrittenAxis {
    pub(crate) min: Option<u32>,
    pub(crate) max: Option<u32>,
    pub(crate) multiple_of: Option<u32>,
    pub(crate) typical: Vec<u32>,
    pub(crate) value: Option<u32>,
}

/// How tensors lie in regions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Regions {
    pub(crate) a: Option<Vec<String>>,
    pub(crate) b: Option<Vec<String>>,
    pub(crate) output: Option<Vec<String>>,
    pub(crate) scratch: Option<Expression>,
    pub(crate) initial: Option<String>,
}

/// Bounds of all outputs, or of each by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tolerances {
    All(Box<Bounds>),
    Each(BTreeMap<String, Bounds>),
}

/// The member `contract` of a kernel.
pub(crate) fn entry(field: Field<'_>) -> Result<ContractEntry, Rejection> {
    let is_file = field.value.member("path").is_some();
    let mut object = field.object()?;
    if is_file {
        let file = file_entry(&mut object)?;
        object.finish()?;
        return Ok(ContractEntry::File(file));
    }
    written(object).map(|written| ContractEntry::Inline(Box::new(written)))
}

/// A contract file.
pub(crate) fn read_file(bytes: &[u8], name: &str) -> Result<Written, Rejection> {
    value(&document(bytes, name)?, name)
}

/// A file of at most the size of a contract as strict JSON.
pub(super) fn document(bytes: &[u8], name: &str) -> Result<Value, Rejection> {
    if bytes.len() as u64 > LARGEST_CONTRACT {
        let message = format!("{name} is larger than {LARGEST_CONTRACT} bytes");
        return Err(Rejection::new(Code::ManifestInvalid, message).file(name));
    }
    json::parse(bytes).map_err(|reason| {
        let message = format!("{name} is not strict JSON: {reason}");
        Rejection::new(Code::ManifestMalformed, message).file(name)
    })
}

/// The contract in one JSON value of a list of them.
pub(super) fn value(value: &Value, name: &str) -> Result<Written, Rejection> {
    written(Object::new(value, Place::in_file(name))?)
}

fn written(mut object: Object<'_>) -> Result<Written, Rejection> {
    let written = Written {
        id: object.optional("id").map(identifier).transpose()?,
        inputs: object.optional("inputs").map(tensors).transpose()?,
        outputs: object.optional("outputs").map(outputs).transpose()?,
        params: object.optional("params").map(params).transpose()?,
        definition: object
            .optional("definition")
            .map(|field| field.text())
            .transpose()?,
        axes: names(object.optional("axes"), axis)?,
        constraints: list(object.optional("constraints"), |field| {
            expression(&field, Use::Constraint)
        })?,
        regions: object.optional("regions").map(regions).transpose()?,
        domain: names(object.optional("domain"), domain)?,
        truth: list(object.optional("truth"), truth)?,
        tolerance: object.optional("tolerance").map(tolerances).transpose()?,
        properties: list(object.optional("properties"), |field| property(&field))?,
        source: object.optional("source").map(source).transpose()?,
    };
    object.finish()?;
    Ok(written)
}

fn identifier(field: Field<'_>) -> Result<String, Rejection> {
    field.identifier("letters, digits, `_`", |b| {
        b.is_ascii_alphanumeric() || b == b'_'
    })
}

fn list<T>(
    field: Option<Field<'_>>,
    read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<Vec<T>, Rejection> {
    match field {
        Some(field) => field.array(MOST_ENTRIES)?.map(read).collect(),
        None => Ok(Vec::new()),
    }
}

fn expression(field: &Field<'_>, purpose: Use) -> Result<Expression, Rejection> {
    Expression::parse(field.string()?, purpose).map_err(|reason| field.place.invalid(reason))
}

fn axis(field: Field<'_>) -> Result<WrittenAxis, Rejection> {
    let mut object = field.object()?;
    let mut number = |name: &str, least| {
        object
            .optional(name)
            .map(|field| field.integer32(least, u32::MAX))
            .transpose()
    };
    let (min, max) = (number("min", 0)?, number("max", 0)?);
    let (multiple_of, value) = (number("multiple_of", 1)?, number("value", 1)?);
    let typical = match object.optional("typical") {
        Some(field) => field
            .array(MOST_TYPICAL)?
            .map(|field| field.integer32(1, u32::MAX))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let place = object.place.clone();
    object.finish()?;
    if value.is_some() && (min.is_some() || max.is_some() || multiple_of.is_some()) {
        return Err(place.invalid("has a value, so min, max and multiple_of say nothing"));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(place.invalid("has a min above its max"));
    }
    Ok(WrittenAxis {
        min,
        max,
        multiple_of,
        typical,
        value,
    })
}

fn regions(field: Field<'_>) -> Result<Regions, Rejection> {
    let mut object = field.object()?;
    let mut tensors = |name: &str| {
        object
            .optional(name)
            .map(|field| list(Some(field), identifier))
            .transpose()
    };
    let (a, b, output) = (tensors("a")?, tensors("b")?, tensors("output")?);
    let scratch = object.optional("scratch").map(size).transpose()?;
    let initial = object.optional("initial").map(identifier).transpose()?;
    object.finish()?;
    Ok(Regions {
        a,
        b,
        output,
        scratch,
        initial,
    })
}

/// A number of bytes: a number, or an expression.
fn size(field: Field<'_>) -> Result<Expression, Rejection> {
    match field.value {
        Value::String(_) => expression(&field, Use::Size),
        _ => {
            let bytes = field.integer32(0, u32::MAX)?;
            // A number is an expression.
            Expression::parse(&bytes.to_string(), Use::Size)
                .map_err(|reason| field.place.invalid(reason))
        }
    }
}

fn domain(field: Field<'_>) -> Result<Domain, Rejection> {
    let mut object = field.object()?;
    let class = object.required("class")?;
    let name = class.string()?.to_owned();
    let mut number = |name: &str| {
        object
            .optional(name)
            .map(|field| field.number())
            .transpose()
    };
    let (min, max) = (number("min")?, number("max")?);
    let (scale, value) = (number("scale")?, number("value")?);
    let special = object.optional("special").map(special).transpose()?;
    let place = object.place.clone();
    object.finish()?;
    let needs = |what: &str| place.invalid(format_args!("of class {name} needs {what}"));
    let both = || match (min, max) {
        (Some(min), Some(max)) if min <= max => Ok((min, max)),
        _ => Err(needs("min and max, in this order")),
    };
    let whole = |value: Option<f64>| match value {
        Some(value) if value.fract() != 0.0 || value.abs() > 9.0e15 => Err(needs("whole numbers")),
        other => Ok(other.map(|value| value as i64)),
    };
    let used: &[bool] = match name.as_str() {
        "normal" => &[min.is_none(), max.is_none(), value.is_none()],
        "uniform" | "log_uniform" | "integers" => &[scale.is_none(), value.is_none()],
        "constant" => &[min.is_none(), max.is_none(), scale.is_none()],
        _ => &[
            min.is_none(),
            max.is_none(),
            scale.is_none(),
            value.is_none(),
        ],
    };
    if used.contains(&false) {
        return Err(place.invalid(format_args!("has a bound that class {name} does not have")));
    }
    let class = match name.as_str() {
        "normal" => match scale.unwrap_or(1.0) {
            scale if scale > 0.0 => Class::Normal { scale },
            _ => return Err(needs("a scale above 0")),
        },
        "uniform" => {
            let (min, max) = both()?;
            Class::Uniform { min, max }
        }
        "log_uniform" => match both()? {
            (min, max) if min > 0.0 => Class::LogUniform { min, max },
            _ => return Err(needs("a min above 0")),
        },
        "unit" => Class::Unit,
        "integers" => match (whole(min)?, whole(max)?) {
            (Some(min), Some(max)) if min > max => return Err(needs("min and max, in this order")),
            (min, max) => Class::Integers { min, max },
        },
        "angles" => Class::Angles,
        "constant" => Class::Constant {
            value: value.ok_or_else(|| needs("a value"))?,
        },
        _ => {
            return Err(place.field("class").invalid(format_args!(
                "must be normal, uniform, log_uniform, unit, integers, angles or constant, not {}",
                quoted(&name)
            )));
        }
    };
    Ok(Domain {
        class,
        special: special.unwrap_or(Special::ALL),
    })
}

fn special(field: Field<'_>) -> Result<Special, Rejection> {
    if let Value::String(text) = field.value {
        return match text.as_str() {
            "none" => Ok(Special::default()),
            _ => Err(field.place.invalid("must be a list, or \"none\"")),
        };
    }
    let mut special = Special::default();
    for field in field.array(4)? {
        match field.string()? {
            "zeros" => special.zeros = true,
            "subnormals" => special.subnormals = true,
            "infinities" => special.infinities = true,
            "nans" => special.nans = true,
            other => {
                return Err(field.place.invalid(format_args!(
                    "must be zeros, subnormals, infinities or nans, not {}",
                    quoted(other)
                )));
            }
        }
    }
    Ok(special)
}

fn tolerances(field: Field<'_>) -> Result<Tolerances, Rejection> {
    if let Some(value) = field.value.member("outputs") {
        let place = field.place.field("outputs");
        let mut object = field.object()?;
        let _ = object.optional("outputs");
        object.finish()?;
        return names(Some(Field { value, place }), bounds).map(Tolerances::Each);
    }
    bounds(field).map(|bounds| Tolerances::All(Box::new(bounds)))
}

fn bounds(field: Field<'_>) -> Result<Bounds, Rejection> {
    let place = field.place.clone();
    let mut object = field.object()?;
    let bits = match object.optional("bits") {
        Some(field) => field.boolean()?,
        None => false,
    };
    let mut bound = |name: &str| {
        object
            .optional(name)
            .map(|field| distance(&field))
            .transpose()
    };
    let bounds = Bounds {
        bits,
        ulp: bound("ulp")?,
        abs: bound("abs")?,
        rel: bound("rel")?,
        nmse: bound("nmse")?,
    };
    object.finish()?;
    if bounds.is_empty() {
        return Err(place.invalid("states no bound"));
    }
    let widened = bounds.ulp.is_some() || bounds.abs.is_some() || bounds.rel.is_some();
    if bits && (widened || bounds.nmse.is_some()) {
        return Err(place.invalid("asks for bits and for a distance; one of them is meant"));
    }
    if !bounds.bounds_elements() {
        return Err(place.invalid("bounds the whole output only; one wrong element would not show, so add ulp, abs or rel"));
    }
    Ok(bounds)
}

fn distance(field: &Field<'_>) -> Result<Expression, Rejection> {
    match field.value {
        Value::String(_) => expression(field, Use::Distance),
        _ => field.non_negative().map(Expression::number),
    }
}

fn source(field: Field<'_>) -> Result<String, Rejection> {
    let text = field.text()?;
    let version = text.strip_prefix("kernel-core@");
    match version.map(semver::Version::parse) {
        Some(Ok(_)) => Ok(text),
        _ => Err(field.place.invalid(format_args!(
            "must be kernel-core@VERSION, the only source whose bits can be compared, not {}; leave it out for your own",
            quoted(&text)
        ))),
    }
}
