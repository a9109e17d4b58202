use crate::{Error, Result};
use std::ops::Range;

/// Where `length` bytes from address `at` are in a memory of so many bytes: what every access from outside is held against.
///
/// # Errors
/// [`Error::Access`] if they are not all inside.
#[inline]
pub fn inside(at: u32, length: u64, memory_bytes: u64) -> Result<Range<usize>> {
    let end = u64::from(at).saturating_add(length);
    match usize::try_from(end) {
        Ok(last) if end <= memory_bytes => Ok(at as usize..last),
        _ => Err(Error::Access {
            at,
            length,
            memory_bytes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_is_inside_and_the_next_is_not() {
        assert_eq!(inside(7, 3, 10), Ok(7..10));
        assert_eq!(inside(10, 0, 10), Ok(10..10));
        for (at, length) in [(7, 4), (11, 0), (u32::MAX, 1), (1, u64::MAX)] {
            let refused = Error::Access {
                at,
                length,
                memory_bytes: 10,
            };
            assert_eq!(inside(at, length, 10), Err(refused));
        }
    }
}
