//! Makes a failing call smaller, step by step: shorter axes, default parameters, simple values.
//!
//! It begins with the call itself and not with what that was drawn from, so that any call of which a contract has the tensors can be made smaller.
//! Each step is again a call that the contract takes, with values that its domains have.

use super::{
    Built, Value,
    draw::{nearest, shortest, solve, total, within},
    params::{default, no_axes, read},
    searched::allows,
};
use crate::{
    case::{Case, Entry},
    number,
};
use kernel_pack::{
    Dtype,
    contract::{Array, Contract, Domain},
};
use std::{
    collections::BTreeMap,
    ops::ControlFlow::{self, Continue},
    sync::Arc,
};

/// Says of a smaller call whether it fails too; a break ends the search.
pub type Fails<'a> = dyn FnMut(Case) -> ControlFlow<(), bool> + 'a;

/// Lengths on either side of one that a constraint forbids, among which one that it allows is looked for.
const NEIGHBOURS: u32 = 64;
/// Most parts of an input that are made simple one by one; what is left then is taken apart again.
const PARTS: usize = 64;
/// The largest whole number that is called small.
const SMALL: f64 = 99.0;

/// A failing call that is to become smaller.
#[derive(Clone, Debug)]
pub struct Smaller {
    contract: Arc<Contract>,
    /// The call as it was found.
    found: Case,
    /// The smallest one so far.
    smallest: Draft,
}

/// What a call follows from.
#[derive(Clone, Debug)]
struct Draft {
    /// Of axes and parameters.
    values: BTreeMap<String, Value>,
    /// Bytes of every input, in the order of the contract.
    data: Vec<Vec<u8>>,
    /// Bytes of scratch, at least.
    scratch: u32,
}

/// Which elements a shorter axis keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// How simple a value is, the simplest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Zero,
    One,
    Whole,
    Any,
}

impl Smaller {
    /// For a case that calls for work and not for a refusal. `None` for any other one, and where the tensors of the contract are not those of the case.
    pub fn new(contract: &Arc<Contract>, case: &Case) -> Option<Self> {
        if case.entry != Entry::Forward || !case.expects_output() || !case.tweaks.is_empty() {
            return None;
        }
        let (contract, values) = match &case.open {
            Some(call) => (contract.clone(), call.own_values()),
            None => {
                let contract = without_optional(contract, case);
                let values = read(&contract, &case.params)?;
                (Arc::new(contract), values)
            }
        };
        let built = Built::new(&contract, values.clone()).ok()?;
        let needed = built.shape.scratch;
        let (inputs, _) = built.tensors(&contract);
        let data = inputs.iter().map(|input| input.in_case(case).to_vec());
        let smaller = Self {
            contract,
            found: case.clone(),
            smallest: Draft {
                values,
                data: data.collect(),
                scratch: case.scratch_size,
            },
        };
        let same = smaller.case(&smaller.smallest)?;
        let fits = same.params == case.params
            && (&same.a, &same.b, &same.base) == (&case.a, &case.b, &case.base)
            && same.output_size == case.output_size
            && needed <= case.scratch_size;
        fits.then_some(smaller)
    }

    /// Tries smaller and smaller calls, as long as any of them fails.
    pub fn search(mut self, fails: &mut Fails<'_>) -> ControlFlow<()> {
        if self.found.scratch_size > 0 {
            let draft = Draft {
                scratch: 0,
                ..self.smallest.clone()
            };
            self.take(draft, fails)?;
        }
        loop {
            let shorter = self.shorten_all(fails)?;
            let usual = self.usual_parameters(fails)?;
            let simpler = self.simplify_all(fails)?;
            if !(shorter || usual || simpler) {
                return Continue(());
            }
        }
    }

    fn case(&self, draft: &Draft) -> Option<Case> {
        let built = Built::new(&self.contract, draft.values.clone()).ok()?;
        let Case { source, name, .. } = &self.found;
        let made = built.case(&self.contract, *source, name.clone(), &draft.data);
        Some(Case {
            kernel: self.found.kernel.clone(),
            scratch_size: made.scratch_size.max(draft.scratch),
            stress: self.found.stress,
            // What is known of a kernel by heart is about calls without names.
            open: made.open.filter(|_| self.found.open.is_some()),
            ..made
        })
    }

