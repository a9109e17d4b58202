//! Words on synthetic records: of each goal one that is held, one that is not, one that nobody can tell and one without data.

mod budgets;

use super::*;
use crate::{
    bench::record::{Cell, End, FORMAT, Pack, Sample, Twin},
    machine::Fingerprint,
};

const PROCESSES: u32 = 5;
const ENGINE: &str = "wasmtime.cranelift";
const BASE: &str = "base";

/// How processes differ: by so little that words are clear, or by up to a fifth.
#[derive(Clone, Copy)]
enum Spread {
    Narrow,
    Wide,
}

impl Spread {
    fn of(self, process: u32) -> f64 {
        let step = f64::from(process) - f64::from(PROCESSES - 1) / 2.0;
        match self {
            Spread::Narrow => 1.0 + 0.001 * step,
            Spread::Wide => 1.0 + 0.1 * step,
        }
    }
}

struct Bench {
    quick: bool,
    emulated: Option<String>,
    absent: Vec<(String, String)>,
    engines: BTreeSet<String>,
    records: Vec<Record>,
}

impl Bench {
    fn new() -> Self {
        Self {
            quick: false,
            emulated: None,
            absent: Vec::new(),
            engines: BTreeSet::from([ENGINE.to_owned()]),
            records: Vec::new(),
        }
    }

    fn key(runtime: &str, kernel: &str, variant: &str, size: &str, quantity: &str) -> Key {
        Key {
            runtime: runtime.to_owned(),
            kernel: kernel.to_owned(),
            variant: variant.to_owned(),
            case: size.to_owned(),
            budget: BudgetKind::None,
            twin: None,
            quantity: quantity.to_owned(),
        }
    }

    fn time(&mut self, key: &Key, nanoseconds: f64, spread: Spread) {
        self.engines.insert(key.runtime.clone());
        for process in 0..PROCESSES {
            self.records.push(Record::Cell(Cell {
                key: key.clone(),
                process,
                outcome: Outcome::Pass,
                detail: String::new(),
                // The shape of a synthetic cell is its class of size.
                size: key.case.clone(),
                elements: 1000,
                bytes: 8000,
                operations: None,
                warm_up: 1,
            }));
            for round in 0..=4 {
                self.records.push(Record::Sample(Sample {
                    key: key.clone(),
                    process,
                    round,
                    nanoseconds: (nanoseconds * spread.of(process) * 1000.0) as u64,
                    iterations: 1000,
                }));
            }
        }
    }

    /// The same with a budget.
    fn budget(&mut self, key: &Key, budget: BudgetKind, nanoseconds: f64, spread: Spread) {
        let key = Key {
            budget,
            ..key.clone()
        };
        self.time(&key, nanoseconds, spread);
    }

    fn unsupported(&mut self, key: &Key, reason: &str) {
        self.engines.insert(key.runtime.clone());
        self.records.push(Record::Cell(Cell {
            key: key.clone(),
            process: 0,
            outcome: Outcome::Unsupported,
            detail: reason.to_owned(),
            size: key.case.clone(),
            elements: 1000,
            bytes: 8000,
            operations: None,
            warm_up: 0,
        }));
    }

    fn tables(self) -> Tables {
        let unknown = || "unknown".to_owned();
        let run = Run {
            format: FORMAT,
            fingerprint: Fingerprint {
                cpu: unknown(),
                cores: 1,
                governor: unknown(),
                os: unknown(),
                architecture: unknown(),
                emulated: self.emulated,
                rustc: unknown(),
                build: unknown(),
                harness: unknown(),
                commit: None,
                clean_tree: None,
                command: Vec::new(),
                began: unknown(),
                load: None,
            },
            pack: Pack {
                name: "core".to_owned(),
                version: "1".to_owned(),
                key: String::new(),
                manifest_sha256: String::new(),
            },
            seed: 1,
            processes: PROCESSES,
            seconds: 0.1,
            quick: self.quick,
            budgets: Vec::new(),
            warm_up: String::new(),
            absent: self.absent,
        };
        let mut records = vec![Record::Run(Box::new(run))];
        for runtime in self.engines {
            records.push(engine(&runtime));
        }
        records.extend(self.records);
        records.push(Record::End(End {
            seconds: 1.0,
            left_out: 0,
            groups: 1,
        }));
        Tables::of(&records).unwrap()
    }
}

fn engine(runtime: &str) -> Record {
    serde_json::from_value(serde_json::json!({
        "record": "engine", "runtime": runtime, "process": 0,
        "info": {"id": runtime, "engine": "synthetic", "version": "1", "kind": "jit", "build": {},
            "capabilities": {"features": [], "budgets": ["none"], "interruption": "", "memory_limit": true, "table_limit": true, "stack_limit": true}}
    }))
    .unwrap()
}

fn made(make: impl FnOnce(&mut Bench)) -> Tables {
    let mut bench = Bench::new();
    make(&mut bench);
    bench.tables()
}

