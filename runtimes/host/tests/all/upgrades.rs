//! Packs that come and go while calls are made.

use crate::{
    broken_packs, builder, events, names,
    packs::{Call, Habit, Packs, first, key},
};
use kernel_pack::{
    Code, TrustList,
    build::build_folder,
    sign::{PackSigningKey, sign_folder},
};
use runtime_host::{Budget, Error, Event, Host, Path, PrepareOptions, Trust};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

fn code(error: &Error) -> Option<Code> {
    match error {
        Error::Pack(kernel_pack::Error::Rejected(rejection)) => Some(rejection.code),
        _ => None,
    }
}

#[test]
fn a_pack_is_prepared_beside_what_serves_and_swapped_in_one_step() {
    let packs = Packs::new();
    let host = builder().build().unwrap();
    let call = Call::new(&[1.5, 2.0]);
    assert!(host.call("scale", &call.tensors()).is_err());
    assert_eq!(host.upgrade(&packs.pack(1, Habit::Good)).unwrap(), 1);
    let prepared = host.prepare(&packs.pack(2, Habit::Good)).unwrap();
    assert_eq!(prepared.health()[0].vectors, 1);
    let served = host.call("scale", &call.tensors()).unwrap();
    assert_eq!(
        (first(&served.output), served.path, served.generation),
        (1.5, Path::Kernel, 1)
    );
    assert_eq!(host.activate(prepared).unwrap(), 2);
    let served = host.call("scale", &call.tensors()).unwrap();
    assert_eq!(
        (first(&served.output), served.path, served.generation),
        (3.0, Path::Kernel, 2)
    );
    assert_eq!(host.active_pack().as_deref(), Some("scales 0.2.0"));
    assert!(host.call("unknown", &call.tensors()).is_err());
}

