//! Reading typed fields out of JSON objects; everything that is not asked for is an error.

use crate::MANIFEST_FILE;
use crate::error::{Code, Findings, Rejection, quoted};
use crate::json::Value;

/// Where a value stands, for messages: `kernels[0].params`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    path: String,
    kernel: Option<String>,
    /// The file, where it is not the manifest.
    file: Option<String>,
}

impl Place {
    /// The top level of another file than the manifest.
    pub(crate) fn in_file(name: &str) -> Self {
        Self {
            file: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// The place of a member.
    pub(crate) fn field(&self, name: &str) -> Self {
        let name = quoted(name);
        let name = name.trim_matches('"');
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            path,
            ..self.clone()
        }
    }

    /// The place of an element.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            ..self.clone()
        }
    }

    /// The same place, known to belong to a kernel.
    pub(crate) fn of_kernel(mut self, id: &str) -> Self {
        self.kernel = Some(id.to_owned());
        self
    }

    /// `manifest-invalid` here.
    pub(crate) fn invalid(&self, reason: impl std::fmt::Display) -> Rejection {
        self.refused(Code::ManifestInvalid, reason)
    }

    /// A rejection of any code here.
    pub(crate) fn refused(&self, code: Code, reason: impl std::fmt::Display) -> Rejection {
        let place = if self.path.is_empty() {
            "the top level"
        } else {
            &self.path
        };
        let file = self.file.as_deref().unwrap_or(MANIFEST_FILE);
        let rejection = Rejection::new(code, format!("{file}: {place} {reason}"));
        self.tag(rejection).file(file)
    }

    /// Adds the kernel to a rejection made elsewhere.
    pub(crate) fn tag(&self, rejection: Rejection) -> Rejection {
        match &self.kernel {
            Some(kernel) => rejection.kernel(kernel),
            None => rejection,
        }
    }
}

/// A JSON object being read. Only objects become one: never an array by position.
pub(crate) struct Object<'json> {
    pub(crate) place: Place,
    members: &'json [(String, Value)],
    read: Vec<bool>,
    findings: Findings,
}

impl<'json> Object<'json> {
    pub(crate) fn new(value: &'json Value, place: Place) -> Result<Self, Rejection> {
        match value {
            Value::Object(members) => Ok(Self {
                place,
                members,
                read: vec![false; members.len()],
                findings: Findings::default(),
            }),
            other => Err(place.invalid(format_args!("must be an object, not {}", other.kind()))),
        }
    }

    /// A member that may be absent. `null` is a value like any other, not an absence.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Field<'json>> {
        #[cfg(test)]
        asked::note(&self.place, name);
        let index = self.members.iter().position(|(key, _)| key == name)?;
        self.read[index] = true;
        Some(Field {
            value: &self.members[index].1,
            place: self.place.field(name),
        })
    }

    /// A member that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<Field<'json>, Rejection> {
        self.optional(name)
            .ok_or_else(|| self.place.field(name).invalid("is missing"))
    }

    /// All members of an object whose keys are names; what stands under `x-` is skipped.
    pub(crate) fn named(self) -> impl Iterator<Item = (&'json str, Field<'json>)> {
        let place = self.place;
        self.members
            .iter()
            .filter(|(key, _)| !is_extension(key))
            .map(move |(key, value)| {
                let field = Field {
                    value,
                    place: place.field(key),
                };
                (key.as_str(), field)
            })
    }

    /// As [`required`](Self::required), but what is wrong waits for [`end`](Self::end).
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Field<'json>) -> Result<T, Rejection>,
    ) -> Option<T> {
        let part = self.required(name).and_then(read);
        self.findings.keep(part)
    }

    /// As [`optional`](Self::optional), but what is wrong waits for [`end`](Self::end).
    pub(crate) fn read_optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Field<'json>) -> Result<T, Rejection>,
    ) -> Option<Option<T>> {
        let part = self.optional(name).map(read).transpose();
        self.findings.keep(part)
    }

    /// Keeps what was made of several members for [`end`](Self::end).
    pub(crate) fn keep<T>(&mut self, part: Result<T, Rejection>) -> Option<T> {
        self.findings.keep(part)
    }

    /// Refuses members that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Rejection> {
        self.end(|| Some(()))
    }

    /// Refuses all that was wrong with members, and members that nobody asked for; else what was made of them, `None` only if one was refused.
    pub(crate) fn end<T>(mut self, whole: impl FnOnce() -> Option<T>) -> Result<T, Rejection> {
        let members = self.members.iter().zip(&self.read);
        let unknown = members.filter(|((key, _), read)| !**read && !is_extension(key));
        for ((key, _), _) in unknown {
            let place = self.place.field(key);
            self.findings.keep::<()>(Err(place.invalid(
                "is not a field of this schema; remove it, or put it under a key that starts with x-",
            )));
        }
        let incomplete = || self.place.invalid("is incomplete");
        self.findings.end(|| whole().ok_or_else(incomplete))?
    }
}