fn goal(tables: &Tables, name: &str, runtime: &str) -> Goal {
    let mut goals = tables.goals.iter();
    goals
        .find(|goal| goal.goal == name && goal.runtime == runtime)
        .unwrap_or_else(|| panic!("no goal {name} for {runtime}"))
        .clone()
}

#[track_caller]
fn assert_word(
    make: impl FnOnce(&mut Bench),
    name: &str,
    runtime: &str,
    expected: Verdict,
) -> Goal {
    let goal = goal(&made(make), name, runtime);
    assert_eq!(goal.verdict, expected, "{goal:?}");
    // What is not measured says why and shows no number.
    assert_eq!(
        goal.measured.is_none() && goal.counts.is_none(),
        expected == Verdict::NotMeasured,
        "{goal:?}"
    );
    assert!(expected != Verdict::NotMeasured || !goal.note.is_empty());
    goal
}

#[test]
fn adapter_tax() {
    let taxed = |hand: f64, call: f64, spread| {
        move |bench: &mut Bench| {
            let key = |quantity| Bench::key(ENGINE, "empty", BASE, "empty", quantity);
            bench.time(&key("hand"), hand, Spread::Narrow);
            bench.time(&key("call"), call, spread);
        }
    };
    let name = "adapter tax";
    assert_word(
        taxed(1000.0, 1020.0, Spread::Narrow),
        name,
        ENGINE,
        Verdict::Held,
    );
    assert_word(
        taxed(1000.0, 1200.0, Spread::Narrow),
        name,
        ENGINE,
        Verdict::NotHeld,
    );
    assert_word(
        taxed(1000.0, 1050.0, Spread::Wide),
        name,
        ENGINE,
        Verdict::Unsure,
    );
    assert_word(|_| (), name, ENGINE, Verdict::NotMeasured);
    // Of a short call 10 ns are enough, whatever the ratio is.
    assert_word(
        taxed(20.0, 26.0, Spread::Narrow),
        name,
        ENGINE,
        Verdict::Held,
    );
    assert_word(
        taxed(20.0, 34.0, Spread::Narrow),
        name,
        ENGINE,
        Verdict::NotHeld,
    );
}

/// A time of rmsnorm_f32 of 1 x 64 with epochs.
fn small(
    runtime: &'static str,
    quantity: &'static str,
    time: f64,
    spread: Spread,
) -> impl FnOnce(&mut Bench) {
    move |bench| {
        let key = Bench::key(runtime, "rmsnorm_f32", BASE, "small", quantity);
        bench.budget(&key, BudgetKind::Epoch, time, spread);
    }
}

#[test]
fn steady_calls_and_the_full_path() {
    for (name, runtime, quantity, bound) in [
        ("steady call", ENGINE, "call", 200.0),
        ("steady call on every engine", "wasmi", "call", 10_000.0),
        ("full path", "wasmtime.pooling", "path", 5000.0),
        ("full path with reset", ENGINE, "pooled", 5000.0),
    ] {
        let word = |time, spread, verdict| {
            assert_word(
                small(runtime, quantity, time, spread),
                name,
                runtime,
                verdict,
            )
        };
        word(0.5 * bound, Spread::Narrow, Verdict::Held);
        word(2.0 * bound, Spread::Narrow, Verdict::NotHeld);
        word(bound, Spread::Wide, Verdict::Unsure);
        assert_word(
            |bench| {
                bench.engines.insert(runtime.to_owned());
            },
            name,
            runtime,
            Verdict::NotMeasured,
        );
    }
    // With epochs means with epochs.
    let without = |bench: &mut Bench| {
        bench.time(
            &Bench::key(ENGINE, "rmsnorm_f32", BASE, "small", "call"),
            100.0,
            Spread::Narrow,
        );
    };
    assert_word(without, "steady call", ENGINE, Verdict::NotMeasured);
    assert_word(
        without,
        "steady call on every engine",
        ENGINE,
        Verdict::Held,
    );
}

fn native(kernels: usize, ratio: f64, first: f64, spread: Spread) -> impl Fn(&mut Bench) + Copy {
    move |bench| {
        for (index, kernel) in kernel_core::KERNELS.iter().take(kernels).enumerate() {
            let native = Bench::key(native::BASELINE, kernel.id, BASE, "1MiB", "call");
            bench.time(&native, 1000.0, Spread::Narrow);
            let variant = Bench::key(ENGINE, kernel.id, "simd", "1MiB", "call");
            let ratio = if index == 0 { first } else { ratio };
            bench.time(&variant, 1000.0 * ratio, spread);
        }
    }
}

