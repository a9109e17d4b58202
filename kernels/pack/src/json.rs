//! JSON without surprises: UTF-8, no byte-order mark, bounded size and depth, no duplicate keys at any level,
//! nothing after the top-level value, numbers inside f64.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserializer, Serialize, Serializer};

/// Nesting that a manifest may have; the top-level object is level 1.
pub(crate) const DEEPEST: usize = 32;

/// A JSON value that keeps the order of object members and the difference between integers and other numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number spelled without fraction and exponent that is not negative.
    Unsigned(u64),
    /// A number spelled without fraction and exponent that is negative.
    Negative(i64),
    /// Any other number; finite.
    Float(f64),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Unsigned(_) | Value::Negative(_) | Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The member of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn as_string(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads one value; the error says what is wrong and where.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("it starts with a byte-order mark".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Level(1)
        .deserialize(&mut deserializer)
        .map_err(|error| error.to_string())?;
    deserializer
        .end()
        .map_err(|error| format!("something follows the top-level object: {error}"))?;
    Ok(value)
}

/// Reads a value whose arrays and objects would be at this level.
struct Level(usize);

impl Level {
    fn enter<E: serde::de::Error>(&self) -> Result<Level, E> {
        if self.0 > DEEPEST {
            return Err(E::custom(format_args!(
                "nested deeper than {DEEPEST} levels"
            )));
        }
        Ok(Level(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() {
            Ok(Value::Float(value))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.enter::<A::Error>()?.0;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Level(inner))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.enter::<A::Error>()?.0;
        let mut members = Vec::new();
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format_args!(
                    "duplicate key {}",
                    crate::error::quoted(&key)
                )));
            }
            members.push((key, map.next_value_seed(Level(inner))?));
        }
        Ok(Value::Object(members))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Unsigned(value) => serializer.serialize_u64(*value),
            Value::Negative(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn keeps_order_and_the_kinds_of_numbers() {
        // Fails if a dependency turns on serde_json's arbitrary_precision, which changes what visitors see.
        let text = r#"{"b":1,"a":[-1,1.0,1e3,18446744073709551616,null,true,"x"]}"#;
        let expected = Value::Object(vec![
            ("b".to_owned(), Value::Unsigned(1)),
            (
                "a".to_owned(),
                Value::Array(vec![
                    Value::Negative(-1),
                    Value::Float(1.0),
                    Value::Float(1000.0),
                    Value::Float(18_446_744_073_709_551_616.0),
                    Value::Null,
                    Value::Bool(true),
                    Value::String("x".to_owned()),
                ]),
            ),
        ]);
        assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn duplicate_keys_are_refused_at_any_level_and_in_any_spelling() {
        assert!(refused(r#"{"a":1,"a":1}"#).contains("duplicate"));
        assert!(refused(r#"{"x-a":[{"b":{"c":1,"\u0063":2}}]}"#).contains("duplicate"));
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEEPEST).as_bytes()).is_ok());
        assert!(refused(&nested(DEEPEST + 1)).contains("deeper"));
        assert!(refused(&"[".repeat(1 << 20)).contains("deeper"));
        assert!(refused(&r#"{"a":"#.repeat(100_000)).contains("deeper"));
    }

    #[test]
    fn what_is_not_exactly_one_json_value_is_refused() {
        for text in [
            "",
            " ",
            "{} {}",
            "{}x",
            "{}\0",
            "{\"a\":1,}",
            "{'a':1}",
            "{a:1}",
            "[1e999]",
            "[-1e999]",
            "[01]",
            "[NaN]",
            "[.5]",
            "[+1]",
            "\"\\ud800\"",
            "\"\n\"",
            "// c\n{}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(b"\xef\xbb\xbf{}").is_err());
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(
            parse(
                "{}".encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect::<Vec<_>>()
                    .as_slice()
            )
            .is_err()
        );
        assert!(parse(b" {} \n").is_ok());
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = parse(br#"{"b":[1,-2,0.5,{"a":null}],"a":"\u0001\""}"#).unwrap();
        let text = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(parse(&text), Ok(value));
    }
}
