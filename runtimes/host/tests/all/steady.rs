//! The way that nearly all calls go takes no memory.

use crate::{
    builder,
    packs::{Call, Habit, Packs, first},
};
use runtime_host::{Measure, Sizes};

#[test]
fn calls_in_place_of_known_shapes_allocate_nothing() {
    let packs = Packs::new();
    let host = builder().measure(Measure::Counts).build().unwrap();
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let mut sum = 0.0;
    let mut call = |length: u32| {
        let sizes = Sizes {
            a: 4 * length,
            output: 4 * length,
            ..Sizes::default()
        };
        let params = length.to_le_bytes();
        let served = host.call_in_place(
            "scale",
            &params,
            sizes,
            false,
            &mut |_, bytes| bytes.fill(0x3f),
            &mut |output| sum += first(output),
        );
        assert!(served.is_ok());
    };
    // Instance and layouts are made once.
    (1..=4).for_each(&mut call);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            (1..=4).for_each(&mut call);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    // The counter counts: an output of its own is memory.
    let tensors = Call::new(&[1.0]);
    let counted = allocation_counter::measure(|| {
        host.call("scale", &tensors.tensors()).unwrap();
    });
    assert!(counted.count_total > 0);
    assert!(sum > 0.0);
}
