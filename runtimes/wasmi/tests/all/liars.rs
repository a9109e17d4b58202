//! The shared suite can fail: runtimes that lie about one thing each are caught by the check for that thing.

use runtime_api::{
    Budget, BudgetKind, Entry, Error, Info, Instance, Module, Options, Result, Runtime, Stage,
    Stopped, Trap, call_each,
    suite::{assert_passes, check, check_named, failed, unsupported},
};
use std::sync::{Arc, Mutex};

/// What a lying runtime does wrong; otherwise it is wasmi.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Gives what a memory held before the last write.
    StaleMemory,
    /// Answers 0 where code was stopped.
    SwallowsTraps,
    /// Reports every trap as `unreachable`.
    OneTrapForAll,
    /// Compiles without the limits that were asked for.
    IgnoresLimits,
    /// Stops at the deadline, but calls it fuel.
    ConfusesBudgets,
    /// Stops at once whatever the epoch budget is.
    HastyDeadline,
    /// Runs a budget of another kind than compiled for without one.
    DropsForeignBudgets,
    /// Writes what fits of a write that does not.
    PartialWrites,
    /// Takes text.
    ParsesText,
    /// Panics on bytes that are no module.
    Panics,
    /// All instances of a module are one.
    SharesInstances,
    /// Goes on in a batch after a status that is not 0.
    IgnoresStatus,
    /// Gives all calls of a batch one budget of fuel.
    OneBudgetForAll,
    /// Hands out a copy of memory and forgets what was written to it.
    DetachedMemory,
    /// Hands out less memory than was asked for where there is less.
    ShortMemory,
    /// Rounds results to even, as an arithmetic bug would.
    WrongNumbers,
    /// Claims nothing beyond calls, so that most checks do not apply.
    ClaimsNothing,
    /// Says that everything is unsupported.
    RefusesEverything,
}

struct Liar {
    lie: Lie,
    inner: Box<dyn Runtime>,
    info: Info,
}

impl Liar {
    fn new(lie: Lie) -> Self {
        let inner = runtime_wasmi::runtime().expect("wasmi cannot fail to be made");
        let mut info = inner.info().clone();
        if lie == Lie::ClaimsNothing {
            info.capabilities.features.clear();
            info.capabilities.budgets = vec![BudgetKind::None];
            info.capabilities.memory_limit = false;
            info.capabilities.table_limit = false;
            info.capabilities.stack_limit = false;
        }
        Self { lie, inner, info }
    }
}

impl Runtime for Liar {
    fn info(&self) -> &Info {
        &self.info
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        let lie = self.lie;
        if lie == Lie::RefusesEverything {
            return Err(Error::unsupported("no time today"));
        }
        let mut options = *options;
        if lie == Lie::IgnoresLimits {
            options.limits.max_memory_pages = 5000;
            options.limits.max_table_elements = 20_000_000;
            options.limits.max_stack_bytes = 512 * 1024;
        }
        let text = std::str::from_utf8(wasm).ok();
        let parsed = text.and_then(|text| wat::parse_str(text).ok());
        let wasm = match &parsed {
            Some(binary) if lie == Lie::ParsesText => binary,
            _ => wasm,
        };
        let result = self.inner.compile(wasm, &options);
        assert!(
            lie != Lie::Panics || result.is_ok(),
            "what sort of module is that"
        );
        let inner = result?;
        Ok(Box::new(LyingModule {
            lie,
            inner,
            options,
            shared: Mutex::default(),
        }))
    }
}

type Shared = Arc<Mutex<Box<dyn Instance + Send>>>;

struct LyingModule {
    lie: Lie,
    inner: Box<dyn Module>,
    options: Options,
    shared: Mutex<Option<Shared>>,
}

impl Module for LyingModule {
    fn instantiate_movable(&self, budget: Budget) -> Result<Box<dyn Instance + Send>> {
        let mut shared = self
            .shared
            .lock()
            .expect("no test panics while it holds an instance");
        let made = shared.clone();
        let inner = match made {
            Some(shared) => shared,
            None => {
                let budget = lied_budget(self.lie, self.options, budget)?;
                let result = self.inner.instantiate_movable(budget);
                let instance = result.map_err(|error| lied_error(self.lie, error))?;
                Arc::new(Mutex::new(instance))
            }
        };
        if self.lie == Lie::SharesInstances {
            *shared = Some(Arc::clone(&inner));
        }
        Ok(Box::new(LyingInstance {
            lie: self.lie,
            inner,
            options: self.options,
            before: Vec::new(),
        }))
    }
}

fn lied_budget(lie: Lie, options: Options, budget: Budget) -> Result<Budget> {
    match lie {
        Lie::DropsForeignBudgets if budget.kind() != options.metering => Ok(Budget::None),
        _ => Ok(budget),
    }
}

