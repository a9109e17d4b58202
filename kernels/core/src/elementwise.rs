use crate::{
    element::{Element, F32},
    lanes::Lanes,
    slice::{span, span_mut, split_mut},
    unroll::{in_order, unroll},
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

/// Elements that wait in memory between two passes, at most.
pub(crate) const WAITING: usize = 128;

/// Whether such elements are computed in two passes: as f32, then narrowed.
pub(crate) const fn in_passes<L: Lanes, E: Element>() -> bool {
    L::COUNT > 1 && E::OPERATIONS > 1
}

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
    let blocks = (&mut a).zip(&mut b).zip(&mut output);
    if const { in_passes::<L, E>() } {
        let mut waiting = [F32::default(); WAITING];
        let waiting: &mut [F32; WAITING] = core::hint::black_box(&mut waiting);
        for ((a, b), output) in blocks {
            unroll!(32: groups / 2, |i| pair::<L, E, B, F32, F>(
                i,
                f,
                (a, b),
                waiting
            ));
            in_order();
            unroll!(32: groups / 2, |i| convert_pair::<L, F32, E>(
                i, waiting, output
            ));
        }
    } else {
        for ((a, b), output) in blocks {
            unroll!(32: groups / 2, |i| pair::<L, E, B, E, F>(i, f, (a, b), output));
        }
    }
    map_rest::<L, E, B, F>(f, a.remainder(), b.remainder(), output.into_remainder());
}

/// [`map`] by single groups of lanes.
#[inline(always)]
pub(crate) fn map_rest<L: Lanes, E: Element, B: Element, F: Elementwise>(
    f: &F,
    a: &[E],
    b: &[B],
    output: &mut [E],
) {
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

/// The elements of pair `i` of groups of lanes.
#[inline(always)]
pub(crate) fn pair_of<L: Lanes, E>(i: usize, elements: &[E]) -> &[E] {
    span(elements, 2 * i * L::COUNT, 2 * L::COUNT)
}

/// [`pair_of`], to be written.
#[inline(always)]
pub(crate) fn pair_of_mut<L: Lanes, E>(i: usize, elements: &mut [E]) -> &mut [E] {
    span_mut(elements, 2 * i * L::COUNT, 2 * L::COUNT)
}

#[inline(always)]
fn pair<L: Lanes, E: Element, B: Element, O: Element, F: Elementwise>(
    i: usize,
    f: &F,
    (a, b): (&[E], &[B]),
    output: &mut [O],
) {
    let [a, next_a] = E::load_pair::<L>(pair_of::<L, E>(i, a));
    let [b, next_b] = B::load_pair::<L>(pair_of::<L, B>(i, b));
    let values = [f.apply(a, b), f.apply(next_a, next_b)];
    O::store_pair(values, pair_of_mut::<L, O>(i, output));
}

#[inline(always)]
pub(crate) fn convert_pair<L: Lanes, A: Element, B: Element>(i: usize, from: &[A], into: &mut [B]) {
    let values = A::load_pair::<L>(pair_of::<L, A>(i, from));
    B::store_pair(values, pair_of_mut::<L, B>(i, into));
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

/// The same values as other elements, ties to even, for which there is room.
#[inline(always)]
pub(crate) fn convert<L: Lanes, A: Element, B: Element>(from: &[A], into: &mut [B]) {
    let into = split_mut(into, from.len()).0;
    let (from, into) = convert_by::<L, A, B>(16, from, into);
    let (from, into) = convert_by::<L, A, B>(2, from, into);
    for (from, into) in from.iter().zip(into) {
        *into = B::store(from.load());
    }
}

/// [`convert`] of as many elements by so many groups of lanes per loop back edge; returns what is left.
#[inline(always)]
fn convert_by<'a, L: Lanes, A: Element, B: Element>(
    groups: usize,
    from: &'a [A],
    into: &'a mut [B],
) -> (&'a [A], &'a mut [B]) {
    let mut from = from.chunks_exact(groups * L::COUNT);
    let mut into = into.chunks_exact_mut(groups * L::COUNT);
    for (from, into) in (&mut from).zip(&mut into) {
        unroll!(32: groups / 2, |i| convert_pair::<L, A, B>(i, from, into));
    }
    (from.remainder(), into.into_remainder())
}
