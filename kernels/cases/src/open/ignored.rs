//! Whether each input, each parameter and each axis shows in what is due: what nobody varied nobody judged.

use super::{
    Call,
    blunt::{is_refused, known},
    near, params, shown,
};
use crate::case::Case;
use kernel_pack::contract::Contract;
use std::collections::BTreeSet;

/// The first input, parameter or axis that a kernel could ignore. Where only it is another one, the answer to what it was before must be refused somewhere.
/// A parameter that changes no answer that is due may be ignored. What no call beside another one has differently must at least differ among the calls
/// whose answer is known.
pub(super) fn ignored(cases: &[Case], contract: &Contract) -> Option<String> {
    let calls: Vec<(&Case, &Call)> = cases
        .iter()
        .filter(|case| !known(case).is_empty())
        .filter_map(|case| Some((case, case.open.as_deref()?)))
        .collect();
    let inputs = contract.inputs.iter().enumerate().find_map(|(index, array)| {
        let told = beside(cases, &near::other(&array.name));
        told.of_input(&array.name).or_else(|| {
            let stays = told.asked == 0 && !input_varies(&calls, index);
            stays.then(|| {
                format!(
                    "nobody judged what a kernel does with {}: it has the same elements in all {} calls whose answer is known. Give it a domain of more than one value, or vectors that differ in it",
                    array.name,
                    calls.len()
                )
            })
        })
    });
    let params = || {
        params::no_axes(contract).find_map(|(name, param)| {
            let told = beside(cases, &near::param(name));
            told.of_param(name).or_else(|| {
                let (low, high) = params::bounds(param);
                let stays = low < high && told.asked == 0 && values(&calls, name).len() < 2;
                stays.then(|| {
                    format!(
                        "nobody judged what a kernel does with {name}: it has one value in all {} calls whose answer is known. Give it a domain of more than one value or vectors that differ in it, or let its min and max be that value",
                        calls.len()
                    )
                })
            })
        })
    };
    inputs
        .or_else(params)
        .or_else(|| axis(cases, &calls, contract))
}

/// An axis that calls have differently, but none of those whose answer is known.
fn axis(cases: &[Case], calls: &[(&Case, &Call)], contract: &Contract) -> Option<String> {
    let taken = cases.iter().filter(|case| case.expects_output());
    let all: Vec<(&Case, &Call)> = taken
        .filter_map(|case| Some((case, case.open.as_deref()?)))
        .collect();
    let mut axes = contract.axes.keys();
    let name = axes.find(|name| values(calls, name).len() < 2 && values(&all, name).len() > 1)?;
    Some(format!(
        "nobody judged another {name} than one: all {} calls whose answer is known have the same. Give vectors that differ in it, or let its min and max be that one",
        calls.len()
    ))
}

/// What was found about calls in which only one thing is another one.
struct Told {
    asked: usize,
    /// What is due is another answer.
    differ: usize,
    /// The answer to what it was before is refused.
    refused: usize,
}

impl Told {
    fn of_input(&self, name: &str) -> Option<String> {
        (self.asked > 0 && self.refused == 0).then(|| self.said(name))
    }

    fn of_param(&self, name: &str) -> Option<String> {
        (self.differ > 0 && self.refused == 0).then(|| self.said(name))
    }

    fn said(&self, name: &str) -> String {
        format!(
            "its inputs and its tolerance tell too little: a kernel that ignores {name} would pass, in all {} calls in which only it is another one",
            self.asked
        )
    }
}

fn beside(cases: &[Case], what: &str) -> Told {
    let (mut asked, mut differ, mut refused) = (0, 0, 0);
    for case in cases {
        let Some(base) = base(&case.name, what) else {
            continue;
        };
        let Some(base) = cases.iter().find(|case| case.name == base) else {
            continue;
        };
        for ((call, due), (_, before)) in known(case).iter().zip(&known(base)) {
            asked += 1;
            let is_other = |index: &usize| due[*index].values != before[*index].values;
            let mut outputs = (0..call.outputs.len()).filter(is_other).peekable();
            differ += usize::from(outputs.peek().is_some());
            let before = |index: usize| before[index].values.as_slice();
            refused +=
                usize::from(outputs.any(|index| is_refused(call, due, index, before(index))));
        }
    }
    Told {
        asked,
        differ,
        refused,
    }
}

/// The call beside which one of this name is, if this is what differs.
fn base<'a>(name: &'a str, what: &str) -> Option<&'a str> {
    let base = crate::near::beside(name).or_else(|| shown::beside(name))?;
    let rest = name[base.len()..].strip_prefix(what)?;
    (rest.is_empty() || rest.starts_with(shown::VALUE)).then_some(base)
}

/// The values that a parameter or an axis has among calls.
fn values(calls: &[(&Case, &Call)], name: &str) -> BTreeSet<u64> {
    let values = calls.iter().filter_map(|(_, call)| call.values.get(name));
    values.map(|value| value.to_bits()).collect()
}

/// Whether an input has other elements in another call, and not only another length of the same.
fn input_varies(calls: &[(&Case, &Call)], index: usize) -> bool {
    let (mut tensors, mut elements) = (BTreeSet::new(), BTreeSet::new());
    for (case, call) in calls {
        let Some(tensor) = call.inputs.get(index) else {
            continue;
        };
        let bytes = call.input(case, tensor);
        let (_, unit) = tensor.dtype.unit();
        tensors.insert(bytes);
        // Two are enough, and a tensor may be long.
        elements.extend(bytes.chunks(unit as usize).take(64));
        if tensors.len() > 1 && elements.len() > 1 {
            return true;
        }
    }
    false
}
