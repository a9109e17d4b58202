use crate::{
    element::{Element, F32},
    lanes::Lanes,
    slice::{span, span_mut, split_mut},
    unroll::unroll,
};

/// A function of two elements.
pub(crate) trait Elementwise {
    /// About how many operations it takes, where a division counts as twenty.
    const OPERATIONS: usize;

    /// The function.
    fn apply<L: Lanes>(&self, a: L, b: L) -> L;
}

/// Groups of lanes per loop back edge, of so many operations each: many where a group is cheap. A power of two, and not 1.
pub(crate) const fn groups(operations: usize) -> usize {
    let groups = OPERATIONS / operations;
    match groups {
        0..4 => 2,
        4..64 => 1 << groups.ilog2(),
        _ => 64,
    }
}

/// Operations per loop back edge. A check there costs about as much as ten of them.
const OPERATIONS: usize = 640;

/// output\[i\] = f(a\[i\], b\[i\]), as far as all three reach.
#[inline(always)]
pub(crate) fn map<L: Lanes, E: Element, B: Element, F: Elementwise>(
    f: &F,
    a: &[E],
    b: &[B],
    output: &mut [E],
) {
    let groups = const { groups(F::OPERATIONS + 2 * E::OPERATIONS + B::OPERATIONS) };
    let step = groups * L::COUNT;
    let (mut a, mut b) = (a.chunks_exact(step), b.chunks_exact(step));
    let mut output = output.chunks_exact_mut(step);
    for ((a, b), output) in (&mut a).zip(&mut b).zip(&mut output) {
        unroll!(groups / 2, |i| pair::<L, E, B, F>(
            f,
            span(a, 2 * i * L::COUNT, 2 * L::COUNT),
            span(b, 2 * i * L::COUNT, 2 * L::COUNT),
            span_mut(output, 2 * i * L::COUNT, 2 * L::COUNT),
        ));
    }
    let (a, b, output) = (a.remainder(), b.remainder(), output.into_remainder());
    let (mut a, mut b) = (a.chunks_exact(L::COUNT), b.chunks_exact(L::COUNT));
    let mut output = output.chunks_exact_mut(L::COUNT);
    for ((a, b), output) in (&mut a).zip(&mut b).zip(&mut output) {
        one::<L, E, B, F>(f, a, b, output);
    }
    let inputs = a
        .remainder()
        .chunks_exact(1)
        .zip(b.remainder().chunks_exact(1));
    for ((a, b), output) in inputs.zip(output.into_remainder().chunks_exact_mut(1)) {
        one::<f32, E, B, F>(f, a, b, output);
    }
}

#[inline(always)]
fn pair<L: Lanes, E: Element, B: Element, F: Elementwise>(
    f: &F,
    a: &[E],
    b: &[B],
    output: &mut [E],
) {
    let ([a, next_a], [b, next_b]) = (E::load_pair::<L>(a), B::load_pair::<L>(b));
    E::store_pair([f.apply(a, b), f.apply(next_a, next_b)], output);
}

#[inline(always)]
fn one<L: Lanes, E: Element, B: Element, F: Elementwise>(
    f: &F,
    a: &[E],
    b: &[B],
    output: &mut [E],
) {
    E::store_lanes(f.apply(E::load_lanes::<L>(a), B::load_lanes(b)), output);
}

/// The values of elements, for which there is room.
#[inline(always)]
pub(crate) fn widen<L: Lanes, E: Element>(from: &[E], into: &mut [F32]) {
    let into = split_mut(into, from.len()).0;
    let (from, into) = widen_by::<L, E>(16, from, into);
    let (from, into) = widen_by::<L, E>(2, from, into);
    for (from, into) in from.iter().zip(into) {
        *into = F32::store(from.load());
    }
}

/// [`widen`] of as many elements by so many groups of lanes per loop back edge; returns what is left.
#[inline(always)]
fn widen_by<'a, L: Lanes, E: Element>(
    groups: usize,
    from: &'a [E],
    into: &'a mut [F32],
) -> (&'a [E], &'a mut [F32]) {
    let mut from = from.chunks_exact(groups * L::COUNT);
    let mut into = into.chunks_exact_mut(groups * L::COUNT);
    for (from, into) in (&mut from).zip(&mut into) {
        unroll!(groups / 2, |i| {
            let values = E::load_pair::<L>(span(from, 2 * i * L::COUNT, 2 * L::COUNT));
            F32::store_pair(values, span_mut(into, 2 * i * L::COUNT, 2 * L::COUNT));
        });
    }
    (from.remainder(), into.into_remainder())
}