fn lied_error(lie: Lie, error: Error) -> Error {
    match (lie, error) {
        (Lie::OneTrapForAll, Error::Trap { stage, .. }) => Error::trap(stage, Trap::Unreachable),
        (
            Lie::ConfusesBudgets,
            Error::Trap {
                stage,
                trap: Trap::EpochDeadline,
            },
        ) => Error::trap(stage, Trap::FuelExhausted),
        (_, error) => error,
    }
}

struct LyingInstance {
    lie: Lie,
    inner: Shared,
    options: Options,
    before: Vec<(u32, Vec<u8>)>,
}

impl Instance for LyingInstance {
    fn entry(&mut self, export: &str, parameters: usize) -> Result<Entry> {
        self.inner
            .lock()
            .expect("no test panics while it holds an instance")
            .entry(export, parameters)
    }

    fn call(&mut self, entry: Entry, arguments: &[u32], budget: Budget) -> Result<i32> {
        if self.lie == Lie::HastyDeadline && matches!(budget, Budget::Epoch(ticks) if ticks < 10) {
            return Err(Error::trap(Stage::Call, Trap::EpochDeadline));
        }
        let budget = lied_budget(self.lie, self.options, budget)?;
        let result = self
            .inner
            .lock()
            .expect("no test panics while it holds an instance")
            .call(entry, arguments, budget);
        match (self.lie, result) {
            (Lie::SwallowsTraps, Err(Error::Trap { .. })) => Ok(0),
            (Lie::WrongNumbers, Ok(number)) if number > 1 << 24 => Ok(number & !1),
            (lie, result) => result.map_err(|error| lied_error(lie, error)),
        }
    }

    fn call_batch(
        &mut self,
        entry: Entry,
        arguments: &[u32],
        budget: Budget,
    ) -> std::result::Result<(), Stopped> {
        let budget = match budget {
            Budget::Fuel(fuel) if self.lie == Lie::OneBudgetForAll => {
                Budget::Fuel(fuel / (arguments.len() as u64).max(1))
            }
            budget => budget,
        };
        call_each(arguments, |argument| {
            let returned = self.call(entry, &[argument], budget);
            match self.lie {
                Lie::IgnoresStatus => returned.map(|_| 0),
                _ => returned,
            }
        })
    }

    fn with_memory(&mut self, at: u32, length: u32, work: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let mut inner = self
            .inner
            .lock()
            .expect("no test panics while it holds an instance");
        match self.lie {
            // More than any memory here has is for the engine to refuse: on machines of 32 bits there is no room for it.
            Lie::DetachedMemory if length <= 1 << 20 => {
                let mut bytes = vec![0; length as usize];
                inner.read(at, &mut bytes)?;
                work(&mut bytes);
                Ok(())
            }
            Lie::ShortMemory => match inner.with_memory(at, length, work) {
                Err(Error::Access { memory_bytes, .. }) => {
                    let inside = (memory_bytes as u32).saturating_sub(at);
                    inner.with_memory(at.min(memory_bytes as u32), inside, work)
                }
                result => result,
            },
            _ => inner.with_memory(at, length, work),
        }
    }

    fn global(&mut self, export: &str) -> Result<i32> {
        self.inner
            .lock()
            .expect("no test panics while it holds an instance")
            .global(export)
    }

    fn memory_pages(&mut self) -> Result<u32> {
        self.inner
            .lock()
            .expect("no test panics while it holds an instance")
            .memory_pages()
    }