#[test]
fn variants_over_native_code() {
    let (mean, worst) = (
        "variants over native code",
        "no variant far from native code",
    );
    let held = native(13, 1.1, 1.1, Spread::Narrow);
    assert_word(held, mean, ENGINE, Verdict::Held);
    assert_word(held, worst, ENGINE, Verdict::Held);
    let one = native(13, 1.1, 3.0, Spread::Narrow);
    assert_word(one, mean, ENGINE, Verdict::Held);
    let missed = assert_word(one, worst, ENGINE, Verdict::NotHeld);
    assert!(missed.note.contains("the largest: rope_f32"), "{missed:?}");
    assert_word(
        native(13, 1.5, 1.5, Spread::Narrow),
        mean,
        ENGINE,
        Verdict::NotHeld,
    );
    assert_word(
        native(13, 1.3, 1.3, Spread::Wide),
        mean,
        ENGINE,
        Verdict::Unsure,
    );
    assert_word(
        native(13, 2.0, 2.0, Spread::Wide),
        worst,
        ENGINE,
        Verdict::Unsure,
    );
    for name in [mean, worst] {
        assert_word(
            native(12, 1.1, 1.1, Spread::Narrow),
            name,
            ENGINE,
            Verdict::Unsure,
        );
        assert_word(|_| (), name, ENGINE, Verdict::NotMeasured);
    }
}

/// Pairs of the same that differ by these ratios.
fn twins(ratios: Vec<f64>, spread: Spread) -> impl FnOnce(&mut Bench) {
    move |bench| {
        for (kernel, ratio) in kernel_core::KERNELS.iter().zip(ratios) {
            let key = Bench::key(ENGINE, kernel.id, BASE, "64Ki", "call");
            bench.time(&key, 1000.0, Spread::Narrow);
            let twin = Key {
                twin: Some(Twin::Beside),
                ..key
            };
            bench.time(&twin, 1000.0 * ratio, spread);
        }
    }
}

#[test]
fn an_engine_against_itself() {
    let word = |ratios, spread, verdict| assert_word(twins(ratios, spread), "A/A", ENGINE, verdict);
    let held = word(vec![1.0; 13], Spread::Wide, Verdict::Held);
    assert!(held.note.contains("noise floor"), "{held:?}");
    // 3 % in all pairs is a bias.
    let biased = word(vec![1.03; 13], Spread::Narrow, Verdict::NotHeld);
    assert_eq!(biased.counts.unwrap().held, 0);
    // Biases that cancel are in no mean, but more pairs differ than chance makes.
    let mut cancel = vec![1.03; 12];
    for ratio in cancel.iter_mut().step_by(2) {
        *ratio = 1.0 / 1.03;
    }
    let cancel = word(cancel, Spread::Narrow, Verdict::Unsure);
    assert!(cancel.note.contains("more pairs differ than chance makes"));
    assert_word(|_| (), "A/A", ENGINE, Verdict::NotMeasured);
}

#[test]
fn what_was_not_measured_says_why() {
    let name = "steady call on every engine";
    let tables = made(|bench| {
        bench
            .absent
            .push(("wamr.fast".to_owned(), "the feature is off".to_owned()));
        bench.unsupported(
            &Bench::key("wasmi", "rmsnorm_f32", BASE, "small", "call"),
            "the engine has no such budget",
        );
    });
    assert!(
        goal(&tables, name, "wamr.fast")
            .note
            .contains("absent: the feature is off")
    );
    assert!(
        goal(&tables, name, "wasmi")
            .note
            .contains("unsupported: the engine has no such budget")
    );
    assert!(
        goal(&tables, "full path", "wasmtime.pooling")
            .note
            .contains("not part of this run")
    );
    let emulated = made(|bench| bench.emulated = Some("qemu".to_owned()));
    assert!(!emulated.goals.is_empty() && !emulated.claims.is_empty());
    for goal in &emulated.goals {
        assert_eq!(goal.verdict, Verdict::NotMeasured, "{goal:?}");
        assert!(
            goal.note.starts_with("not measured (emulated): qemu"),
            "{goal:?}"
        );
    }
    for claim in &emulated.claims {
        assert_eq!(claim.verdict, Verdict::NotMeasured, "{claim:?}");
        assert!(
            claim.note.starts_with("not measured (emulated): qemu"),
            "{claim:?}"
        );
    }
}

/// One process shows nothing about the next.
#[test]
fn one_process_holds_nothing() {
    let mut bench = Bench::new();
    budgets::metered(13, 1.0, 1.0, Spread::Narrow)(&mut bench);
    native(13, 1.0, 1.0, Spread::Narrow)(&mut bench);
    twins(vec![1.0; 13], Spread::Narrow)(&mut bench);
    small(ENGINE, "call", 1.0, Spread::Narrow)(&mut bench);
    bench.records.retain(|record| match record {
        Record::Cell(cell) => cell.process == 0,
        Record::Sample(sample) => sample.process == 0,
        _ => true,
    });
    let tables = bench.tables();
    let held = |verdict| verdict == Verdict::Held;
    assert!(
        !tables.goals.iter().any(|goal| held(goal.verdict)),
        "{:#?}",
        tables.goals
    );
    assert!(!tables.claims.iter().any(|claim| held(claim.verdict)));
}

/// Quantities that this version has no column for are shown by name.
#[test]
fn unknown_quantities_are_kept() {
    let tables = made(small(ENGINE, "teleport", 7.0, Spread::Narrow));
    let known = tables
        .times
        .iter()
        .find(|time| time.key.quantity == "teleport")
        .unwrap();
    assert!((known.nanoseconds.value - 7.0).abs() < 0.1);
}
