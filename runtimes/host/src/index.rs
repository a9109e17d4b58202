//! Where the kernels of a pack are, by id: every call asks.

/// A table of places by fingerprints of ids. Ids with the same fingerprint lie one after the other, so that a pack that is made to have
/// many of them is slow to ask, and no more.
pub(crate) struct Index {
    /// A power of two, at least twice as many as there are ids.
    places: Box<[Option<u16>]>,
}

impl Index {
    /// Of ids in their order; those beyond 65 536 are not found.
    pub(crate) fn of<'i>(ids: impl ExactSizeIterator<Item = &'i str>) -> Self {
        let mut places = vec![None; (2 * ids.len()).next_power_of_two().max(2)];
        let mask = places.len() - 1;
        for (at, id) in (0..=u16::MAX).zip(ids) {
            let mut place = fingerprint(id) & mask;
            while places[place].is_some() {
                place = (place + 1) & mask;
            }
            places[place] = Some(at);
        }
        Self {
            places: places.into_boxed_slice(),
        }
    }

    /// Which of the ids may be this one, most likely first.
    #[inline]
    pub(crate) fn candidates(&self, id: &str) -> impl Iterator<Item = usize> {
        let mask = self.places.len() - 1;
        let first = fingerprint(id);
        // At least half of the places are empty, so this ends.
        (0..).map_while(move |step| self.places[(first + step) & mask].map(usize::from))
    }
}

/// Of the length, the first eight bytes and the last: a loop over all bytes would take longer than the rest of the search.
#[inline]
fn fingerprint(id: &str) -> usize {
    let bytes = id.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let mixed = (ends ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_among_its_candidates_and_others_end() {
        // The first hundred have the same ends, and so the same fingerprint.
        let alike = (0..100).map(|index| format!("beginning_{index:03}_the_ending"));
        let others = (0..100).map(|index| format!("{index}"));
        let ids: Vec<String> = alike.chain(others).chain([String::new()]).collect();
        for count in [0, 1, 2, 3, ids.len()] {
            let ids = &ids[..count];
            let index = Index::of(ids.iter().map(String::as_str));
            for (at, id) in ids.iter().enumerate() {
                assert!(index.candidates(id).any(|found| found == at), "{id}");
            }
            let unknown = index.candidates("unknown");
            assert!(unknown.filter(|at| ids[*at] == "unknown").count() == 0);
        }
    }
}
