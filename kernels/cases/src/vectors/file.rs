//! A vector file as data: JSON whose arrays are decoded and have the size that their shape says.

use super::VectorError;
use crate::number;
use kernel_pack::Dtype;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Commas and opening brackets of a file: bounds the memory that its JSON takes, which may be many times the file's size.
const MAX_VALUES: u64 = 1 << 19;
/// Bytes of a case's name: it becomes part of reports and of command lines.
const MAX_NAME_BYTES: usize = 200;

/// A file.
pub(crate) struct File {
    /// The kernel that its cases are about.
    pub(crate) kernel: String,
    /// Its cases; at least one, with names of their own.
    pub(crate) cases: Vec<VectorCase>,
}

/// A case as the file has it.
pub(crate) struct VectorCase {
    /// Its name.
    pub(crate) name: String,
    /// What its oracles are worth.
    pub(crate) class: Class,
    /// Its `params`.
    pub(crate) params: Params,
    /// Its `inputs` by name.
    pub(crate) inputs: BTreeMap<String, Array>,
    /// Its `outputs` by oracle.
    pub(crate) outputs: BTreeMap<String, Array>,
    /// Its `mag`.
    pub(crate) magnitude: Option<Array>,
}

/// What the oracles of a case are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Binds.
    Normal,
    /// Binds.
    Edge,
    /// Binds for the oracle `onnx_node_test`.
    OnnxNode,
    /// Must end, and with finite results where the contract says so; binds nothing.
    Stress,
    /// Libraries disagree; binds nothing.
    ImplDefined,
}

impl Class {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "normal" => Ok(Class::Normal),
            "edge" => Ok(Class::Edge),
            "onnx_node" => Ok(Class::OnnxNode),
            "stress" => Ok(Class::Stress),
            "impl_defined" => Ok(Class::ImplDefined),
            other => Err(format!("unknown class `{}`", shortened(other))),
        }
    }

    /// Whether a difference from its oracles is never a failure.
    pub(crate) fn only_informs(self) -> bool {
        matches!(self, Class::Stress | Class::ImplDefined)
    }
}

/// Type of an array's elements; blocks are bytes.
fn dtype(name: &str) -> Result<Dtype, String> {
    Dtype::parse(name)
        .filter(|dtype| dtype.unit().0 == 1)
        .ok_or_else(|| format!("unknown dtype `{}`", shortened(name)))
}

/// An array.
#[derive(Clone)]
pub(crate) struct Array {
    /// Type of its elements.
    pub(crate) dtype: Dtype,
    /// Its elements, little-endian, row-major: as many as its shape says.
    pub(crate) bytes: Vec<u8>,
    /// Its dimensions.
    pub(crate) shape: Vec<u64>,
}

impl Array {
    /// Its elements as numbers; `None` for integers.
    pub(crate) fn floats(&self) -> Option<Vec<f64>> {
        number::is_float(self.dtype).then(|| number::decode(self.dtype, &self.bytes))
    }
}

/// The parameters of a case.
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// A dimension, which is a whole number from 1 to 2^32 - 1.
    pub(crate) fn dimension(&self, name: &str) -> Result<u32, String> {
        let value = self.required(name)?;
        // Some writers have no integers: 3.0 is 3.
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            (float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&float))
                .then_some(float as u64)
        });
        match whole.and_then(|number| u32::try_from(number).ok()) {
            Some(0) => Err(format!("params.{name} is 0")),
            Some(number) => Ok(number),
            None => Err(format!(
                "params.{name} is {} and no dimension",
                brief(value)
            )),
        }
    }

    /// A number that is finite as f32.
    pub(crate) fn number(&self, name: &str) -> Result<f32, String> {
        let value = self.required(name)?;
        value
            .as_f64()
            .map(|number| number as f32)
            .filter(|number| number.is_finite())
            .ok_or_else(|| format!("params.{name} is {} and no finite f32", brief(value)))
    }

    /// A number that is finite as f32, where there is one.
    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<f32>, String> {
        self.optional(name).map(|_| self.number(name)).transpose()
    }

    /// A flag: true, false, 1 or 0.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, String> {
        let value = self.required(name)?;
        match (value.as_bool(), value.as_f64()) {
            (Some(flag), _) => Ok(flag),
            (_, Some(1.0)) => Ok(true),
            (_, Some(0.0)) => Ok(false),
            _ => Err(format!("params.{name} is {} and no flag", brief(value))),
        }
    }

    /// A flag that is false where it is missing.
    pub(crate) fn optional_flag(&self, name: &str) -> Result<bool, String> {
        self.optional(name).map_or(Ok(false), |_| self.flag(name))
    }

    /// A value, where there is one.
    pub(crate) fn optional(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&Value, String> {
        self.optional(name)
            .ok_or_else(|| format!("params.{name} is missing"))
    }
}