    /// Makes a call the smallest one, if it fails.
    fn take(&mut self, draft: Draft, fails: &mut Fails<'_>) -> ControlFlow<(), bool> {
        let Some(case) = self.case(&draft) else {
            return Continue(false);
        };
        let failed = fails(case)?;
        if failed {
            self.smallest = draft;
        }
        Continue(failed)
    }

    /// The call with other axes or parameters, if they are others and the contract allows them; its tensors are no larger.
    fn with(&self, mut values: BTreeMap<String, Value>, end: End) -> Option<Draft> {
        solve(&self.contract, &mut values);
        if values == self.smallest.values {
            return None;
        }
        let now = Built::new(&self.contract, self.smallest.values.clone()).ok()?;
        let built = within(&self.contract, values, total(&now))?;
        let shapes = now.shape.inputs.iter().zip(&built.shape.inputs);
        let inputs = self.contract.inputs.iter().zip(shapes);
        let data = inputs.zip(&self.smallest.data);
        let data: Option<Vec<Vec<u8>>> = data
            .map(|((array, (from, to)), bytes)| cut(array.dtype, bytes, (from, to), end))
            .collect();
        Some(Draft {
            values: built.values,
            data: data?,
            scratch: self.smallest.scratch,
        })
    }

    fn length(&self, axis: &str) -> u32 {
        let length = self.smallest.values.get(axis);
        let length = length.and_then(|length| length.integer());
        length.map_or(0, |length| length as u32)
    }

    fn shorten_all(&mut self, fails: &mut Fails<'_>) -> ControlFlow<(), bool> {
        let mut any = false;
        for end in [End::First, End::Last] {
            let mut all = shortest(&self.contract);
            all.retain(|name, least| least.real() < self.length(name).into());
            let mut values = self.smallest.values.clone();
            values.extend(all);
            if let Some(draft) = self.with(values, end) {
                any |= self.take(draft, fails)?;
            }
            let mut names: Vec<String> = self.contract.axes.keys().cloned().collect();
            names.sort_by_key(|name| std::cmp::Reverse(self.length(name)));
            for name in names {
                any |= self.shorten(&name, end, fails)?;
            }
        }
        Continue(any)
    }

    /// Looks for the shortest length of an axis that fails, the least of all first and then by halves.
    fn shorten(&mut self, name: &str, end: End, fails: &mut Fails<'_>) -> ControlFlow<(), bool> {
        let axis = &self.contract.axes[name];
        let step = axis.multiple_of;
        let mut least = nearest(axis, axis.min.max(1));
        let mut wanted = least;
        let mut any = false;
        while let Some((length, draft)) = self.between(name, (least, wanted), step, end) {
            match self.take(draft, fails)? {
                true => any = true,
                false => least = length.saturating_add(1),
            }
            wanted = least.midpoint(self.length(name));
        }
        Continue(any)
    }

    /// The call with an axis of the length nearest to the wanted one, of those that the contract allows from the least one to below what it is.
    fn between(
        &self,
        name: &str,
        (least, wanted): (u32, u32),
        step: u32,
        end: End,
    ) -> Option<(u32, Draft)> {
        let start = wanted / step * step;
        let beside = (0..NEIGHBOURS).flat_map(|number| {
            let by = number.saturating_mul(step);
            [start.checked_sub(by), start.checked_add(by)]
        });
        let range = least..self.length(name);
        let mut lengths = beside.flatten().filter(|length| range.contains(length));
        lengths.find_map(|length| {
            let mut values = self.smallest.values.clone();
            values.insert(name.to_owned(), Value::Integer(length.into()));
            let draft = self.with(values, end)?;
            // An axis that follows from others is what these make it.
            let own = draft.values.get(name)?.integer()? == i64::from(length);
            own.then_some((length, draft))
        })
    }

    fn usual_parameters(&mut self, fails: &mut Fails<'_>) -> ControlFlow<(), bool> {
        let mut any = false;
        let contract = self.contract.clone();
        for (name, param) in no_axes(&contract) {
            let mut values = self.smallest.values.clone();
            values.insert(name.clone(), default(param));
            if let Some(draft) = self.with(values, End::First) {
                any |= self.take(draft, fails)?;
            }
        }
        Continue(any)
    }

    /// Makes values simple: of each input all at once, then of each the halves of what is left, and so on.
    fn simplify_all(&mut self, fails: &mut Fails<'_>) -> ControlFlow<(), bool> {
        let mut any = false;
        let mut parts = 1;
        while parts <= PARTS {
            for input in 0..self.contract.inputs.len() {
                for rank in [Rank::Zero, Rank::One, Rank::Whole] {
                    any |= self.simplify(input, rank, parts, fails)?;
                }
            }
            parts *= 2;
        }
        Continue(any)
    }

