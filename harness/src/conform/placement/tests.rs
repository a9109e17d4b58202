//! Where cases are placed.

use super::*;
use crate::conform::{subject, support};
use std::collections::BTreeSet;

fn subject() -> Subject {
    support::subject("lora_apply_f32")
}

#[test]
fn each_part_is_first_and_last_once_and_before_each_other_once() {
    let firsts: BTreeSet<Part> = ORDERS.iter().map(|order| order[0]).collect();
    let lasts: BTreeSet<Part> = ORDERS.iter().map(|order| order[5]).collect();
    let pairs = ORDERS.iter().flat_map(|order| order.windows(2));
    let pairs: BTreeSet<(Part, Part)> = pairs.map(|pair| (pair[0], pair[1])).collect();
    assert_eq!((firsts.len(), lasts.len(), pairs.len()), (6, 6, 30));
    let tensors = [Part::A, Part::B, Part::Output];
    let apart = ORDERS.iter().zip(APART).flat_map(|(order, place)| {
        let (before, behind) = order.split_at(place);
        let before = before.iter().filter(|part| tensors.contains(part));
        let behind = behind.iter().filter(|part| tensors.contains(part));
        before.flat_map(move |one| behind.clone().map(move |other| (*one, *other)))
    });
    assert_eq!(apart.collect::<BTreeSet<_>>().len(), 6);
}

#[test]
fn listed_places_begin_at_the_heap_base_and_end_with_memory() {
    let subject = subject();
    let case = kernel_cases::generate::sized(&subject.kernel, [4, 16, 4, 16], 1).unwrap();
    for (order, apart) in APART.into_iter().enumerate() {
        let at = |anchor| {
            let listed = Listed {
                order,
                anchor,
                seed: 3,
            };
            let place = Place::listed(&case, &subject, listed, 2).unwrap();
            subject::place(&case, &subject, &place).unwrap()
        };
        let regions = |placed: &subject::Placed| {
            let mut regions = placed.frame.placed().regions().to_vec();
            regions.push(kernel_abi::Region::new(
                placed.frame.descriptor_address(),
                40,
            ));
            regions.sort_by_key(|region| region.offset);
            regions
        };
        let placed = at(Anchor::HeapBase);
        let all = regions(&placed);
        assert_eq!(all[0].offset, 1040);
        for pair in all.windows(2) {
            assert_eq!(
                pair[0].end().next_multiple_of(16),
                u64::from(pair[1].offset)
            );
        }
        let placed = at(Anchor::MemoryEnd);
        let end = regions(&placed)[5].end();
        assert_eq!(
            end.next_multiple_of(16),
            u64::from(placed.pages) * PAGE_BYTES
        );
        assert_eq!(placed.tail.length, 0);
        let placed = at(Anchor::Above(0x1_0000));
        assert!(regions(&placed)[0].offset > 0x1_0000);
        let all = regions(&at(Listed::apart(order, 0x1_0000, 0x1_0000)));
        for (place, pair) in (1..).zip(all.windows(2)) {
            let far = u64::from(pair[1].offset) - pair[0].end() >= 0x1_0000;
            assert_eq!(far, place == apart);
        }
        let across = at(Anchor::AcrossPages(Part::Output)).frame.placed().output;
        let page = |address: u64| address / PAGE_BYTES;
        assert_eq!(page(across.offset.into()) + 1, page(across.end() - 1));
    }
}

/// 8 MiB: what lies between has no bytes in the frame.
#[test]
fn scattered_regions_are_far_from_each_other_and_end_with_memory() {
    let subject = Subject {
        max_pages: 128,
        ..subject()
    };
    let case = kernel_cases::generate::sized(&subject.kernel, [4, 16, 4, 16], 1).unwrap();
    for seed in 0..20 {
        let listed = Listed {
            order: seed as usize,
            anchor: Anchor::Scattered,
            seed,
        };
        let place = Place::listed(&case, &subject, listed, 128).unwrap();
        let placed = subject::place(&case, &subject, &place).unwrap();
        let mut regions: Vec<_> = Part::ALL.map(|part| placed.frame.region(part)).into();
        regions.sort_by_key(|region| region.offset);
        for pair in regions.windows(2) {
            assert!(u64::from(pair[1].offset) - pair[0].end() > 0x1_0000);
        }
        assert_eq!(regions[5].end().next_multiple_of(16), 128 * PAGE_BYTES);
        assert!(placed.frame.image().len() < 4096);
    }
}

#[test]
fn what_is_kept_of_a_digest_is_what_hashing_gives() {
    for (byte, length) in [(7, 0), (7, 4097), (8, 4097), (7, 4097), (7, 3)] {
        for form in [Form::Sha256, Form::Xxh3(5)] {
            let due = Digest::of(form, &vec![byte; length as usize]);
            assert_eq!(digest_of(form, byte, length), due);
        }
    }
}

#[test]
fn drawn_places_fit_differ_with_the_seed_and_are_the_same_for_the_same() {
    let subject = subject();
    let mut starts = BTreeSet::new();
    for index in 0..200 {
        let case = kernel_cases::generate::case(&subject.kernel, 1, index).unwrap();
        let place = Place::drawn(&case, &subject, 5);
        assert_eq!(place, Place::drawn(&case, &subject, 5));
        assert_ne!(place, Place::drawn(&case, &subject, 6));
        assert_ne!(place, place.again(1));
        assert_eq!(
            place.arrangement.scratch,
            place.again(1).arrangement.scratch
        );
        let placed = subject::place(&case, &subject, &place).unwrap();
        assert!(placed.frame.start() >= subject.heap_base);
        starts.insert(placed.frame.start());
    }
    assert!(starts.contains(&1040) && starts.len() > 50, "{starts:?}");
    assert!(*starts.last().unwrap() > 0x1_0000);
}
