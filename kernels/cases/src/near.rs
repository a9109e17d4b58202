//! Calls right beside another one: a kernel that keeps an answer, and recognises the call that it is for by too little, takes one for the other.
//!
//! [`generate::near`](crate::generate::near) and [`open::near`](crate::open::near) make them. `near:0` is a call, and what begins with `near:0:` differs
//! from it in what its name says.

/// The start of the names.
pub const PREFIX: &str = "near:";

/// The call beside which a case of this name is, if it is one of those.
pub fn beside(name: &str) -> Option<&str> {
    let (number, _) = name.strip_prefix(PREFIX)?.split_once(':')?;
    Some(&name[..PREFIX.len() + number.len()])
}

/// One element of a tensor that is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The last one: what begins alike is another tensor.
    Late,
    /// The one in the middle: what begins and ends alike is another tensor.
    Middle,
    /// Any one: so is what is alike in most places.
    One,
    /// Two are exchanged: so is what has the same sum.
    Swapped,
}

impl Change {
    pub(crate) const ALL: [Change; 4] =
        [Change::Late, Change::Middle, Change::One, Change::Swapped];

    /// In a word, for names.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Change::Late => "late",
            Change::Middle => "middle",
            Change::One => "one",
            Change::Swapped => "swapped",
        }
    }

    /// A tensor of elements, or blocks, of so many bytes with this change; `None` where none can be made. Values are those of other elements, so that they
    /// may stand there; of a block, which has more than 4 bytes, the last code is one beside.
    pub(crate) fn of(self, tensor: &[u8], unit: usize, random: u64) -> Option<Vec<u8>> {
        let count = tensor.len() / unit.max(1);
        if count < 3 {
            return None;
        }
        let element = |index: usize| index * unit..(index + 1) * unit;
        let mut changed = tensor.to_vec();
        let at = match self {
            Change::Late => count - 1,
            Change::Middle => count / 2,
            Change::One => (random % count as u64) as usize,
            Change::Swapped => {
                let (first, second) = (element(count / 3), element(2 * count / 3));
                changed[first.clone()].copy_from_slice(&tensor[second.clone()]);
                changed[second].copy_from_slice(&tensor[first]);
                return (changed != tensor).then_some(changed);
            }
        };
        if unit > 4 {
            changed[element(at).end - 1] ^= 1;
            return Some(changed);
        }
        let others = (0..count).map(|other| &tensor[element(other)]);
        let other = others
            .into_iter()
            .find(|other| **other != tensor[element(at)])?;
        changed[element(at)].copy_from_slice(other);
        Some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_leave_first_elements_and_length_alone() {
        let tensor: Vec<u8> = (0..40).collect();
        for change in Change::ALL {
            let changed = change.of(&tensor, 4, 7).unwrap();
            assert_ne!(changed, tensor, "{change:?}");
            assert_eq!(changed.len(), tensor.len());
            assert_eq!(changed[..8], tensor[..8]);
            let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            assert_eq!(
                sum(&changed) == sum(&tensor),
                change == Change::Swapped,
                "{change:?}"
            );
            // Of equal elements none can be another one.
            assert_eq!(change.of(&[1; 40], 4, 7), None);
        }
        let block = Change::Late.of(&[0; 102], 34, 0).unwrap();
        assert_eq!((block[101], &block[..101]), (1, &[0; 101][..]));
    }

    #[test]
    fn a_name_says_which_call_it_is_beside() {
        assert_eq!(beside("near:0:late:a"), Some("near:0"));
        assert_eq!(beside("near:12:other:x"), Some("near:12"));
        assert_eq!((beside("near:0"), beside("drawn:0")), (None, None));
    }
}
