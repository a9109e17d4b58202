//! Modules that do not end, or take long: every command ends within its limit of time, with a verdict that is not a good one and says why.

use crate::{
    coverage_cli::{KERNEL, with_prologue},
    support::{command, json, pack_with},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const ENDLESS: &str = "loop br 0 end";
/// A tenth of a second and more on an interpreter, below a deadline of minutes.
const SLOW: &str = "(local $left i32) i32.const 30000000 local.set $left
    loop local.get $left i32.const 1 i32.sub local.tee $left br_if 0 end";
/// Ticks of a call, as many as a manifest may have: ten minutes.
const MOST_TICKS: u64 = 60_000;
/// What starting, writing and a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(30);

fn pack(folder: &Path, code: &str, ticks: u64) -> PathBuf {
    let change = |kernel: &mut Value| kernel["resource_limits"]["max_epoch_ticks"] = ticks.into();
    pack_with(folder, KERNEL, &with_prologue(code), None, change)
}

/// Runs a command on a pack; the exit code, and the document.
fn run(command: &str, pack: &Path, more: &[&str], limit: u64) -> (i32, Value) {
    let out = pack.with_file_name(format!("results-{command}"));
    let common = [command, pack.to_str().unwrap(), "--runtime", "wasmi"];
    let limits = ["--out", out.to_str().unwrap(), "--time-limit"];
    let limit_text = limit.to_string();
    let start = Instant::now();
    let ran = json(&[&common, more, &limits, &[limit_text.as_str()]].concat());
    let bound = Duration::from_secs(limit) + SLACK;
    assert!(start.elapsed() < bound, "{command}: {:?}", start.elapsed());
    ran
}

fn reasons(document: &Value) -> String {
    document["reasons"].to_string()
}

/// How many entries of the sums passed, in cases that ask for the kernel's work.
fn passed(document: &Value) -> u64 {
    let results = document["results"].as_array().unwrap().iter();
    let sums = results.filter(|entry| entry["case"].is_null() && entry["layer"] == "L4");
    sums.map(|entry| entry["passed"].as_u64().unwrap()).sum()
}

#[test]
fn a_kernel_that_never_ends_is_not_waited_for_longer_than_the_run_may_take() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack(folder.path(), ENDLESS, MOST_TICKS);
    let (exit, document) = run("conform", &pack, &["--coverage", "--search", "1"], 3);
    assert_eq!(exit, 1);
    assert_eq!(document["verdict"], "fail");
    assert_eq!(passed(&document), 0);
    let due = "the time limit of 3 s for the run (--time-limit) was reached";
    let not_run = &document["time_limit"]["not_run"][0];
    assert_eq!(not_run["reason"], due, "{document}");
    assert!(not_run["cases"].as_u64().unwrap() > 0 && not_run["sequences"].as_u64().unwrap() > 0);
    assert!(document["words"].as_str().unwrap().contains(due));
    assert!(reasons(&document).contains("which code ran: "));

    let (exit, document) = run("qualify", &pack, &[], 3);
    assert_eq!(exit, 1);
    assert_eq!(document["verdict"], "not-qualified");
    let words = document["words"].as_str().unwrap();
    assert!(
        words.contains(due) && words.contains("the traps"),
        "{words}"
    );
    let results = pack.with_file_name("results-qualify");
    let (exit, verified) = json(&["verify-report", results.to_str().unwrap()]);
    assert_eq!((exit, &verified["follows"]), (0, &"not-qualified".into()));

    let (exit, document) = run("mutate", &pack, &["--count", "2"], 3);
    assert_eq!((exit, document["verdict"].as_str()), (1, Some("fail")));
}

#[test]
fn a_module_that_used_up_its_deadline_is_given_up_and_the_rest_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    // Every other call of one shape would be right.
    let (exit, document) = run("conform", &pack(folder.path(), ENDLESS, 10), &[], 500);
    assert_eq!(exit, 1);
    assert_eq!(passed(&document), 0);
    let not_run = &document["time_limit"]["not_run"][0];
    assert_eq!(not_run["reason"], "3 calls used up their deadline");
    let results = document["results"].as_array().unwrap().iter();
    let failing = results.filter(|entry| entry["outcome"] == "fail" && !entry["case"].is_null());
    let failing: Vec<&Value> = failing.filter(|entry| entry["layer"] == "L1").collect();
    assert_eq!(failing.len(), 3, "{failing:?}");
    assert!(
        failing[0]["detail"]
            .as_str()
            .unwrap()
            .contains("EpochDeadline")
    );
    assert!(reasons(&document).contains("wasmi ran 3 of "));
}

#[test]
fn slow_calls_below_their_deadline_are_given_up_by_the_limit_of_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack(folder.path(), SLOW, MOST_TICKS);
    let (exit, document) = run("conform", &pack, &["--module-time-limit", "2"], 500);
    assert_eq!(exit, 1);
    let reason = &document["time_limit"]["not_run"][0]["reason"];
    assert_eq!(
        *reason,
        "the time limit of 2 s for a module on an engine (--module-time-limit) was reached",
        "{document}"
    );
    assert_eq!(document["time_limit"]["module_seconds"], 2);
}

#[test]
fn the_results_folder_stands_before_the_work_begins() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack(folder.path(), ENDLESS, MOST_TICKS);
    let out = folder.path().join("results");
    let mut child = command(env!("CARGO_BIN_EXE_assay"))
        .args(["qualify", pack.to_str().unwrap(), "--runtime", "wasmi"])
        .args(["--search", "600", "--quiet", "--out", out.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !out.is_dir() && start.elapsed() < SLACK {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        thread::sleep(Duration::from_millis(20));
    }
    let runs = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(out.is_dir() && runs);
}
