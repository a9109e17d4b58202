//! How late an engine gives control back when its deadline is over.

use super::{TIMEOUT, calls};
use crate::{machine::emulated, outcome::Outcome, probe::milliseconds};
use assay_worker::{GRACE, InstanceChoice, Launch, RunError, Worker, WorkerError};
use runtime_api::{Budget, BudgetKind, Error, Info, Limits, Options, TICK, Trap};
use runtime_call::{Call, Outcome as Ended};
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, time::Duration, time::Instant};

/// Ticks that each interrupted call gets: how late it is follows from no more of them.
const TICKS: u64 = 1;
/// What is asked of an engine that stops its code by itself.
const OF_WASMTIME: Asked = Asked {
    bound: TICK.saturating_mul(2),
    stops: true,
};
/// What is asked of any other engine.
const OF_OTHERS: Asked = Asked {
    bound: Duration::from_millis(50),
    stops: false,
};
/// Of fewer interruptions than this the 99th percentile is the maximum, which one delay by a busy machine decides.
const FEW: u32 = 100;
/// Interruptions of each further round, where few were too late.
const MANY: u32 = 200;
/// Further rounds. A busy machine makes interruptions later and never earlier, so the best round says most of the engine.
const ROUNDS: u32 = 2;
/// Of so many interruptions one may be waited for too long without its saying anything of the engine: it is asked again.
const SELDOM: u32 = 10;
/// How long after its deadline an emulated engine is killed: it may be a hundred times slower, and is stopped all the same.
const EMULATED_GRACE: Duration = GRACE.saturating_mul(20);
/// Instructions between two places where an engine may look at the time.
const STRAIGHT: usize = 5000;

/// How late interruptions of one kind of code were, from the deadline to control back in the harness: the way through the
/// pipes included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Engine id.
    pub runtime: String,
    /// Kind of code.
    pub code: String,
    /// Whether the bound holds.
    pub outcome: Outcome,
    /// What failed, or why it is unsupported.
    pub detail: String,
    /// Interruptions by the engine.
    pub interruptions: u32,
    /// Interruptions by the end of the worker, which the percentiles leave out.
    pub killed: u32,
    /// Median, in milliseconds; below zero where a tick that had begun was counted.
    pub p50_ms: Option<f64>,
    /// 99th percentile, nearest rank: of fewer than 100 interruptions, the maximum.
    pub p99_ms: Option<f64>,
    /// Maximum.
    pub max_ms: Option<f64>,
    /// 99th percentile without the time in which the worker's threads or the harness waited for a processor; on a machine that
    /// is not busy the same as `p99_ms`. `None` where the system does not say how long they waited.
    pub engine_p99_ms: Option<f64>,
    /// What the 99th percentile may be: `p99_ms`, or where that is more, `engine_p99_ms`.
    pub bound_ms: f64,
    /// Rounds that were measured; the one with the least 99th percentile stands here.
    #[serde(default)]
    pub rounds: u32,
}

/// What an engine must hold.
#[derive(Clone, Copy)]
struct Asked {
    /// How late it may be at the 99th percentile.
    bound: Duration,
    /// Whether it must stop every kind of code itself: others may be ended with their worker.
    stops: bool,
}

impl Asked {
    fn of(info: &Info) -> Self {
        match info.engine.as_str() {
            "wasmtime" => OF_WASMTIME,
            _ => OF_OTHERS,
        }
    }
}

/// Number of kinds of code.
pub const KINDS: usize = 4;

