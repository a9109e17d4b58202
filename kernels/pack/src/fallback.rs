//! What runs in a kernel's place when it fails.

use std::collections::BTreeMap;

use crate::error::{Rejection, quoted};
use crate::fields::Field;
use crate::schema::{KernelEntry, Tensor};

/// Native references that a host has, and the prefix of the ids of the kernels whose inputs they take.
pub(crate) const NATIVE_REFERENCES: [(&str, &str); 6] = [
    ("rope_reference", "rope_"),
    ("rmsnorm_reference", "rmsnorm_"),
    ("swiglu_reference", "swiglu_"),
    ("kv_pack_reference", "kv_pack_"),
    ("kv_unpack_reference", "kv_unpack_"),
    ("lora_apply_reference", "lora_apply_"),
];

/// What runs in a kernel's place when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Another kernel of the pack, with the same inputs.
    Kernel(String),
    /// A native reference of the host, such as `rope_reference`.
    NativeReference(String),
}

/// Entries for kernels that the pack does not hold: more than a pack has kernels are no oversight.
const MOST_UNUSED: usize = 256;

/// Reads `fallbacks`: what stands in for a kernel exists, takes the same inputs, and no chain returns to its start.
/// An entry for a kernel that is not in the pack has no effect; the second list warns of each.
pub(crate) fn parse(
    field: Field<'_>,
    kernels: &[KernelEntry],
) -> Result<(BTreeMap<String, Fallback>, Vec<String>), Rejection> {
    let mut warnings = Vec::new();
    let place = field.place.clone();
    let find = |id: &str| kernels.iter().find(|kernel| kernel.id == id);
    let mut fallbacks = BTreeMap::new();
    for (id, target) in field.object()?.named() {
        let Some(kernel) = find(id) else {
            target.string()?;
            if warnings.len() >= MOST_UNUSED {
                return Err(place.invalid(format_args!(
                    "has more than {MOST_UNUSED} entries for kernels that the pack does not hold"
                )));
            }
            warnings.push(format!(
                "fallbacks: the pack holds no kernel {}; the entry has no effect",
                quoted(id)
            ));
            continue;
        };
        let at = target.place.clone().of_kernel(id);
        let name = target.string().map_err(|rejection| at.tag(rejection))?;
        let fallback = if let Some(other) = find(name) {
            if !same_inputs(&kernel.inputs, &other.inputs) {
                return Err(at.invalid(format_args!(
                    "falls back to {name}, which takes other inputs"
                )));
            }
            Fallback::Kernel(name.to_owned())
        } else if let Some((_, family)) = NATIVE_REFERENCES.iter().find(|(known, _)| *known == name)
        {
            if !id.starts_with(family) {
                return Err(at.invalid(format_args!(
                    "falls back to {name}, which takes other inputs"
                )));
            }
            Fallback::NativeReference(name.to_owned())
        } else {
            return Err(at.invalid(format_args!(
                "falls back to {}, which is neither a kernel of the pack nor a native reference",
                quoted(name)
            )));
        };
        fallbacks.insert(id.to_owned(), fallback);
    }
    for start in fallbacks.keys() {
        // Each kernel has one fallback: a chain longer than the map has come back to where it was.
        let mut at = start;
        for _ in 0..fallbacks.len() {
            match fallbacks.get(at) {
                Some(Fallback::Kernel(next)) => at = next,
                _ => break,
            }
            if at == start {
                return Err(place
                    .of_kernel(start)
                    .invalid(format_args!("form a cycle through {start}")));
            }
        }
    }
    Ok((fallbacks, warnings))
}

/// Same types and shapes in the same order; names are for people.
fn same_inputs(a: &[Tensor], b: &[Tensor]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.dtype == b.dtype && a.shape == b.shape)
}
