//! Arrays, and objects whose keys are names, with all that is wrong with what stands in them.

use std::collections::BTreeMap;

use super::MOST_NAMES;
use crate::error::{Findings, Rejection};
use crate::fields::{Field, check_identifier};

/// An optional array.
pub(super) fn list<T>(
    field: Option<Field<'_>>,
    most: usize,
    mut read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<Vec<T>, Rejection> {
    let mut findings = Findings::default();
    let mut elements = Vec::new();
    if let Some(field) = field {
        for element in field.array(most)? {
            elements.extend(findings.keep(read(element)));
        }
    }
    findings.end(|| elements)
}

/// An optional object whose keys are names, in order of the names.
pub(crate) fn names<T>(
    field: Option<Field<'_>>,
    read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<BTreeMap<String, T>, Rejection> {
    named(field, read).map(|entries| entries.into_iter().collect())
}

/// An optional object whose keys are names, in the order in which they are written.
pub(super) fn named<T>(
    field: Option<Field<'_>>,
    mut read: impl FnMut(Field<'_>) -> Result<T, Rejection>,
) -> Result<Vec<(String, T)>, Rejection> {
    let mut findings = Findings::default();
    let mut entries = Vec::new();
    if let Some(field) = field {
        let place = field.place.clone();
        for (index, (name, entry)) in field.object()?.named().enumerate() {
            if index == MOST_NAMES {
                return Err(place.invalid(format_args!("has more than {MOST_NAMES} entries")));
            }
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            let checked = check_identifier(
                name,
                &entry.place,
                "letters, digits, `.`, `_`, `-`",
                allowed,
            );
            let read = checked.and_then(|()| read(entry));
            entries.extend(findings.keep(read).map(|entry| (name.to_owned(), entry)));
        }
    }
    findings.end(|| entries)
}
