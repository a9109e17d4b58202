//! Workers that misbehave in every way: each is one lost worker, named for what it did, in bounded time, and nothing is left
//! running.
#![cfg(target_os = "linux")]

use crate::support::{self, adapter, adapter_launch, core_pack};
use assay_worker::{InstanceChoice, Launch, RunError, Worker, WorkerError, WorkerLimits};
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call, Invocation};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What the request in which a worker misbehaves may take.
const TIME: Duration = Duration::from_millis(1500);

fn small() -> WorkerLimits {
    WorkerLimits {
        memory: 256 << 20,
        ..WorkerLimits::default()
    }
}

fn launch(program: &str, arguments: &[&str]) -> Launch {
    Launch {
        id: "test".to_owned(),
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        folder: None,
        states_id: false,
        time_limit: None,
        stated: Default::default(),
    }
}

fn misbehaving(behaviour: &str) -> Worker {
    Worker::start_within(&adapter_launch(behaviour), small()).unwrap()
}

/// Calls a function that returns at once four times; the worker misbehaves in the third. Gives its end, and how long that took.
fn lose(worker: &mut Worker) -> (WorkerError, Duration) {
    lose_within(worker, TIME)
}

fn lose_within(worker: &mut Worker, time: Duration) -> (WorkerError, Duration) {
    let wasm =
        wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 7)))"#).unwrap();
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let module = worker.load(&wasm, &options).unwrap();
    let budget = Budget::Epoch(5);
    let call = Call {
        export: "run".to_owned(),
        arguments: Vec::new(),
        budget,
    };
    let invocation = Invocation {
        pages: 0,
        writes: Vec::new(),
        calls: vec![call; 4],
        reads: Vec::new(),
    };
    let start = Instant::now();
    let result = worker.run_within(module, InstanceChoice::Fresh, budget, invocation, time);
    let elapsed = start.elapsed();
    match result {
        Err(RunError::Worker(error)) => (error, elapsed),
        other => panic!("{other:?}"),
    }
}

