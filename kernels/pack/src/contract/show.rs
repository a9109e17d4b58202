//! A contract as the document that it could have been written as, with all that followed from the manifest.

use super::{
    Array, Attribute, Axis, Bounds, Class, Contract, Domain, Expression, Onnx, Operand, Special,
    TruthSource,
};
use crate::json::Value;
use crate::schema::Param;
use crate::source::hex;

impl Contract {
    /// The contract as JSON, complete; reading it again gives the same contract.
    pub fn to_json(&self) -> String {
        let (inputs, outputs, params) = self.interface();
        let head = [
            ("id", text(&self.kernel)),
            ("inputs", inputs),
            ("outputs", outputs),
            ("params", params),
        ];
        let (Value::Object(mut members), Value::Object(promises)) = (object(head), self.promises())
        else {
            return String::new();
        };
        members.extend(promises);
        pretty(&Value::Object(members))
    }

    /// Inputs, outputs and parameters, as a manifest has them.
    pub fn interface_json(&self) -> (String, String, String) {
        let (inputs, outputs, params) = self.interface();
        (pretty(&inputs), pretty(&outputs), pretty(&params))
    }

    /// All that a manifest does not say.
    pub fn promises_json(&self) -> String {
        pretty(&self.promises())
    }

    fn interface(&self) -> (Value, Value, Value) {
        let params = self.params.iter();
        (
            list(self.inputs.iter().map(tensor)),
            list(self.outputs.iter().map(tensor)),
            Value::Object(
                params
                    .map(|(name, kind)| (name.clone(), param(kind)))
                    .collect(),
            ),
        )
    }

    fn promises(&self) -> Value {
        object([
            (
                "definition",
                self.definition
                    .map_or(Value::Null, |definition| text(&definition.name)),
            ),
            (
                "axes",
                Value::Object(
                    self.axes
                        .iter()
                        .map(|(name, range)| (name.clone(), axis(range)))
                        .collect(),
                ),
            ),
            (
                "constraints",
                list(self.constraints.iter().map(|one| text(one.text()))),
            ),
            ("regions", self.regions()),
            (
                "domain",
                Value::Object(
                    self.domain
                        .iter()
                        .map(|(name, drawn)| (name.clone(), domain(drawn)))
                        .collect(),
                ),
            ),
            ("truth", list(self.truth.iter().map(truth))),
            ("tolerance", self.tolerances()),
            (
                "properties",
                list(self.properties.iter().map(|one| text(&one.to_string()))),
            ),
            ("source", self.source.as_deref().map_or(Value::Null, text)),
        ])
    }

    fn regions(&self) -> Value {
        let names =
            |indices: &[usize]| list(indices.iter().map(|index| text(&self.inputs[*index].name)));
        let initial = self.initial.map(|index| text(&self.inputs[index].name));
        object([
            ("a", names(&self.a)),
            ("b", names(&self.b)),
            (
                "output",
                list(self.outputs.iter().map(|output| text(&output.name))),
            ),
            (
                "scratch",
                self.scratch
                    .as_ref()
                    .map_or(Value::Null, |bytes| text(bytes.text())),
            ),
            ("initial", initial.unwrap_or(Value::Null)),
        ])
    }

    fn tolerances(&self) -> Value {
        let each = self.outputs.iter().zip(&self.tolerance);
        let stated: Vec<(String, Value)> = each
            .filter(|(_, bounds)| !bounds.is_empty())
            .map(|(output, bounds)| (output.name.clone(), self::bounds(bounds)))
            .collect();
        match stated.is_empty() {
            true => Value::Null,
            false => object([("outputs", Value::Object(stated))]),
        }
    }
}

/// A document as text, indented, with an end of line.
pub(super) fn pretty(document: &Value) -> String {
    // Values hold nothing that JSON has no word for.
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

/// An object of the members that are not null, in order.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().filter(|(_, value)| {
        let empty = match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            other => *other == Value::Null,
        };
        !empty
    });
    Value::Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

pub(super) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(super) fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::Array(items.collect())
}

fn float(value: f64) -> Value {
    Value::Float(value)
}

fn whole(value: i64) -> Value {
    u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned)
}

fn tensor(array: &Array) -> Value {
    let length = |length: &Expression| match length.text().parse::<u64>() {
        Ok(number) => Value::Unsigned(number),
        Err(_) => text(length.text()),
    };
    object([
        ("name", text(&array.name)),
        ("dtype", text(array.dtype.name())),
        ("shape", list(array.shape.iter().map(length))),
    ])
}