fn kinds() -> [(&'static str, String); KINDS] {
    let text = |fields: &str| format!("(module {fields})");
    let mut straight = String::from(r#"(func $straight (param $mix i64) (result i64)"#);
    for step in 0..STRAIGHT {
        // Writing into a string cannot fail.
        let _ = write!(
            straight,
            "(local.set $mix (i64.add (i64.rotl (local.get $mix) (i64.const {})) (i64.const {})))",
            step % 63 + 1,
            step * 2 + 1
        );
    }
    straight += r#"(local.get $mix))
      (func (export "run") (result i32) (local $mix i64)
        (loop $again
          (local.set $mix (call $straight (local.get $mix)))
          (br_if $again (i64.ne (local.get $mix) (i64.const 1))))
        (i32.const 0))"#;
    [
        (
            "tight loop",
            text(r#"(func (export "run") (result i32) (loop $again (br $again)) (i32.const 0))"#),
        ),
        ("straight-line code", text(&straight)),
        (
            "bulk memory",
            text(
                r#"(memory 256) (func (export "run") (result i32)
                  (loop $again
                    (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x1000000)) (br $again))
                  (i32.const 0))"#,
            ),
        ),
        (
            "recursion",
            text(
                r#"(func $fib (param i32) (result i32)
                  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add
                      (call $fib (i32.sub (local.get 0) (i32.const 1)))
                      (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
                (func (export "run") (result i32) (call $fib (i32.const 90)))"#,
            ),
        ),
    ]
}

/// Interrupts each kind of code so many times, and where fewer than 100 were too late, 200 times more, twice at most; `done` is
/// called after each kind. On an emulated machine the time says nothing of the engine: that every call is stopped is checked, how
/// late it was is `unsupported`.
pub fn measure(launch: &Launch, interruptions: u32, done: &dyn Fn(&Latency)) -> Vec<Latency> {
    let emulated = emulated();
    kinds()
        .into_iter()
        .map(|(code, text)| {
            let latency = rounds(interruptions, &|interruptions| {
                let mut latency = one(launch, code, &text, interruptions, emulated.is_some());
                if let Some(how) = &emulated {
                    latency.forget_times(how);
                }
                latency
            });
            done(&latency);
            latency
        })
        .collect()
}

/// Measures again where few interruptions were too late, and keeps the best round.
fn rounds(interruptions: u32, measure: &dyn Fn(u32) -> Latency) -> Latency {
    let mut best = measure(interruptions);
    let mut rounds = 1;
    while interruptions < FEW && best.is_late() && rounds <= ROUNDS {
        let next = measure(MANY);
        rounds += 1;
        // Another way to fail is not to be waited away.
        if !next.is_late() || (next.killed, next.judged()) < (best.killed, best.judged()) {
            best = next;
        }
    }
    best.rounds = rounds;
    best
}

impl Latency {
    /// Leaves the stops and forgets how late they were; a failure to stop stays one.
    fn forget_times(&mut self, how: &str) {
        self.p50_ms = None;
        self.p99_ms = None;
        self.max_ms = None;
        self.engine_p99_ms = None;
        if self.outcome == Outcome::Pass {
            self.outcome = Outcome::Unsupported;
            self.detail = format!(
                "not measured (emulated): {how}; {} of {} calls were stopped by the engine, the others by the end of its worker",
                self.interruptions,
                self.interruptions + self.killed
            );
        }
    }

    /// Whether all that is wrong is how late it was, or that it was waited for too long once in a while, as on a busy machine.
    fn is_late(&self) -> bool {
        let late = self.judged().is_some_and(|p99| p99 > self.bound_ms);
        let seldom = (1..=self.interruptions / SELDOM).contains(&self.killed);
        self.outcome == Outcome::Fail && (late || seldom)
    }

    /// The 99th percentile that the bound is for: what a busy machine adds is not the engine's.
    fn judged(&self) -> Option<f64> {
        match (self.p99_ms, self.engine_p99_ms) {
            (Some(wall), Some(engine)) => Some(wall.min(engine)),
            (wall, _) => wall,
        }
    }
}

fn one(launch: &Launch, code: &str, text: &str, interruptions: u32, emulated: bool) -> Latency {
    let grace = if emulated { EMULATED_GRACE } else { GRACE };
    let mut latency = Latency {
        runtime: launch.id.clone(),
        code: code.to_owned(),
        outcome: Outcome::Pass,
        detail: String::new(),
        interruptions: 0,
        killed: 0,
        p50_ms: None,
        p99_ms: None,
        max_ms: None,
        engine_p99_ms: None,
        bound_ms: milliseconds(OF_OTHERS.bound),
        rounds: 1,
    };
    let mut measured: Vec<Interruption> = Vec::new();
    let mut asked = OF_OTHERS;
    let ended = interrupt(
        launch,
        text,
        interruptions,
        grace,
        &mut measured,
        &mut latency,
        &mut asked,
    );
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let late = sorted(measured.iter().map(|one| one.late).collect());
    let engine: Option<Vec<f64>> = measured
        .iter()
        .map(|one| {
            // What was waited before the deadline made nothing late.
            let engine = |waited: f64| (one.late - waited).max(one.late.min(0.0));
            one.waited.map(|waited| hundredths(engine(waited)))
        })
        .collect();
    latency.engine_p99_ms = engine.and_then(|engine| percentile(&sorted(engine), 99));
    latency.interruptions = late.len() as u32;
    latency.p50_ms = percentile(&late, 50);
    latency.p99_ms = percentile(&late, 99);
    latency.max_ms = late.last().copied();
    if let Err((outcome, detail)) = ended {
        latency.outcome = outcome;
        latency.detail = detail;
    } else if latency.killed > 0 && asked.stops {
        latency.outcome = Outcome::Fail;
        latency.detail = format!(
            "{} times the engine did not stop within {} ms: its worker was killed",
            latency.killed,
            grace.as_millis()
        );
    } else if !emulated && latency.judged().is_some_and(|p99| p99 > latency.bound_ms) {
        latency.outcome = Outcome::Fail;
        latency.detail = format!("later than {} ms at the 99th percentile", latency.bound_ms);
    }
    latency
}

/// In milliseconds: how late it was, and how long threads waited for a processor meanwhile.
struct Interruption {
    late: f64,
    waited: Option<f64>,
}

fn hundredths(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}

fn interrupt(
    launch: &Launch,
    text: &str,
    interruptions: u32,
    grace: Duration,
    measured: &mut Vec<Interruption>,
    latency: &mut Latency,
    asked: &mut Asked,
) -> Result<(), (Outcome, String)> {
    let failed = |error: RunError| (Outcome::Fail, format!("failed to {error}"));
    let wasm = wat::parse_str(text).map_err(|error| (Outcome::Error, error.to_string()))?;
    let budget = Budget::Epoch(TICKS);
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let mut running: Option<(Worker, u64)> = None;
    for _ in 0..interruptions {
        let (worker, module) = match &mut running {
            Some(running) => running,
            none => {
                let mut worker = Worker::start(launch)
                    .map_err(|error| (Outcome::Error, format!("failed to {error}")))?;
                *asked = Asked::of(worker.info());
                latency.bound_ms = milliseconds(asked.bound);
                if !worker
                    .info()
                    .capabilities
                    .budgets
                    .contains(&BudgetKind::Epoch)
                {
                    let reason = "the engine has no budget of the kind epoch".to_owned();
                    return Err((Outcome::Unsupported, reason));
                }
                let module = worker
                    .load_within(&wasm, &options, TIMEOUT)
                    .map_err(failed)?;
                none.insert((worker, module))
            }
        };
        worker
            .run_within(
                *module,
                InstanceChoice::Fresh,
                Budget::Epoch(1000),
                calls(vec![]),
                TIMEOUT,
            )
            .map_err(failed)?;
        let call = Call {
            export: "run".to_owned(),
            arguments: Vec::new(),
            budget,
        };
        let deadline = TICK * TICKS as u32;
        let waited = worker.waited();
        let start = Instant::now();
        let ran = worker.run_within(
            *module,
            InstanceChoice::Same,
            budget,
            calls(vec![call]),
            deadline + grace,
        );
        let elapsed = start.elapsed();
        let waited = worker
            .waited()
            .zip(waited)
            .map(|(after, before)| milliseconds(after.saturating_sub(before)));
        match ran {
            Ok(observation) => match observation.calls.first() {
                Some(Ended::Failed(Error::Trap {
                    trap: Trap::EpochDeadline,
                    ..
                })) => measured.push(Interruption {
                    late: hundredths((elapsed.as_secs_f64() - deadline.as_secs_f64()) * 1e3),
                    waited,
                }),
                other => {
                    return Err((
                        Outcome::Fail,
                        format!("{other:?} where EpochDeadline is due"),
                    ));
                }
            },
            Err(RunError::Worker(WorkerError::TimedOut { .. })) => {
                latency.killed += 1;
                running = None;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Nearest rank.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50), Some(100.0));
        assert_eq!(percentile(&hundred, 99), Some(198.0));
        assert_eq!(percentile(&[3.0], 99), Some(3.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_busy_machine_is_given_time_and_a_late_engine_is_not() {
        let latency = |p99: f64, outcome| Latency {
            runtime: "engine".to_owned(),
            code: "code".to_owned(),
            outcome,
            detail: String::new(),
            interruptions: 20,
            killed: 0,
            p50_ms: Some(1.0),
            p99_ms: Some(p99),
            max_ms: Some(p99),
            engine_p99_ms: None,
            bound_ms: 20.0,
            rounds: 1,
        };
        let (pass, fail) = (Outcome::Pass, Outcome::Fail);
        let asked = std::cell::RefCell::new(Vec::new());
        let run = |interruptions, late: &[(f64, Outcome)]| {
            asked.borrow_mut().clear();
            rounds(interruptions, &|interruptions| {
                let mut asked = asked.borrow_mut();
                asked.push(interruptions);
                let (p99, outcome) = late[asked.len() - 1];
                latency(p99, outcome)
            })
        };

        let good = run(20, &[(3.0, pass)]);
        assert_eq!((good.outcome, good.rounds), (pass, 1));
        let once = run(20, &[(30.0, fail), (25.0, fail), (9.0, pass)]);
        assert_eq!(
            (once.outcome, once.p99_ms, once.rounds),
            (pass, Some(9.0), 3)
        );
        assert_eq!(*asked.borrow(), [20, 200, 200]);
        let late = run(20, &[(30.0, fail), (25.0, fail), (40.0, fail)]);
        assert_eq!((late.outcome, late.p99_ms), (fail, Some(25.0)));
        let wrong = run(20, &[(3.0, fail)]);
        assert_eq!((wrong.outcome, wrong.rounds), (fail, 1));
        // What the machine adds is not held against the engine, and never helps it where it is late itself.
        let mut busy = latency(30.0, fail);
        busy.engine_p99_ms = Some(12.0);
        assert!(!busy.is_late());
        busy.engine_p99_ms = Some(21.0);
        assert!(busy.is_late());
        // Emulated, no time is kept and no bound is held; what did not stop has failed all the same.
        let mut emulated = latency(3.0, pass);
        emulated.forget_times("how it shows");
        assert_eq!(
            (emulated.outcome, emulated.p99_ms),
            (Outcome::Unsupported, None)
        );
        assert!(
            emulated
                .detail
                .starts_with("not measured (emulated): how it shows")
        );
        let mut endless = latency(3.0, fail);
        endless.forget_times("how it shows");
        assert_eq!((endless.outcome, endless.p99_ms), (fail, None));
        // Two hundred are enough to tell.
        let many = run(200, &[(30.0, fail)]);
        assert_eq!((many.outcome, many.rounds), (fail, 1));
    }

    #[test]
    fn the_code_to_interrupt_is_valid() {
        for (code, text) in kinds() {
            let wasm = wat::parse_str(&text).unwrap();
            let facts = kernel_pack::inspect_plain_module(&wasm, 4096, 8);
            assert!(facts.is_ok(), "{code}: {facts:?}");
        }
    }
}
