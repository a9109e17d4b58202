//! The definition that a contract names, and what it may claim beside it.

use std::collections::BTreeSet;

use super::super::read::{Tolerances, Written};
use super::super::{Bounds, Definition, Expression, TruthSource, definitions};
use super::{Flaw, Interface};
use crate::error::quoted;
use crate::schema::{Param, Tensor};

/// The definition that the contract names, or that the kernel's id implies.
pub(super) fn definition(
    interface: &Interface<'_>,
    written: &Written,
) -> Result<Option<&'static Definition>, String> {
    let Some(name) = &written.definition else {
        // Whoever says where the truth comes from has a kernel of their own, unless it could be called in the place of this project's.
        let own = written
            .truth
            .iter()
            .any(|truth| *truth != TruthSource::Vectors && *truth != TruthSource::Builtin);
        return Ok(Definition::of_kernel(interface.id)
            .filter(|definition| !own || contradiction(interface, definition).is_none()));
    };
    let of_name = || definitions().iter().filter(|one| one.name == *name);
    if of_name().next().is_none() {
        let names: BTreeSet<_> = definitions().iter().map(|one| one.name.as_str()).collect();
        return Err(format!(
            "names the definition {}; there are {}",
            quoted(name),
            names.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let mut reasons = Vec::new();
    for definition in of_name() {
        match contradiction(interface, definition) {
            None => return Ok(Some(definition)),
            Some(reason) => reasons.push(format!("{}: {reason}", definition.kernel)),
        }
    }
    Err(format!(
        "names the definition {name}, which the manifest contradicts: {}",
        reasons.join("; ")
    ))
}

/// How the interface is none of the definition's; names of tensors may differ.
pub(super) fn contradiction(interface: &Interface<'_>, definition: &Definition) -> Option<String> {
    for (what, own, due) in [
        ("input", interface.inputs, definition.inputs()),
        ("output", interface.outputs, definition.outputs()),
    ] {
        if own.len() != due.len() {
            return Some(format!("{} {what}s where {} are due", own.len(), due.len()));
        }
        for (own, due) in own.iter().zip(due) {
            if own.dtype != due.dtype {
                return Some(format!(
                    "{what} {} is {} where {} is due",
                    own.name,
                    own.dtype.name(),
                    due.dtype.name()
                ));
            }
            let spelled = |tensor: &Tensor| -> Vec<String> {
                tensor.shape.iter().map(ToString::to_string).collect()
            };
            if spelled(own) != spelled(due) {
                return Some(format!(
                    "{what} {} is [{}] where [{}] is due",
                    own.name,
                    spelled(own).join(", "),
                    spelled(due).join(", ")
                ));
            }
        }
    }
    let (own, due) = (interface.params, definition.params());
    let named = |params: &[(String, Param)]| -> Vec<String> {
        let spelled = params
            .iter()
            .map(|(name, param)| format!("{name} {}", param.kind()));
        spelled.collect()
    };
    let (own, due) = (named(own), named(due));
    let enough = own.len() >= definition.needed_params() && own.len() <= due.len();
    if !enough || own != due[..own.len()] {
        return Some(format!(
            "its parameters are [{}] where [{}] are due",
            own.join(", "),
            due.join(", ")
        ));
    }
    None
}

/// A claim that is tighter than what the definition can hold is none.
pub(super) fn check_claim(
    interface: &Interface<'_>,
    written: &Written,
    definition: Option<&Definition>,
) -> Result<(), Flaw> {
    let Some((name, held)) =
        definition.and_then(|definition| Some((&definition.name, definition.bounds()?)))
    else {
        return Ok(());
    };
    let constant = |expression: &Option<Expression>| {
        expression
            .as_ref()
            .and_then(|expression| expression.real(&|_| Some(1.0)).ok())
    };
    let of_bounds = |bounds: &Bounds| {
        let ulp = if bounds.bits {
            Some(0.0)
        } else {
            constant(&bounds.ulp)
        };
        (constant(&bounds.abs), constant(&bounds.rel), ulp)
    };
    let (held_abs, held_rel, held_ulp) = of_bounds(held);
    let claimed = match (&written.tolerance, interface.tolerance) {
        (Some(Tolerances::All(bounds)), _) => of_bounds(bounds),
        (Some(Tolerances::Each(each)), _) => match each.values().next() {
            Some(bounds) => of_bounds(bounds),
            None => return Ok(()),
        },
        (None, Some(tolerance)) => (tolerance.abs, tolerance.rel, tolerance.ulp),
        (None, None) => return Ok(()),
    };
    for (key, claimed, held) in [
        ("abs", claimed.0, held_abs),
        ("rel", claimed.1, held_rel),
        ("ulp", claimed.2, held_ulp),
    ] {
        if let (Some(claimed), Some(held)) = (claimed, held)
            && claimed < held
        {
            return Err(Flaw::Claim(format!(
                "claims a tolerance of {key} {claimed:e}, tighter than {name} can hold: {held:e}"
            )));
        }
    }
    // In f32 a unit in the last place is at most 2^-23 of the value.
    if let (Some(ulp), Some(held), None) = (claimed.2, held_rel, held_ulp)
        && ulp * f64::from(f32::EPSILON) < held
        && claimed.1.is_none()
        && claimed.0.is_none()
    {
        return Err(Flaw::Claim(format!(
            "claims a tolerance of {ulp} ulp, tighter than {name} can hold: rel {held:e}"
        )));
    }
    Ok(())
}