fn param(param: &Param) -> Value {
    let kind = text(param.kind());
    match *param {
        // As a person would write it, not with the digits of f64.
        Param::F32 { default, min, max } => {
            let short = |value: f32| float(value.to_string().parse().unwrap_or(value.into()));
            object([
                ("type", kind),
                ("default", short(default)),
                ("min", short(min)),
                ("max", short(max)),
            ])
        }
        Param::U32 { default, min, max } => object([
            ("type", kind),
            ("default", Value::Unsigned(default.into())),
            ("min", Value::Unsigned(min.into())),
            ("max", Value::Unsigned(max.into())),
        ]),
        Param::I32 { default, min, max } => object([
            ("type", kind),
            ("default", whole(default.into())),
            ("min", whole(min.into())),
            ("max", whole(max.into())),
        ]),
    }
}

fn axis(axis: &Axis) -> Value {
    let number = |value: u32| Value::Unsigned(value.into());
    if axis.is_fixed() && !axis.is_param {
        return object([("value", number(axis.min))]);
    }
    object([
        ("min", number(axis.min)),
        ("max", number(axis.max)),
        ("multiple_of", number(axis.multiple_of)),
        ("typical", list(axis.typical.iter().copied().map(number))),
    ])
}

fn domain(domain: &Domain) -> Value {
    let special = match domain.special {
        Special {
            zeros: false,
            subnormals: false,
            infinities: false,
            nans: false,
        } => text("none"),
        Special {
            zeros,
            subnormals,
            infinities,
            nans,
        } => list(
            [
                (zeros, "zeros"),
                (subnormals, "subnormals"),
                (infinities, "infinities"),
                (nans, "nans"),
            ]
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| text(name)),
        ),
    };
    let class = |name: &str, bounds: [(&str, Option<Value>); 2]| {
        let [(first, low), (second, high)] = bounds;
        object([
            ("class", text(name)),
            (first, low.unwrap_or(Value::Null)),
            (second, high.unwrap_or(Value::Null)),
            ("special", special.clone()),
        ])
    };
    let between =
        |name, min, max| class(name, [("min", Some(float(min))), ("max", Some(float(max)))]);
    let alone = |name| class(name, [("min", None), ("max", None)]);
    match domain.class {
        Class::Normal { scale } => class("normal", [("scale", Some(float(scale))), ("max", None)]),
        Class::Uniform { min, max } => between("uniform", min, max),
        Class::LogUniform { min, max } => between("log_uniform", min, max),
        Class::Unit => alone("unit"),
        Class::Integers { min, max } => class(
            "integers",
            [("min", min.map(whole)), ("max", max.map(whole))],
        ),
        Class::Angles => alone("angles"),
        Class::Constant { value } => {
            class("constant", [("value", Some(float(value))), ("max", None)])
        }
    }
}

fn truth(truth: &TruthSource) -> Value {
    match truth {
        TruthSource::Builtin => text("builtin"),
        TruthSource::Vectors => text("vectors"),
        TruthSource::Onnx(onnx) => object([("onnx", self::onnx(onnx))]),
        TruthSource::Reference(reference) => object([(
            "reference",
            object([
                ("path", text(&reference.file.path)),
                (
                    "hash",
                    text(&format!("sha256:{}", hex(&reference.file.sha256))),
                ),
                ("entry_point", text(&reference.entry_point)),
            ]),
        )]),
    }
}

fn onnx(onnx: &Onnx) -> Value {
    let attributes = onnx.attributes.iter();
    let operand = |operand: &Operand| match operand {
        Operand::Tensor(name) => text(name),
        Operand::Param(name) => object([("param", text(name))]),
        Operand::Absent => text(""),
    };
    object([
        ("op", text(&onnx.op)),
        ("version", Value::Unsigned(onnx.version.into())),
        (
            "attributes",
            Value::Object(
                attributes
                    .map(|(name, value)| (name.clone(), attribute(value)))
                    .collect(),
            ),
        ),
        ("inputs", list(onnx.inputs.iter().map(operand))),
        ("outputs", list(onnx.outputs.iter().map(|name| text(name)))),
    ])
}

fn attribute(value: &Attribute) -> Value {
    match value {
        Attribute::Integer(value) => whole(*value),
        Attribute::Number(value) => float(*value),
        Attribute::Text(value) => text(value),
        Attribute::List(items) => list(items.iter().map(attribute)),
        Attribute::Param(name) => object([("param", text(name))]),
        Attribute::Axis(name) => object([("axis", text(name))]),
    }
}

fn bounds(bounds: &Bounds) -> Value {
    let distance = |expression: &Option<Expression>| match expression {
        None => Value::Null,
        Some(expression) => match expression.text().parse::<f64>() {
            Ok(number) => float(number),
            Err(_) => text(expression.text()),
        },
    };
    object([
        (
            "bits",
            if bounds.bits {
                Value::Bool(true)
            } else {
                Value::Null
            },
        ),
        ("ulp", distance(&bounds.ulp)),
        ("abs", distance(&bounds.abs)),
        ("rel", distance(&bounds.rel)),
        ("nmse", distance(&bounds.nmse)),
    ])
}
