//! Records on disk, whatever happens to them.

use crate::{
    builder,
    packs::{Habit, Packs, trusted},
};
use runtime_host::{Error, Trust};

#[test]
fn a_damaged_record_is_not_an_empty_one() {
    let packs = Packs::new();
    let trust = || Trust::list(trusted()).remembering(packs.path());
    for (file, content) in [
        ("failed.json", "{"),
        ("failed.json", "[1]"),
        ("seen.json", "[]"),
    ] {
        let path = packs.path().join(file);
        std::fs::write(&path, content).unwrap();
        let prepared = builder()
            .trust(trust())
            .build()
            .and_then(|host| host.prepare(&packs.pack(1, Habit::Good)).map(|_| ()));
        let error = prepared.unwrap_err();
        assert!(
            matches!(error, Error::Record { .. } | Error::Pack(_)),
            "{error}"
        );
        assert!(error.to_string().contains(file), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
#[cfg_attr(
    not(target_arch = "x86_64"),
    ignore = "elsewhere it may be emulated: then it is killed before it begins"
)]
fn a_process_that_is_killed_while_it_writes_leaves_the_old_record_or_the_new_one() {
    // The child is this very test, told by the environment to write without end.
    let name =
        "state::a_process_that_is_killed_while_it_writes_leaves_the_old_record_or_the_new_one";
    let folder = "KERNEL_HOST_TEST_WRITES";
    if let Some(folder) = std::env::var_os(folder) {
        let trust = Trust::list(trusted()).remembering(std::path::Path::new(&folder));
        let host = builder().trust(trust).build().unwrap();
        let packs = Packs::new();
        for version in 1.. {
            // Both records: a version that is accepted, and one that fails.
            host.upgrade(&packs.pack(version, Habit::Good)).unwrap();
            host.upgrade(&packs.pack(version + 1, Habit::Wrong))
                .unwrap_err();
        }
    }
    let state = tempfile::tempdir().unwrap();
    let mut written = 0;
    for round in 0..20_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(folder, state.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(40 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // A host reads both, or says that one is damaged.
        let trust = Trust::list(trusted()).remembering(state.path());
        let host = builder().trust(trust).build().unwrap();
        let packs = Packs::new();
        let newer = host.prepare(&packs.pack(1_000_000, Habit::Good));
        newer.unwrap();
        written += usize::from(state.path().join("failed.json").exists());
    }
    // Otherwise nothing was shown.
    assert!(written > 0);
}
