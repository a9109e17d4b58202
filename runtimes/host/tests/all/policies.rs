//! Who answers when a kernel does not.

use crate::{
    builder, events,
    packs::{Call, Habit, Packs, TRAPS, first, module},
    zeros,
};
use runtime_host::{Event, Host, OnFailure, Path, Reason, ServeError, Sizes, Tensor, Watch};
use std::time::Duration;

fn never() -> Watch {
    Watch {
        window: Duration::ZERO,
        failures: 0,
        share: 1.0,
    }
}

#[test]
fn previous_is_the_pack_before_then_the_native_form() {
    let packs = Packs::new();
    let build = || {
        let host = builder()
            .on_failure(OnFailure::Previous)
            .watch(never())
            .native(zeros)
            .build()
            .unwrap();
        host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
        host
    };
    let host = build();
    // There is no pack before.
    let trap = Call::new(&[TRAPS]);
    assert_eq!(
        host.call("scale", &trap.tensors()).unwrap().path,
        Path::Native
    );
    host.upgrade(&packs.pack(2, Habit::TrapsAfterHealth))
        .unwrap();
    let served = host.call("scale", &Call::new(&[5.0]).tensors()).unwrap();
    assert_eq!(
        (served.path, served.generation, first(&served.output)),
        (Path::Previous, 2, 5.0)
    );
    // The pack before traps on this one too.
    assert_eq!(
        host.call("scale", &trap.tensors()).unwrap().path,
        Path::Native
    );
}

#[test]
fn refuse_answers_nothing() {
    let packs = Packs::new();
    let host = builder()
        .on_failure(OnFailure::Refuse)
        .native(zeros)
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let heard = events(&host);
    let error = host
        .call("scale", &Call::new(&[TRAPS]).tensors())
        .unwrap_err();
    assert!(
        matches!(
            error,
            ServeError::Failed {
                reason: Reason::Trap,
                fallback: None,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(matches!(heard.lock().unwrap()[..], [Event::Failed { .. }]));
}

#[test]
fn a_kernel_of_the_pack_stands_in_where_the_manifest_says_so() {
    let packs = Packs::new();
    let folder = packs.path().join("1-TrapsAfterHealth");
    let path = packs.pack_with(1, Habit::TrapsAfterHealth, &|template| {
        std::fs::write(folder.join("kernels/steady.wasm"), module(4.0, Habit::Good)).unwrap();
        let mut other = template["kernels"][0].clone();
        other["id"] = "steady".into();
        other["path"] = "kernels/steady.wasm".into();
        template["kernels"].as_array_mut().unwrap().push(other);
        template["fallbacks"] = serde_json::json!({ "scale": "steady" });
    });
    let host = builder().native(zeros).watch(never()).build().unwrap();
    host.upgrade(&path).unwrap();
    let heard = events(&host);
    let served = host.call("scale", &Call::new(&[5.0]).tensors()).unwrap();
    assert_eq!(
        (served.path, first(&served.output)),
        (Path::PackFallback, 20.0)
    );
    assert!(matches!(
        heard.lock().unwrap()[..],
        [Event::Degraded {
            reason: Reason::Trap,
            ..
        }]
    ));
    // It traps on this one as well: the next in the row answers.
    assert_eq!(
        host.call("scale", &Call::new(&[TRAPS]).tensors())
            .unwrap()
            .path,
        Path::Native
    );
}

/// A call that the kernel fails is not answered either, and the error says why.
fn assert_unserved(host: &Host, why: &str) {
    let error = host
        .call("scale", &Call::new(&[TRAPS]).tensors())
        .unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn a_panic_of_the_native_form_is_an_error_and_the_host_goes_on() {
    let packs = Packs::new();
    let host = builder()
        .native(|_, _| panic!("planted"))
        .watch(never())
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    assert_unserved(&host, "panicked");
    assert_eq!(
        host.call("scale", &Call::new(&[2.0]).tensors())
            .unwrap()
            .path,
        Path::Kernel
    );
    assert_eq!(host.totals().failed, 1);
}

#[test]
fn a_native_form_of_another_length_is_none() {
    let packs = Packs::new();
    let host = builder()
        .native(|_, _| Some(Ok(vec![0; 3])))
        .watch(never())
        .build()
        .unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    assert_unserved(&host, "3 bytes in place of 4");
}

#[test]
fn tensors_in_place_are_filled_again_for_the_fallback() {
    let packs = Packs::new();
    let host = builder().native(zeros).watch(never()).build().unwrap();
    host.upgrade(&packs.pack(3, Habit::Good)).unwrap();
    let sizes = Sizes {
        a: 8,
        output: 8,
        ..Sizes::default()
    };
    let params = 2_u32.to_le_bytes();
    for (x, path, y) in [(2.0_f32, Path::Kernel, 6.0), (TRAPS, Path::Native, 0.0)] {
        let (mut fills, mut got) = (0, None);
        let mut fill = |tensor: Tensor, bytes: &mut [u8]| {
            assert_eq!(tensor, Tensor::A);
            fills += 1;
            bytes[..4].copy_from_slice(&x.to_le_bytes());
            bytes[4..].fill(0);
        };
        let served = host
            .call_in_place("scale", &params, sizes, false, &mut fill, &mut |output| {
                got = Some(first(output))
            })
            .unwrap();
        assert_eq!((served.path, got), (path, Some(y)));
        assert_eq!(fills, if path == Path::Kernel { 1 } else { 2 });
    }
}

#[test]
fn a_caller_that_panics_while_it_fills_takes_its_instance_and_nothing_else() {
    let packs = Packs::new();
    let host = builder().build().unwrap();
    host.upgrade(&packs.pack(3, Habit::Good)).unwrap();
    let sizes = Sizes {
        a: 4,
        output: 4,
        ..Sizes::default()
    };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        host.call_in_place(
            "scale",
            &1_u32.to_le_bytes(),
            sizes,
            false,
            &mut |_, _| panic!("planted"),
            &mut |_| {},
        )
    }));
    assert!(panicked.is_err());
    assert_eq!(host.instances(), 0);
    assert_eq!(
        first(
            &host
                .call("scale", &Call::new(&[2.0]).tensors())
                .unwrap()
                .output
        ),
        6.0
    );
}

#[test]
fn a_subscriber_that_panics_or_rolls_back_harms_nobody() {
    let packs = Packs::new();
    let host = builder().build().unwrap();
    host.subscribe(|_| panic!("planted"));
    let own = host.clone();
    host.subscribe(move |event| {
        if matches!(event, Event::Activated { generation: 2, .. }) {
            own.rollback().unwrap();
        }
    });
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    assert_eq!(host.generation(), Some(1));
}
