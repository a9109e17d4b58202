//! Plans of sequences, and what they find.

use super::calls::scratch_differs;

#[test]
fn scratch_differs_but_for_nans() {
    let words = |values: [u32; 3]| values.map(u32::to_le_bytes).concat();
    let one = words([1, 0x7fc0_0000, 3]);
    assert_eq!(scratch_differs(&one, &one), None);
    assert_eq!(scratch_differs(&one, &words([1, 0xffc1_2345, 3])), None);
    assert_eq!(scratch_differs(&one, &words([1, 0x7f80_0000, 3])), Some(4));
    assert_eq!(scratch_differs(&one, &words([1, 0x7fc0_0000, 4])), Some(8));
    assert_eq!(scratch_differs(&one, &one[..8]), Some(8));
}
