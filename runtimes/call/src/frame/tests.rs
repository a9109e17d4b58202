//! Where regions lie, and what a check of the frame finds.

use super::*;
use crate::arrangement::Content;
use kernel_abi::REGION_ALIGNMENT;
use proptest::prelude::*;

/// Parts in another order that touch, and a pattern for each.
fn other() -> Arrangement {
    Arrangement {
        start: 4096,
        order: [
            Part::Output,
            Part::Scratch,
            Part::B,
            Part::Descriptor,
            Part::A,
            Part::Params,
        ],
        gaps: [0; 7],
        holes: [0; 6],
        absent: 0,
        guard: 7,
        output: Content::Pattern(8),
        scratch: Content::Pattern(9),
        around: 3,
    }
}

#[test]
fn parts_lie_in_the_order_of_an_arrangement_and_may_touch() {
    let frame = Frame::arranged(&tensors(), 4, &other()).unwrap();
    let placed = frame.placed();
    // Output 20 bytes, scratch 8, b 4, descriptor 40, a 20, params 12.
    assert_eq!(placed.output.offset, 4096);
    assert_eq!(placed.scratch.offset, 4128);
    assert_eq!(placed.input_b.offset, 4144);
    assert_eq!(frame.descriptor_address(), 4160);
    assert_eq!(placed.input_a.offset, 4208);
    assert_eq!(placed.params.offset, 4240);
    assert_eq!(frame.end(), 4252);
    assert_eq!(other().end(&tensors()), 4252);
    let mut after = frame.image().to_vec();
    after[4119 - 4096] ^= 1;
    let violation = frame.check(&after, true).unwrap_err();
    assert_eq!(violation.zone, "guard band after output");
    let mut after = frame.image().to_vec();
    after[4200 - 4096] ^= 1;
    let violation = frame.check(&after, true).unwrap_err();
    assert_eq!(violation.zone, "guard band after descriptor");
}

#[test]
fn holes_are_no_part_of_a_frame_and_move_what_lies_behind_them() {
    let arrangement = Arrangement {
        gaps: [0, 0, 3, 0, 0, 0, 0],
        holes: [1 << 20, 0, 1 << 16, 0, 0, 1 << 17],
        ..other()
    };
    let frame = Frame::arranged(&tensors(), 4, &arrangement).unwrap();
    let placed = frame.placed();
    assert_eq!(placed.output.offset, 4096);
    assert_eq!(placed.scratch.offset, 4128);
    // Three bytes of guard band, the hole, and what aligns.
    assert_eq!(placed.input_b.offset, 4144 + (1 << 16));
    assert_eq!(placed.input_a.offset, 4208 + (1 << 16));
    assert_eq!(placed.params.offset, 4240 + (3 << 16));
    assert_eq!(frame.end(), placed.params.end());
    assert_eq!(arrangement.end(&tensors()), frame.end());
    let pieces: Vec<(u32, usize)> = frame
        .pieces()
        .map(|(at, bytes)| (at, bytes.len()))
        .collect();
    let due = [
        (4096, 43),
        (placed.input_b.offset, 84),
        (placed.params.offset, 12),
    ];
    assert_eq!(pieces, due);
    assert_eq!(frame.image().len(), 43 + 84 + 12);
    let mut after = frame.image().to_vec();
    assert_eq!(after[43..47], [3; 4]);
    assert_eq!(after[127..], [1; 12]);
    after[130] ^= 1;
    let violation = frame.check(&after, true).unwrap_err();
    assert_eq!(violation.zone, "parameters");
    assert_eq!(violation.address, placed.params.offset + 3);
}