/// Whether a process runs; one that ended and was not waited for yet does not.
fn runs(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

fn ends(id: u32) -> bool {
    let start = Instant::now();
    while runs(id) {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn memory_without_end_is_stopped_at_the_limit() {
    let _alone = crate::alone();
    // A machine that is busy takes its time to give the memory away.
    let time = Duration::from_secs(60);
    let (error, elapsed) = lose_within(&mut misbehaving("eat-memory"), time);
    assert_eq!(
        error.to_string(),
        "hear from worker `eat-memory`: it used more than 256 MiB of memory and was killed"
    );
    assert!(elapsed < time, "{elapsed:?}");
}

#[test]
fn memory_is_limited_where_nobody_looks() {
    let _alone = crate::alone();
    // Between requests a worker is not looked at; nor is a process whose parent is gone.
    let script = "(ulimit -d -H) >&2; exit 3";
    let Err(WorkerError::Crashed { stderr, .. }) =
        Worker::start_within(&launch("sh", &["-c", script]), small())
    else {
        panic!("a shell is no worker");
    };
    assert_eq!(stderr, format!(": {}", (2 * 256 + 4096) * 1024));
}

#[test]
fn floods_are_refused_or_end_with_the_time() {
    let _alone = crate::alone();
    let (error, _) = lose(&mut misbehaving("flood-line"));
    assert!(
        matches!(&error, WorkerError::Protocol { message, .. } if message.contains("longer")),
        "{error}"
    );
    let (error, _) = lose(&mut misbehaving("flood-replies"));
    assert!(matches!(error, WorkerError::Protocol { .. }), "{error}");
    for behaviour in ["flood-stderr", "trickle"] {
        let (error, elapsed) = lose(&mut misbehaving(behaviour));
        assert!(
            matches!(error, WorkerError::TimedOut { .. }),
            "{behaviour}: {error}"
        );
        assert!(
            elapsed < TIME + Duration::from_secs(1),
            "{behaviour}: {elapsed:?}"
        );
    }
}

#[test]
fn an_early_end_is_noticed_at_once_though_a_child_holds_the_pipes() {
    let _alone = crate::alone();
    let time = Duration::from_secs(20);
    let (error, elapsed) = lose_within(&mut misbehaving("exit"), time);
    assert!(
        matches!(&error, WorkerError::Crashed { status, .. } if status == "exit status: 0"),
        "{error}"
    );
    assert!(elapsed < time, "{elapsed:?}");

    let (error, elapsed) = lose_within(&mut misbehaving("grandchild"), time);
    let WorkerError::Crashed { stderr, .. } = &error else {
        panic!("{error}");
    };
    assert!(elapsed < time, "{elapsed:?}");
    let (_, id) = stderr.rsplit_once(' ').unwrap();
    assert!(ends(id.parse().unwrap()), "{stderr} is left running");
}

#[test]
fn a_closed_stdout_is_an_end() {
    let _alone = crate::alone();
    let hello = r#"{"id":1,"hello":{"protocol":1,"info":{"id":"x","engine":"x","version":"1.0.0","kind":"interpreter","build":{},"capabilities":{"features":[],"budgets":["none"],"interruption":"","memory_limit":true,"table_limit":true,"stack_limit":true}}}}"#;
    let script = format!("read request; echo '{hello}'; exec >&-; exec sleep 600");
    let mut worker = Worker::start_within(&launch("sh", &["-c", &script]), small()).unwrap();
    let start = Instant::now();
    let Err(RunError::Worker(WorkerError::Crashed { status, .. })) = worker.drop_module(1) else {
        panic!("nothing can be heard any more");
    };
    assert!(status.contains("stopped answering"), "{status}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn silence_at_hello_ends() {
    let _alone = crate::alone();
    let limits = WorkerLimits {
        hello: Duration::from_millis(300),
        ..small()
    };
    let start = Instant::now();
    let silent = Worker::start_within(&launch("sleep", &["600"]), limits);
    assert!(matches!(silent, Err(WorkerError::TimedOut { .. })));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn every_way_to_misbehave_is_an_error_cell_of_a_run_that_goes_on() {
    let _alone = crate::alone();
    for (behaviour, words) in [
        ("eat-memory", "more than 256 MiB of memory"),
        ("flood-line", "longer than the protocol allows"),
        ("flood-replies", "failed to understand worker"),
        ("grandchild", "it ended (exit status: 0)"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let document = conform(out.path(), behaviour, 16).output().unwrap();
        assert_eq!(document.status.code(), Some(1), "{behaviour}");
        let document: Value = serde_json::from_slice(&document.stdout).unwrap();
        assert!(document["counts"]["error"].as_u64() > Some(0));
        let results = document["results"].as_array().unwrap();
        let liar = format!("liar.{behaviour}");
        assert!(
            results
                .iter()
                .any(|one| one["runtime"] == *liar
                    && one["detail"].as_str().unwrap().contains(words)),
            "{behaviour}: {document:#}"
        );
        assert!(
            results
                .iter()
                .all(|one| one["runtime"] == *liar || one["outcome"] != "error"),
            "{behaviour}: the other engine is not disturbed"
        );
        assert!(start.elapsed() < Duration::from_secs(60), "{behaviour}");
    }
}

/// A short conformance run over one kernel, on the adapter and on wasmi.
fn conform(out: &Path, behaviour: &str, cases: u32) -> Command {
    let mut command = support::command(env!("CARGO_BIN_EXE_assay"));
    command
        .arg("conform")
        .arg(core_pack())
        .args(["--adapter", &adapter(behaviour)])
        .args(["--runtime", &format!("liar.{behaviour}")])
        .args(["--runtime", "wasmi", "--kernel", "swiglu_f32"])
        .args(["--cases", &cases.to_string()])
        .args(["--json", "--quiet", "--out"])
        .arg(out)
        .env("ASSAY_WORKER_MEMORY_MIB", "256")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Ids of the processes that a process has started and that still run.
fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|ids| {
            ids.split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect::<Vec<u32>>()
        })
        .collect()
}

fn kill(id: u32) {
    // One that has ended meanwhile is no error.
    drop(
        Command::new("kill")
            .args(["-KILL", &id.to_string()])
            .stderr(Stdio::null())
            .status(),
    );
}

#[test]
fn workers_killed_at_any_moment_are_error_cells_and_nothing_that_was_complete_is_lost() {
    let _alone = crate::alone();
    for seed in 0..3u64 {
        let out = tempfile::tempdir().unwrap();
        // Long enough for a dozen kills on a fast machine.
        let running = conform(out.path(), "honest", 1024).spawn().unwrap();
        let assay = running.id();
        let killer = thread::spawn(move || {
            let mut state = seed;
            let mut killed = 0;
            while runs(assay) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                thread::sleep(Duration::from_millis(10 + (state >> 33) % 100));
                let workers = children(assay);
                if let Some(worker) = workers.get((state >> 40) as usize % workers.len().max(1)) {
                    kill(*worker);
                    killed += 1;
                }
            }
            killed
        });
        let start = Instant::now();
        let output = running.wait_with_output().unwrap();
        let killed = killer.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60), "seed {seed}");
        assert!(killed > 0, "seed {seed}: {killed} workers were killed");
        assert_eq!(output.status.code(), Some(1), "seed {seed}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        // A worker that is lost among the numeric instructions is an error there, and costs no case of a kernel.
        assert_eq!(document["counts"]["fail"], 0, "seed {seed}: {document:#}");
        assert!(
            document.to_string().contains("signal: 9 (SIGKILL)"),
            "seed {seed}: {document:#}"
        );
        let lines = fs::read_to_string(out.path().join("results.jsonl")).unwrap();
        for line in lines.lines() {
            let _: Value = serde_json::from_str(line).unwrap();
        }
        let judged: u64 = document["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["case"].is_null() && one["layer"] == "L1")
            .map(|one| one["cases"].as_u64().unwrap())
            .sum();
        assert_eq!(lines.lines().count() as u64, judged, "seed {seed}");
    }
}

#[test]
fn nothing_outlives_the_harness() {
    let _alone = crate::alone();
    let out = tempfile::tempdir().unwrap();
    let mut running = conform(out.path(), "hang", 16).spawn().unwrap();
    let results = out.path().join("results.jsonl");
    let start = Instant::now();
    // The adapter hangs in its third call, and knows nothing of a closed stdin then.
    while start.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(10));
    }
    let workers = children(running.id());
    assert!(!workers.is_empty());
    running.kill().unwrap();
    running.wait().unwrap();
    for worker in workers {
        assert!(ends(worker), "worker {worker} is left running");
    }
    // What was complete is there, line by line.
    for line in fs::read_to_string(results).unwrap().lines() {
        let _: Value = serde_json::from_str(line).unwrap();
    }
}
