use crate::{
    element::Element,
    lanes::Lanes,
    slice::{span, span_mut},
    unroll::unroll,
};

/// A function of two elements.
pub(crate) trait Elementwise {
    /// About how many operations it takes, where a division counts as twenty.
    const OPERATIONS: usize;

    /// The function.
    fn apply<L: Lanes>(&self, a: L, b: L) -> L;
}

/// Groups of lanes per loop back edge, of so many operations each: many where a group is cheap. A power of two.
pub(crate) const fn groups(operations: usize) -> usize {
    let groups = OPERATIONS / operations;
    if groups < 64 { 1 << groups.ilog2() } else { 64 }
}

/// Operations per loop back edge. A check there costs about as much as ten of them.
const OPERATIONS: usize = 640;

/// output\[i\] = f(a\[i\], b\[i\]), as far as all three reach.
#[inline(always)]
pub(crate) fn map<L: Lanes, E: Element, F: Elementwise>(f: &F, a: &[E], b: &[E], output: &mut [E]) {
    let groups = const { groups(F::OPERATIONS + 3 * E::OPERATIONS) };
    let step = groups * L::COUNT;
    let (mut a, mut b) = (a.chunks_exact(step), b.chunks_exact(step));
    let mut output = output.chunks_exact_mut(step);
    for ((a, b), output) in (&mut a).zip(&mut b).zip(&mut output) {
        unroll!(groups, |i| one::<L, E, F>(
            f,
            span(a, i * L::COUNT, L::COUNT),
            span(b, i * L::COUNT, L::COUNT),
            span_mut(output, i * L::COUNT, L::COUNT),
        ));
    }
    let (a, b, output) = (a.remainder(), b.remainder(), output.into_remainder());
    let (mut a, mut b) = (a.chunks_exact(L::COUNT), b.chunks_exact(L::COUNT));
    let mut output = output.chunks_exact_mut(L::COUNT);
    for ((a, b), output) in (&mut a).zip(&mut b).zip(&mut output) {
        one::<L, E, F>(f, a, b, output);
    }
    let inputs = a
        .remainder()
        .chunks_exact(1)
        .zip(b.remainder().chunks_exact(1));
    for ((a, b), output) in inputs.zip(output.into_remainder().chunks_exact_mut(1)) {
        one::<f32, E, F>(f, a, b, output);
    }
}

#[inline(always)]
fn one<L: Lanes, E: Element, F: Elementwise>(f: &F, a: &[E], b: &[E], output: &mut [E]) {
    E::store_lanes(f.apply(E::load_lanes::<L>(a), E::load_lanes(b)), output);
}
