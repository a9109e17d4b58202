//! Contracts out of definitions of FlashInfer-Trace: axes, constraints, inputs, outputs. Their `reference` is Python, which is run by whoever names it
//! with `--oracle`, never by this.

use super::read::document;
use super::show::{list, object, pretty, text};
use super::{Contract, Expression, Use};
use crate::error::{Rejection, quoted};
use crate::fields::{Field, Object, Place};
use crate::json::Value;
use crate::schema::Dtype;

/// A contract that was made of a definition, and what of it could not be said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The contract as a document.
    pub json: String,
    /// The contract.
    pub contract: Contract,
    /// What was left out, or filled in, in a line each.
    pub notes: Vec<String>,
}

/// Makes a contract of a definition. Parameters are the `var` axes in their order, then the scalar inputs in theirs; a `const` axis is none. f32
/// has no tolerance by itself, so the one that PyTorch compares f32 with is filled in.
///
/// # Errors
/// [`Code::ManifestInvalid`](crate::Code::ManifestInvalid) with place and reason for what is no such definition.
pub fn import(bytes: &[u8], name: &str) -> Result<Imported, Rejection> {
    let value = document(bytes, name)?;
    // Definitions have fields for people and for tools of others: what is not used here is passed over.
    let mut top = Object::new(&value, Place::in_file(name))?;
    let mut notes = Vec::new();
    let id = identifier(top.required("name")?.string()?);
    let (mut params, axes) = axes(&mut top)?;
    let inputs = inputs(&mut top, &mut params)?;
    let mut outputs = Vec::new();
    let mut has_f32 = false;
    for (output, field) in top.required("outputs")?.object()?.named() {
        let mut object = field.object()?;
        let (shape, dtype) = (object.required("shape")?, object.required("dtype")?);
        has_f32 |= self::dtype(&dtype)? == Dtype::F32;
        outputs.push(tensor(output, &shape, &dtype)?);
    }
    let mut constraints = Vec::new();
    if let Some(field) = top.optional("constraints") {
        for field in field.array(64)? {
            let constraint = field.string()?;
            match Expression::parse(constraint, Use::Constraint) {
                Ok(_) => constraints.push(text(constraint)),
                Err(reason) => notes.push(format!(
                    "left out the constraint {}, which {reason}",
                    quoted(constraint)
                )),
            }
        }
    }
    if has_f32 {
        notes.push(
            "filled in the tolerance of f32: abs 1e-5, rel 1.3e-6; make it what your kernel holds"
                .to_owned(),
        );
    }
    if top.optional("reference").is_some() {
        notes.push(format!(
            "the reference is Python, and not run: --oracle '{id}=python3 oracles/numpy/oracle.py {name}' does"
        ));
    }
    let document = object([
        ("id", text(&id)),
        ("inputs", list(inputs.into_iter())),
        ("outputs", list(outputs.into_iter())),
        ("params", Value::Object(params)),
        ("axes", Value::Object(axes)),
        ("constraints", list(constraints.into_iter())),
        (
            "tolerance",
            match has_f32 {
                true => object([("abs", Value::Float(1e-5)), ("rel", Value::Float(1.3e-6))]),
                false => Value::Null,
            },
        ),
    ]);
    let json = pretty(&document);
    let contract = Contract::parse(json.as_bytes(), name)?;
    Ok(Imported {
        json,
        contract,
        notes,
    })
}

/// Members of an object, in order.
type Members = Vec<(String, Value)>;

/// The `var` axes as parameters, and the `const` ones as axes.
fn axes(top: &mut Object<'_>) -> Result<(Members, Members), Rejection> {
    let mut params = Vec::new();
    let mut axes = Vec::new();
    for (axis, field) in top.required("axes")?.object()?.named() {
        let mut object = field.object()?;
        let kind = object.required("type")?;
        match kind.string()? {
            "var" => params.push((
                axis.to_owned(),
                parameter("u32", Value::Unsigned(1), Some(1)),
            )),
            "const" => {
                let value = object.required("value")?.integer32(1, u32::MAX)?;
                axes.push((
                    axis.to_owned(),
                    super::show::object([("value", Value::Unsigned(value.into()))]),
                ));
            }
            other => {
                return Err(kind
                    .place
                    .invalid(format_args!("must be var or const, not {}", quoted(other))));
            }
        }
    }
    Ok((params, axes))
}

/// The tensors; scalar inputs become parameters.
fn inputs(top: &mut Object<'_>, params: &mut Members) -> Result<Vec<Value>, Rejection> {
    let mut inputs = Vec::new();
    for (input, field) in top.required("inputs")?.object()?.named() {
        let mut object = field.object()?;
        let shape = object.required("shape")?;
        let dtype = object.required("dtype")?;
        if *shape.value == Value::Null {
            let (kind, default) = scalar(&dtype)?;
            params.push((input.to_owned(), parameter(kind, default, None)));
        } else {
            inputs.push(tensor(input, &shape, &dtype)?);
        }
    }
    Ok(inputs)
}

/// A kernel id out of a name: lower case, with `_` for everything else.
fn identifier(name: &str) -> String {
    let id: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .take(64)
        .collect();
    match id.is_empty() {
        true => "kernel".to_owned(),
        false => id,
    }
}

fn parameter(kind: &str, default: Value, min: Option<u64>) -> Value {
    object([
        ("type", text(kind)),
        ("default", default),
        ("min", min.map_or(Value::Null, Value::Unsigned)),
    ])
}

/// Types as definitions spell them.
fn dtype(field: &Field<'_>) -> Result<Dtype, Rejection> {
    Ok(match field.string()? {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "int32" => Dtype::I32,
        "uint32" => Dtype::U32,
        other => {
            return Err(field.place.invalid(format_args!(
                "is {}; kernels have float32, float16, bfloat16, int8, uint8, int32 and uint32",
                quoted(other)
            )));
        }
    })
}

/// A scalar input as a parameter: its type, and a default.
fn scalar(field: &Field<'_>) -> Result<(&'static str, Value), Rejection> {
    match dtype(field)? {
        Dtype::F32 => Ok(("f32", Value::Float(1e-6))),
        Dtype::I32 => Ok(("i32", Value::Unsigned(1))),
        Dtype::U32 => Ok(("u32", Value::Unsigned(1))),
        _ => Err(field
            .place
            .invalid("is no type of a parameter: float32, int32 or uint32")),
    }
}

fn tensor(name: &str, shape: &Field<'_>, dtype: &Field<'_>) -> Result<Value, Rejection> {
    let dtype = self::dtype(dtype)?;
    let place = shape.place.clone();
    let field = Field {
        value: shape.value,
        place,
    };
    let lengths = field.array(8)?.map(|field| match field.value {
        Value::String(length) => Ok(text(length)),
        _ => field
            .integer32(1, u32::MAX)
            .map(|length| Value::Unsigned(length.into())),
    });
    Ok(object([
        ("name", text(name)),
        ("dtype", text(dtype.name())),
        ("shape", Value::Array(lengths.collect::<Result<_, _>>()?)),
    ]))
}