    fn grow(&mut self, pages: u32) -> Result<()> {
        self.inner
            .lock()
            .expect("no test panics while it holds an instance")
            .grow(pages)
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<()> {
        self.inner
            .lock()
            .expect("no test panics while it holds an instance")
            .read(at, into)?;
        for (start, bytes) in &self.before {
            if *start == at && bytes.len() == into.len() {
                into.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let mut inner = self
            .inner
            .lock()
            .expect("no test panics while it holds an instance");
        if self.lie == Lie::StaleMemory {
            let mut before = vec![0; bytes.len()];
            inner.read(at, &mut before)?;
            self.before.push((at, before));
        }
        let result = inner.write(at, bytes);
        if let (Lie::PartialWrites, Err(Error::Access { memory_bytes, .. })) = (self.lie, &result) {
            let inside = memory_bytes.saturating_sub(u64::from(at)) as usize;
            inner.write(at, &bytes[..inside.min(bytes.len())])?;
        }
        result
    }
}

/// The lie is caught by these checks; those of `untouched` do not fail.
fn assert_caught(lie: Lie, by: &[&str], untouched: &[&str]) {
    let chosen: Vec<&str> = by.iter().chain(untouched).copied().collect();
    let findings = check_named(&Liar::new(lie), &chosen);
    assert_eq!(findings.len(), chosen.len(), "{chosen:?}");
    let failures = failed(&findings);
    for name in by {
        assert!(
            failures.contains(name),
            "{name} passes; failed: {failures:?}"
        );
    }
    for name in untouched {
        assert!(!failures.contains(name), "{name} fails too");
    }
}

#[test]
fn stale_memory_is_caught() {
    assert_caught(Lie::StaleMemory, &["memory.read-write"], &["info"]);
}

#[test]
fn swallowed_traps_are_caught() {
    let by = [
        "trap.unreachable",
        "trap.stack.recursion",
        "trap.memory.v128-load",
        "budget.epoch.stops",
        "budget.fuel.stops",
        "limit.stack",
    ];
    assert_caught(Lie::SwallowsTraps, &by, &["trap.instantiate.data"]);
}

#[test]
fn wrong_trap_classes_are_caught() {
    let by = [
        "trap.i32.div_s-zero",
        "trap.table.null",
        "trap.table.type",
        "trap.instantiate.element",
        "trap.instantiate.start-divide",
        "limit.memory.initial",
    ];
    assert_caught(Lie::OneTrapForAll, &by, &["trap.unreachable"]);
}

#[test]
fn ignored_limits_are_caught() {
    let by = [
        "limit.memory.initial",
        "limit.memory.host-grow",
        "limit.memory.inside-grow",
        "limit.table.initial",
        "limit.table.sum",
        "limit.table.grow",
        "limit.stack",
    ];
    assert_caught(Lie::IgnoresLimits, &by, &["limit.memory.own-maximum"]);
}

#[test]
fn confused_budgets_are_caught() {
    let by = [
        "budget.epoch.stops",
        "budget.epoch.stops-start",
        "budget.epoch.extremes",
    ];
    assert_caught(Lie::ConfusesBudgets, &by, &["budget.fuel.stops"]);
}

#[test]
fn hasty_deadlines_are_caught() {
    assert_caught(
        Lie::HastyDeadline,
        &["budget.epoch.stops"],
        &["budget.fuel.stops"],
    );
}

#[test]
fn dropped_budgets_are_caught() {
    assert_caught(
        Lie::DropsForeignBudgets,
        &["budget.other-kind"],
        &["budget.unclaimed"],
    );
}

#[test]
fn partial_writes_are_caught() {
    assert_caught(
        Lie::PartialWrites,
        &["memory.bounds"],
        &["memory.read-write"],
    );
}

#[test]
fn batches_that_are_no_single_calls_are_caught() {
    assert_caught(
        Lie::IgnoresStatus,
        &["batch.status"],
        &["batch.as-single-calls", "batch.trap"],
    );
    assert_caught(
        Lie::OneBudgetForAll,
        &["budget.fuel.batch"],
        &["budget.epoch.batch"],
    );
    let by = [
        "batch.trap",
        "budget.fuel.batch",
        "budget.epoch.batch-stops",
    ];
    assert_caught(Lie::SwallowsTraps, &by, &["batch.status"]);
    let by = ["budget.epoch.batch-stops"];
    assert_caught(Lie::ConfusesBudgets, &by, &["budget.fuel.batch"]);
}

#[test]
fn memory_that_is_not_in_place_is_caught() {
    assert_caught(
        Lie::DetachedMemory,
        &["memory.in-place"],
        &["memory.in-place.bounds"],
    );
    assert_caught(
        Lie::ShortMemory,
        &["memory.in-place.bounds"],
        &["memory.in-place"],
    );
}

#[test]
fn parsed_text_is_caught() {
    assert_caught(Lie::ParsesText, &["refusal.formats"], &["refusal.imports"]);
}

#[cfg(panic = "unwind")] // elsewhere, as in WebAssembly, nothing can be caught
#[test]
fn panics_are_caught() {
    let by = ["refusal.formats", "refusal.truncated", "refusal.invalid"];
    assert_caught(Lie::Panics, &by, &["trap.unreachable"]);
}

#[test]
fn shared_instances_are_caught() {
    let by = [
        "memory.per-instance",
        "global.per-instance",
        "memory.thousand-instances",
    ];
    assert_caught(Lie::SharesInstances, &by, &["call.parameters"]);
}

#[test]
fn wrong_numbers_are_caught() {
    assert_caught(Lie::WrongNumbers, &["number.f32"], &["memory.bounds"]);
}

/// What is not claimed is not checked; and a runtime that claims too little has too few passes, or none.
#[test]
fn unclaimed_is_unsupported_and_not_a_pass() {
    let findings = check(&Liar::new(Lie::ClaimsNothing));
    let unsupported = unsupported(&findings);
    for name in [
        "limit.memory.initial",
        "budget.epoch.stops",
        "number.simd",
        "feature.simd",
    ] {
        assert!(unsupported.contains(&name), "{name}: {unsupported:?}");
    }
    // It honours budgets that it does not claim, which is a lie as well.
    assert_eq!(failed(&findings), ["budget.unclaimed"]);
}

#[test]
#[should_panic(expected = "(at least 60 must)")]
fn a_runtime_that_refuses_everything_does_not_pass() {
    // Its identity is fine, so that one check passes; the suite must not be satisfied with it.
    assert_passes(&Liar::new(Lie::RefusesEverything));
}