/// A value together with its place.
pub(crate) struct Field<'json> {
    pub(crate) value: &'json Value,
    pub(crate) place: Place,
}

impl<'json> Field<'json> {
    pub(crate) fn object(self) -> Result<Object<'json>, Rejection> {
        Object::new(self.value, self.place)
    }

    pub(crate) fn array(
        self,
        most: usize,
    ) -> Result<impl Iterator<Item = Field<'json>>, Rejection> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong_type("an array"));
        };
        if items.len() > most {
            return Err(self
                .place
                .invalid(format_args!("has more than {most} entries")));
        }
        let place = self.place;
        Ok(items.iter().enumerate().map(move |(index, value)| Field {
            value,
            place: place.index(index),
        }))
    }

    pub(crate) fn string(&self) -> Result<&'json str, Rejection> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong_type("a string")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool, Rejection> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// An integer in a range. `1.0` and `1e3` are not integers.
    pub(crate) fn integer(&self, from: u64, to: u64) -> Result<u64, Rejection> {
        match self.value {
            Value::Unsigned(value) if (from..=to).contains(value) => Ok(*value),
            Value::Unsigned(_) | Value::Negative(_) | Value::Float(_) => Err(self
                .place
                .invalid(format_args!("must be an integer in {from}..={to}"))),
            _ => Err(self.wrong_type("an integer")),
        }
    }

    /// As [`integer`](Self::integer), for values that fit 32 bits.
    pub(crate) fn integer32(&self, from: u32, to: u32) -> Result<u32, Rejection> {
        // The range makes the conversion lossless.
        self.integer(from.into(), to.into())
            .map(|value| value as u32)
    }

    /// Any number, finite.
    pub(crate) fn number(&self) -> Result<f64, Rejection> {
        match self.value {
            Value::Unsigned(value) => Ok(*value as f64),
            Value::Negative(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            _ => Err(self.wrong_type("a number")),
        }
    }

    /// A number that is not negative.
    pub(crate) fn non_negative(&self) -> Result<f64, Rejection> {
        let value = self.number()?;
        if value >= 0.0 {
            Ok(value)
        } else {
            Err(self.place.invalid("must not be negative"))
        }
    }

    /// Text for people: one line, not empty, no control characters.
    pub(crate) fn text(&self) -> Result<String, Rejection> {
        let text = self.string()?;
        if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
            return Err(self
                .place
                .invalid("must be 1 to 1024 bytes of text without control characters"));
        }
        Ok(text.to_owned())
    }

    /// Text for people: any number of lines, also none; no other control characters.
    pub(crate) fn paragraph(&self) -> Result<String, Rejection> {
        let text = self.string()?;
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if text.len() > 4096 || text.chars().any(control) {
            return Err(self
                .place
                .invalid("must be at most 4096 bytes of text without control characters"));
        }
        Ok(text.to_owned())
    }

    /// 1 to 64 ASCII characters of the given set: nothing that could steer a path, a log line or a label.
    pub(crate) fn identifier(
        &self,
        set: &str,
        allowed: impl Fn(u8) -> bool,
    ) -> Result<String, Rejection> {
        let text = self.string()?;
        check_identifier(text, &self.place, set, allowed)?;
        Ok(text.to_owned())
    }

    pub(crate) fn version(&self) -> Result<semver::Version, Rejection> {
        let text = self.string()?;
        if text.len() > 128 {
            return Err(self.place.invalid("is too long for a version"));
        }
        semver::Version::parse(text).map_err(|error| {
            self.place.invalid(format_args!(
                "is not a semantic version: {} ({error})",
                quoted(text)
            ))
        })
    }

    fn wrong_type(&self, expected: &str) -> Rejection {
        self.place.invalid(format_args!(
            "must be {expected}, not {}",
            self.value.kind()
        ))
    }
}

/// Refuses a name that is not 1 to 64 ASCII characters of a set.
pub(crate) fn check_identifier(
    text: &str,
    place: &Place,
    set: &str,
    allowed: impl Fn(u8) -> bool,
) -> Result<(), Rejection> {
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
        return Err(place.invalid(format_args!("must be 1 to 64 of {set}: {}", quoted(text))));
    }
    Ok(())
}

fn is_extension(key: &str) -> bool {
    key.starts_with("x-")
}

/// Which fields were asked for, by their places: a test holds docs/pack.md to it.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::Place;

    thread_local! {
        static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(place: &Place, name: &str) {
        ASKED.with_borrow_mut(|asked| asked.insert(place.field(name).path));
    }

    /// Those of this thread since the last time.
    pub(crate) fn take() -> BTreeSet<String> {
        ASKED.take()
    }
}