#[test]
#[cfg_attr(
    not(target_arch = "x86_64"),
    ignore = "elsewhere it may be emulated: then memory is the emulator's, and it takes minutes"
)]
fn a_thousand_upgrades_under_load_fail_no_call_and_keep_no_memory() {
    let packs = Packs::new();
    // The same two packs by turns; the older one is asked for as such.
    let paths = [packs.pack(1, Habit::Good), packs.pack(2, Habit::Good)];
    let host = builder().build().unwrap();
    let old = PrepareOptions {
        allow_rollback: true,
    };
    host.upgrade(&paths[0]).unwrap();
    let (ended, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut upgrades = 0;
    let call = Call::new(&[1.0; 16]);
    std::thread::scope(|scope| {
        let work = || {
            while !ended.load(Ordering::Relaxed) {
                let before = host.generation().unwrap();
                let served = host.call("scale", &call.tensors()).unwrap();
                let after = host.generation().unwrap();
                assert_eq!(served.path, Path::Kernel);
                assert!(
                    (before..=after).contains(&served.generation),
                    "{before} {served:?} {after}"
                );
                // Odd generations are version 1, even ones version 2.
                let factor = if served.generation % 2 == 1 { 1.0 } else { 2.0 };
                assert_eq!(first(&served.output), factor);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        for _ in 0..4 {
            scope.spawn(work);
        }
        let mut upgrade = |times: usize| {
            for _ in 0..times {
                upgrades += 1;
                let prepared = host.prepare_with(&paths[upgrades % 2], old).unwrap();
                host.activate(prepared).unwrap();
                // No more instances than two generations have: each thread holds one of each at most.
                assert!(host.instances() <= 2 * 4 * 2, "{}", host.instances());
            }
        };
        upgrade(200);
        // What stays of each upgrade is less than 4 KiB, noise of the allocator included. A generation has more than 64 KiB. Other tests
        // of this process take memory too, but not in each of three rounds.
        let grown: Vec<u64> = (0..3)
            .map(|_| {
                let settled = resident();
                upgrade(800);
                resident().saturating_sub(settled)
            })
            .take_while(|grown| *grown >= 800 * 4096)
            .collect();
        ended.store(true, Ordering::Relaxed);
        assert!(grown.len() < 3, "{grown:?} bytes");
    });
    assert_eq!(host.generation(), Some(upgrades as u64 + 1));
    let totals = host.totals();
    assert_eq!(
        (totals.calls, totals.served),
        (calls.into_inner(), totals.calls)
    );
    assert!(totals.calls > 1000, "{totals:?}");
}

/// Bytes of memory that this process has, as Linux counts them.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_pack_that_fails_its_health_check_is_refused_and_remembered() {
    let packs = Packs::new();
    let host = builder().build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let heard = events(&host);
    let wrong = packs.pack(2, Habit::Wrong);
    let error = host.upgrade(&wrong).unwrap_err();
    assert!(
        matches!(&error, Error::Unhealthy { kernel, .. } if kernel == "scale"),
        "{error}"
    );
    assert!(matches!(
        host.upgrade(&wrong),
        Err(Error::FailedBefore { .. })
    ));
    assert_eq!(host.generation(), Some(1));
    assert!(names(&heard).is_empty());
    host.forget_failures().unwrap();
    assert!(matches!(host.upgrade(&wrong), Err(Error::Unhealthy { .. })));
}

#[test]
fn every_broken_pack_is_refused_with_its_code_and_what_serves_goes_on() {
    let packs = Packs::new();
    let list = packs.path().join("trusted_keys");
    let own = key().public();
    std::fs::write(&list, &own).unwrap();
    let host = builder().trust(Trust::file(&list)).build().unwrap();
    host.upgrade(&packs.pack(3, Habit::Good)).unwrap();
    let heard = events(&host);
    let call = Call::new(&[2.0]);
    let broken = packs.path().join("broken");
    let index = broken_packs::defects::write_all(&broken);
    let mut codes = std::collections::BTreeSet::new();
    for defect in index.as_array().unwrap() {
        let word = |key: &str| defect[key].as_str();
        let name = word("defect").unwrap();
        // The list changes while the host runs.
        let trusted = broken.join(word("trust").unwrap_or("trusted_keys"));
        let text = std::fs::read_to_string(trusted).unwrap();
        std::fs::write(&list, format!("{own}\n{text}")).unwrap();
        let error = host.upgrade(&broken.join(name)).unwrap_err();
        let code = code(&error).unwrap_or_else(|| panic!("{name}: {error}"));
        assert_eq!(Some(code.as_str()), word("code"), "{name}: {error}");
        codes.insert(code);
        let served = host.call("scale", &call.tensors()).unwrap();
        assert_eq!(
            (first(&served.output), served.generation),
            (6.0, 1),
            "{name}"
        );
    }
    assert!(codes.len() >= 20, "{codes:?}");
    assert!(names(&heard).is_empty());
}

#[test]
fn there_is_one_way_back_until_the_grace_period_is_over() {
    let packs = Packs::new();
    let host = builder().grace(Duration::from_secs(2)).build().unwrap();
    assert!(matches!(host.rollback(), Err(Error::NothingBefore)));
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    assert!(matches!(host.rollback(), Err(Error::NothingBefore)));
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let heard = events(&host);
    assert_eq!(host.rollback().unwrap(), 1);
    assert_eq!(host.generation(), Some(1));
    assert!(matches!(host.rollback(), Err(Error::NothingBefore)));
    assert_eq!(names(&heard), ["rolled back"]);
    // What was left by hand did not fail: it may come again.
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let call = Call::new(&[1.0]);
    host.call("scale", &call.tensors()).unwrap();
    let expired = || names(&heard).contains(&"expired");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !expired() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(expired());
    assert!(matches!(host.rollback(), Err(Error::NothingBefore)));
    assert_eq!(host.generation(), Some(3));
}

#[test]
fn two_hosts_in_a_process_do_not_meet() {
    let packs = Packs::new();
    let (one, other) = (builder().build().unwrap(), builder().build().unwrap());
    one.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    other.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    let call = Call::new(&[1.0]);
    assert_eq!(
        first(&one.call("scale", &call.tensors()).unwrap().output),
        1.0
    );
    assert_eq!(
        first(&other.call("scale", &call.tensors()).unwrap().output),
        2.0
    );
    let foreign = one.prepare(&packs.pack(3, Habit::Good)).unwrap();
    assert!(matches!(other.activate(foreign), Err(Error::Build(_))));
    drop(one);
    assert_eq!(
        first(&other.call("scale", &call.tensors()).unwrap().output),
        2.0
    );
}

#[test]
fn an_older_version_is_refused_unless_it_is_asked_for() {
    let packs = Packs::new();
    let state = Packs::new();
    let trust = || Trust::list(crate::packs::trusted()).remembering(state.path());
    let host = builder().trust(trust()).build().unwrap();
    let one = packs.pack(1, Habit::Good);
    let early = host.prepare(&one).unwrap();
    host.upgrade(&packs.pack(2, Habit::Good)).unwrap();
    // It was verified before the newer one was accepted.
    assert_eq!(
        code(&host.activate(early).unwrap_err()),
        Some(Code::RollbackRefused)
    );
    assert_eq!(
        code(&host.prepare(&one).unwrap_err()),
        Some(Code::RollbackRefused)
    );
    // Another process sees it too.
    let later = builder().trust(trust()).build().unwrap();
    assert_eq!(
        code(&later.prepare(&one).unwrap_err()),
        Some(Code::RollbackRefused)
    );
    let asked = PrepareOptions {
        allow_rollback: true,
    };
    later
        .activate(later.prepare_with(&one, asked).unwrap())
        .unwrap();
}

#[test]
fn a_key_that_is_revoked_while_the_host_runs_is_refused_from_then_on() {
    let packs = Packs::new();
    let list = packs.path().join("trusted_keys");
    std::fs::write(&list, key().public()).unwrap();
    let host = builder().trust(Trust::file(&list)).build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    host.check_trust().unwrap();
    let prepared = host.prepare(&packs.pack(2, Habit::Good)).unwrap();
    std::fs::write(&list, format!("{} revoked", key().public())).unwrap();
    assert_eq!(
        code(&host.prepare(&packs.pack(3, Habit::Good)).unwrap_err()),
        Some(Code::KeyRevoked)
    );
    assert_eq!(
        code(&host.activate(prepared).unwrap_err()),
        Some(Code::KeyRevoked)
    );
    let call = Call::new(&[1.0]);
    host.call("scale", &call.tensors()).unwrap();
    let heard = events(&host);
    assert_eq!(
        code(&host.check_trust().unwrap_err()),
        Some(Code::KeyRevoked)
    );
    assert!(host.call("scale", &call.tensors()).is_err());
    assert!(matches!(
        heard.lock().unwrap()[..],
        [Event::Withdrawn { generation: 1, .. }]
    ));
}

#[test]
fn a_pack_that_is_not_trusted_any_more_did_not_fail() {
    let packs = Packs::new();
    let other = PackSigningKey::from_seed(&[0xB2; 32]);
    let list = packs.path().join("trusted_keys");
    let trusts = |word: &str| {
        let text = format!("{}\n{} {word}", key().public(), other.public());
        std::fs::write(&list, text).unwrap();
    };
    trusts("");
    let host = builder().trust(Trust::file(&list)).build().unwrap();
    host.upgrade(&packs.pack(1, Habit::Good)).unwrap();
    let theirs = packs.pack(2, Habit::Good);
    build_folder(
        &theirs,
        &packs.path().join("template.json"),
        Some(&other.public()),
    )
    .unwrap();
    sign_folder(&theirs, &other, &[]).unwrap();
    host.upgrade(&theirs).unwrap();
    trusts("revoked");
    assert_eq!(
        code(&host.check_trust().unwrap_err()),
        Some(Code::KeyRevoked)
    );
    assert_eq!(host.generation(), Some(1));
    trusts("");
    assert_eq!(host.upgrade(&theirs).unwrap(), 3);
}

#[test]
fn a_host_needs_an_engine_that_keeps_its_budget_and_somebody_to_trust() {
    assert!(matches!(Host::builder().build(), Err(Error::Build(_))));
    let stranger = Host::builder()
        .engine(runtime_wasmi::runtime().unwrap())
        .budget(Budget::Fuel(1000))
        .build()
        .unwrap();
    let packs = Packs::new();
    let error = stranger.prepare(&packs.pack(1, Habit::Good)).unwrap_err();
    assert_eq!(code(&error), Some(Code::NoTrustedKey));
    let list = TrustList::empty();
    assert!(Host::builder().trust(Trust::list(list)).build().is_err());
}

#[test]
fn no_engine_for_a_kernel_is_said_with_what_each_engine_says() {
    let packs = Packs::new();
    let host = builder().build().unwrap();
    let new = packs.pack_with(1, Habit::Good, &|template| {
        template["kernels"][0]["platforms"] =
            serde_json::json!({ "wasmi": { "min_version": "99.0.0", "features": [] } });
    });
    let error = host.prepare(&new).unwrap_err();
    assert!(matches!(&error, Error::NoEngine { .. }));
    let text = error.to_string();
    assert!(text.contains("scale") && text.contains("99.0.0"), "{text}");
}