    fn simplify(
        &mut self,
        input: usize,
        rank: Rank,
        parts: usize,
        fails: &mut Fails<'_>,
    ) -> ControlFlow<(), bool> {
        let array = &self.contract.inputs[input];
        let domain = self.contract.domain_of_input(array);
        let unit = array.dtype.unit().1 as usize;
        let elements = self.smallest.data[input].chunks_exact(unit).enumerate();
        let simpler: Vec<(usize, Vec<u8>)> = elements
            .filter_map(|(at, element)| Some((at, simpler(array, &domain, element, rank)?)))
            .collect();
        // So few elements have been tried one by one.
        if simpler.is_empty() || parts > 1 && simpler.len() <= parts / 2 {
            return Continue(false);
        }
        let mut any = false;
        for part in simpler.chunks(simpler.len().div_ceil(parts)) {
            let mut draft = self.smallest.clone();
            for (at, element) in part {
                draft.data[input][at * unit..(at + 1) * unit].copy_from_slice(element);
            }
            any |= self.take(draft, fails)?;
        }
        Continue(any)
    }
}

/// The contract of a kernel that is known by heart, without what a call of it may leave out and does: the last parameters, and input b.
fn without_optional(contract: &Contract, case: &Case) -> Contract {
    let mut contract = contract.clone();
    contract.params.truncate(case.params.len() / 4);
    let others = contract.inputs.len() - contract.b.len();
    if case.b.is_empty() && contract.b.iter().all(|index| *index >= others) {
        contract.inputs.truncate(others);
        contract.b.clear();
    }
    contract
}

/// The first or the last elements along each dimension; where it is longer now, they come again. `None` where there is none to come.
fn cut(dtype: Dtype, bytes: &[u8], (from, to): (&[u32], &[u32]), end: End) -> Option<Vec<u8>> {
    let (per_unit, unit) = dtype.unit();
    // Blocks lie along the last dimension.
    let units = |shape: &[u32]| -> Vec<usize> {
        let mut lengths: Vec<usize> = shape.iter().map(|length| *length as usize).collect();
        if let Some(last) = lengths.last_mut() {
            *last = last.div_ceil(per_unit as usize);
        }
        lengths
    };
    let (from, to) = (units(from), units(to));
    let count: usize = to.iter().product();
    let mut kept = Vec::with_capacity(count * unit as usize);
    for index in 0..count {
        let (mut rest, mut place, mut stride) = (index, 0, 1);
        for (old, new) in from.iter().zip(&to).rev() {
            let left_out = match end {
                End::First => 0,
                End::Last => old.saturating_sub(*new),
            };
            place += stride * (rest % new + left_out).checked_rem(*old)?;
            rest /= new;
            stride *= old;
        }
        let place = place * unit as usize;
        kept.extend_from_slice(bytes.get(place..place + unit as usize)?);
    }
    Some(kept)
}

/// An element of so simple a value in the place of another one; `None` if it is as simple already, or if the domain has no such value. Of a block it is
/// the scale, for which values count as they are drawn.
fn simpler(array: &Array, domain: &Domain, element: &[u8], rank: Rank) -> Option<Vec<u8>> {
    let (dtype, size) = match array.dtype.unit().0 {
        1 => (array.dtype, 1.0),
        _ => (Dtype::F16, super::draw::CODES),
    };
    let (number, codes) = element.split_at(number::bytes_of(dtype, 1));
    let value = *number::decode(dtype, number).first()? * size;
    let simple = match rank {
        Rank::Zero => 0.0,
        Rank::One => 1.0,
        _ => value.round().clamp(-SMALL, SMALL),
    };
    let is_drawn = allows(domain.class, simple) || domain.special.zeros && simple == 0.0;
    if rank_of(value) <= rank || simple.is_nan() || !is_drawn {
        return None;
    }
    let mut element = number::encode(dtype, simple / size)?;
    element.extend_from_slice(codes);
    Some(element)
}

fn rank_of(value: f64) -> Rank {
    match value {
        0.0 => Rank::Zero,
        1.0 => Rank::One,
        _ if value.fract() == 0.0 && value.abs() <= SMALL => Rank::Whole,
        _ => Rank::Any,
    }
}