/// The offset of an absent region means nothing, so that a host may put anything there.
#[test]
fn absent_regions_have_any_offset_and_no_bytes() {
    let tensors = Tensors {
        b: &[],
        scratch_size: 0,
        ..tensors()
    };
    let mut seen = std::collections::BTreeSet::new();
    for absent in 0..64 {
        let arrangement = Arrangement { absent, ..other() };
        let frame = Frame::arranged(&tensors, 4, &arrangement).unwrap();
        let Descriptor {
            input_b, scratch, ..
        } = *frame.placed();
        assert_eq!((input_b.size, scratch.size), (0, 0));
        assert_eq!(frame.check(frame.image(), true), Ok(()));
        let zeros = [input_b, scratch].iter().all(|region| region.offset == 0);
        assert!(absent > 0 || zeros);
        seen.insert(input_b.offset);
    }
    let frame = Frame::arranged(&tensors, 4, &other()).unwrap();
    assert!(seen.contains(&0) && seen.contains(&frame.placed().output.offset));
    assert!(seen.iter().any(|offset| offset % 16 != 0) && seen.last() > Some(&(4 << 16)));
}

fn tensors() -> Tensors<'static> {
    Tensors {
        params: &[1; 12],
        a: &[2; 20],
        b: &[3; 4],
        output: Output::Written(20),
        scratch_size: 8,
    }
}

#[test]
fn regions_are_aligned_disjoint_and_fenced() {
    let frame = Frame::place(&tensors(), 1030, 4, Fill::FIRST).unwrap();
    let mut regions = frame.placed().regions().to_vec();
    regions.push(Region::new(frame.descriptor_address(), 40));
    regions.sort_by_key(|region| region.offset);
    let mut end = 1030;
    for region in regions {
        assert_eq!(region.offset % REGION_ALIGNMENT, 0);
        assert!(u64::from(region.offset) >= end + GUARD_BYTES);
        end = region.end();
    }
    assert_eq!(frame.end(), end + GUARD_BYTES);
    assert_eq!(frame.pages(), 1);
}

#[test]
fn every_changed_byte_outside_output_and_scratch_is_found_and_named() {
    let frame = Frame::place(&tensors(), 1024, 4, Fill::FIRST).unwrap();
    let placed = *frame.placed();
    let writable = [frame.range(placed.output), frame.range(placed.scratch)];
    for index in 0..frame.image().len() {
        let mut after = frame.image().to_vec();
        after[index] ^= 1;
        let free = writable.iter().any(|range| range.contains(&index));
        assert_eq!(frame.check(&after, true).is_ok(), free, "byte {index}");
        let scratch = writable[1].contains(&index);
        assert_eq!(frame.check(&after, false).is_ok(), scratch, "byte {index}");
    }
    let mut after = frame.image().to_vec();
    after[frame.range(placed.output).end] ^= 1;
    assert_eq!(
        frame.check(&after, true).unwrap_err().zone,
        "guard band after output"
    );
    let mut after = frame.image().to_vec();
    after[frame.range(placed.input_a).start] ^= 1;
    assert_eq!(frame.check(&after, true).unwrap_err().zone, "input a");
}

#[test]
fn what_does_not_fit_is_refused() {
    let large = Tensors {
        scratch_size: u32::MAX,
        ..tensors()
    };
    assert!(Frame::place(&large, 1024, 65_536, Fill::FIRST).is_err());
    assert!(Frame::place(&tensors(), u32::MAX, 65_536, Fill::FIRST).is_err());
    assert_eq!(
        Frame::place(&tensors(), 65_500, 1, Fill::FIRST).unwrap_err(),
        PlaceError::TooLarge {
            needed: 2,
            limit: 1
        }
    );
}

proptest! {
    #[test]
    fn an_untouched_frame_is_intact(
        a in prop::collection::vec(any::<u8>(), 0..100),
        b in prop::collection::vec(any::<u8>(), 0..100),
        params in prop::collection::vec(any::<u8>(), 0..40),
        output in 0u32..100, scratch in 0u32..100, heap in 0u32..70_000,
    ) {
        let tensors = Tensors { params: &params, a: &a, b: &b, output: Output::Written(output), scratch_size: scratch };
        let frame = Frame::place(&tensors, heap, 16, Fill::SECOND).unwrap();
        prop_assert_eq!(frame.check(frame.image(), true), Ok(()));
        prop_assert_eq!(frame.check(frame.image(), false), Ok(()));
        prop_assert_eq!(frame.output(frame.image()).len(), output as usize);
    }
}
