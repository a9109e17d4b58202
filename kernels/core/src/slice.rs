//! Slices that are taken without a panic. The checks of a call guarantee every length here; the compiler cannot see that far,
//! and a module that cannot panic needs no panic messages and no code of the standard library.

use core::slice::{ChunksExact, ChunksExactMut};

/// Rows of `columns` elements. There is at least one column.
pub fn rows<E>(elements: &[E], columns: usize) -> ChunksExact<'_, E> {
    elements.chunks_exact(columns.max(1))
}

/// [`rows`], to be written.
pub fn rows_mut<E>(elements: &mut [E], columns: usize) -> ChunksExactMut<'_, E> {
    elements.chunks_exact_mut(columns.max(1))
}

/// The first `count` elements, and the rest.
pub fn split<E>(elements: &[E], count: usize) -> (&[E], &[E]) {
    elements.split_at(count.min(elements.len()))
}

/// [`split`], to be written.
pub fn split_mut<E>(elements: &mut [E], count: usize) -> (&mut [E], &mut [E]) {
    let count = count.min(elements.len());
    elements.split_at_mut(count)
}

/// `count` elements from `start`.
pub(crate) fn span<E>(elements: &[E], start: usize, count: usize) -> &[E] {
    split(split(elements, start).1, count).0
}

/// [`span`], to be written.
pub(crate) fn span_mut<E>(elements: &mut [E], start: usize, count: usize) -> &mut [E] {
    split_mut(split_mut(elements, start).1, count).0
}