/// Parses a file's content; a file about a kernel that is not known is none of the caller's.
pub(crate) fn parse(
    file: &str,
    bytes: &[u8],
    is_known: &dyn Fn(&str) -> bool,
) -> Result<File, VectorError> {
    let values = bytes.iter().filter(|byte| b",[{".contains(byte)).count();
    if values as u64 > MAX_VALUES {
        return Err(VectorError::TooLarge {
            file: file.to_owned(),
            limit: MAX_VALUES,
            unit: "values",
        });
    }
    let json: Value = serde_json::from_slice(bytes).map_err(|source| VectorError::Json {
        file: file.to_owned(),
        source,
    })?;
    let wrong = |what: String| VectorError::File {
        file: file.to_owned(),
        what,
    };
    let members = object(&json, "the file").map_err(wrong)?;
    let kernel = string(members, "kernel").map_err(wrong)?;
    if !is_known(kernel) {
        return Err(VectorError::UnknownKernel {
            file: file.to_owned(),
            kernel: shortened(kernel),
        });
    }
    let cases = match members.get("cases") {
        Some(Value::Array(cases)) if cases.is_empty() => {
            return Err(wrong("`cases` is empty".to_owned()));
        }
        Some(Value::Array(cases)) => cases,
        Some(other) => return Err(wrong(format!("`cases` is {} and no array", brief(other)))),
        None => return Err(wrong("`cases` is missing".to_owned())),
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut result = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        let name = case.get("name").and_then(Value::as_str);
        let wrong = |what| VectorError::Case {
            file: file.to_owned(),
            case: name.map_or_else(|| format!("number {}", index + 1), shortened),
            what,
        };
        let parsed_case = parse_case(case).map_err(wrong)?;
        if let Some(other) = name.and_then(|name| names.insert(name, index)) {
            return Err(wrong(format!(
                "case number {} has the same name",
                other + 1
            )));
        }
        result.push(parsed_case);
    }
    Ok(File {
        kernel: kernel.to_owned(),
        cases: result,
    })
}

fn parse_case(case: &Value) -> Result<VectorCase, String> {
    let members = object(case, "the case")?;
    let name = string(members, "name")?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(format!(
            "a name has 1 to {MAX_NAME_BYTES} bytes and no control characters"
        ));
    }
    let class = Class::parse(string(members, "class")?)?;
    let params = match members.get("params") {
        Some(params) => Params(object(params, "params")?.clone()),
        None => return Err("`params` is missing".to_owned()),
    };
    let magnitude = match members.get("mag") {
        None | Some(Value::Null) => None,
        Some(array) => Some(parse_array(array).map_err(|what| format!("mag: {what}"))?),
    };
    Ok(VectorCase {
        name: name.to_owned(),
        class,
        params,
        inputs: arrays(members, "inputs")?,
        outputs: arrays(members, "outputs")?,
        magnitude,
    })
}

/// The arrays of `inputs` or `outputs`; one that is null is missing. An object of arrays, what an oracle says of several outputs, becomes one
/// entry for each, named `ORACLE.OUTPUT`.
fn arrays(members: &Map<String, Value>, name: &str) -> Result<BTreeMap<String, Array>, String> {
    let Some(arrays) = members.get(name) else {
        return Err(format!("`{name}` is missing"));
    };
    let mut result = BTreeMap::new();
    let mut add = |key: String, array: &Value| -> Result<(), String> {
        let array =
            parse_array(array).map_err(|what| format!("{name}.{}: {what}", shortened(&key)))?;
        result.insert(key, array);
        Ok(())
    };
    for (key, array) in object(arrays, name)? {
        match array {
            Value::Null => {}
            Value::Object(of_outputs) if !of_outputs.contains_key("dtype") => {
                for (output, array) in of_outputs.iter().filter(|(_, array)| !array.is_null()) {
                    add(format!("{key}.{output}"), array)?;
                }
            }
            array => add(key.clone(), array)?,
        }
    }
    Ok(result)
}

fn parse_array(value: &Value) -> Result<Array, String> {
    let members = object(value, "it")?;
    let dtype = dtype(string(members, "dtype")?)?;
    let shape = match members.get("shape") {
        Some(Value::Array(shape)) => shape,
        Some(other) => return Err(format!("`shape` is {} and no array", brief(other))),
        None => return Err("`shape` is missing".to_owned()),
    };
    let mut elements = 1u64;
    let mut dimensions = Vec::with_capacity(shape.len());
    for dimension in shape {
        dimensions.extend(dimension.as_u64());
        elements = dimension
            .as_u64()
            .ok_or_else(|| format!("`shape` has {}, which is no dimension", brief(dimension)))
            .and_then(|dimension| {
                elements
                    .checked_mul(dimension)
                    .ok_or_else(|| "`shape` overflows".to_owned())
            })?;
    }
    let hex = string(members, "hex")?;
    let digits = elements.checked_mul(u64::from(dtype.unit().1) * 2);
    if digits != Some(hex.len() as u64) {
        return Err(format!(
            "`hex` has {} digits, but {elements} x {} need {}",
            hex.len(),
            dtype.name(),
            digits.map_or_else(|| "more than 2^64".to_owned(), |digits| digits.to_string()),
        ));
    }
    let bytes = hex::decode(hex).map_err(|error| format!("`hex`: {error}"))?;
    Ok(Array {
        dtype,
        bytes,
        shape: dimensions,
    })
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{what} is {} and no object", brief(value)))
}

fn string<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("`{name}` is {} and no string", brief(other))),
        None => Err(format!("`{name}` is missing")),
    }
}

/// A value in a message: scalars as they are, if short, and the kind of what is larger.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("\"{}\"", shortened(text)),
        scalar => scalar.to_string(),
    }
}

/// A name from a file in a message: not long, and without control characters.
fn shortened(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}
