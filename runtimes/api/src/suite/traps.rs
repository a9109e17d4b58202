//! Every trap class, by modules; after each trap, the same module in a fresh instance and another module are asked.

mod cases;

use super::{
    Check, Need, Subject, Verdict, call_within, fail, options, require_equal, require_error,
};
use crate::{Error, Instance, Stage, Trap};

const OTHER: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "bump") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.load (i32.const 0))))"#;

/// Fields of a module whose export `run` takes one argument and traps.
struct Case {
    name: &'static str,
    needs: &'static [Need],
    fields: String,
    argument: u32,
    trap: Trap,
}

pub(super) fn checks() -> Vec<Check> {
    let calls = cases::call_cases()
        .into_iter()
        .map(|case| Check::new(case.name, case.needs, move |subject| traps(subject, &case)));
    let instantiations = INSTANTIATE.iter().map(|(name, text, trap)| {
        Check::new(name, &[], move |subject| {
            instantiate_traps(subject, text, trap)
        })
    });
    calls
        .chain(instantiations)
        .chain([Check::new("start.runs-once", &[], start_runs_once)])
        .collect()
}

fn traps(subject: &Subject<'_>, case: &Case) -> Verdict {
    let text = format!(
        r#"(module {} (func (export "fine") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"#,
        case.fields
    );
    for budget in subject.generous_budgets() {
        let options = options(budget.kind());
        let module = subject.module_with(&text, &options)?;
        let mut bystander = subject.module_with(OTHER, &options)?.instantiate(budget)?;
        let bump = |instance: &mut dyn Instance| call_within(instance, "bump", &[], budget);
        require_equal("other module before", bump(&mut *bystander)?, 1)?;
        let mut instance = module.instantiate(budget)?;
        require_equal(
            "before",
            call_within(&mut *instance, "fine", &[1], budget)?,
            2,
        )?;
        for _ in 0..2 {
            let mut trapped = module.instantiate(budget)?;
            let result = call_within(&mut *trapped, "run", &[case.argument], budget);
            require_trap(&require_error("run", result)?, Stage::Call, &case.trap)?;
        }
        let mut fresh = module.instantiate(budget)?;
        require_equal(
            "fresh instance",
            call_within(&mut *fresh, "fine", &[2], budget)?,
            3,
        )?;
        require_equal(
            "older instance",
            call_within(&mut *instance, "fine", &[3], budget)?,
            4,
        )?;
        require_equal("other module after", bump(&mut *bystander)?, 2)?;
    }
    Ok(())
}

const INSTANTIATE: &[(&str, &str, Trap)] = &[
    (
        "trap.instantiate.data",
        r#"(module (memory (export "memory") 1) (data (i32.const 65533) "four"))"#,
        Trap::MemoryAccessViolation,
    ),
    (
        "trap.instantiate.data-no-pages",
        r#"(module (memory (export "memory") 0) (data (i32.const 0) "x"))"#,
        Trap::MemoryAccessViolation,
    ),
    (
        "trap.instantiate.data-high",
        r#"(module (memory (export "memory") 1) (data (i32.const -4) "four"))"#,
        Trap::MemoryAccessViolation,
    ),
    (
        "trap.instantiate.element",
        "(module (table 2 funcref) (func $f) (elem (i32.const 1) $f $f))",
        Trap::TableAccessViolation,
    ),
    (
        "trap.instantiate.element-high",
        "(module (table 2 funcref) (func $f) (elem (i32.const -1) $f))",
        Trap::TableAccessViolation,
    ),
    (
        "trap.instantiate.start-unreachable",
        "(module (func $start unreachable) (start $start))",
        Trap::Unreachable,
    ),
    (
        "trap.instantiate.start-divide",
        r#"(module (memory (export "memory") 1)
          (func $start (drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))) (start $start))"#,
        Trap::IntegerDivideByZero,
    ),
    (
        "trap.instantiate.start-recursion",
        "(module (func $start (call $start) (call $start)) (start $start))",
        Trap::StackOverflow,
    ),
];

fn instantiate_traps(subject: &Subject<'_>, text: &str, trap: &Trap) -> Verdict {
    for budget in subject.generous_budgets() {
        let module = subject.module_with(text, &options(budget.kind()))?;
        for _ in 0..2 {
            let error = require_error("instantiate", module.instantiate(budget))?;
            require_trap(&error, Stage::Instantiate, trap)?;
        }
    }
    Ok(())
}

fn start_runs_once(subject: &Subject<'_>) -> Verdict {
    let text = r#"(module
      (memory (export "memory") 1)
      (global $count (export "count") (mut i32) (i32.const 0))
      (func $start (global.set $count (i32.add (global.get $count) (i32.const 1))))
      (func (export "answer") (result i32) (global.get $count))
      (start $start))"#;
    for budget in subject.generous_budgets() {
        let module = subject.module_with(text, &options(budget.kind()))?;
        for _ in 0..2 {
            let mut instance = module.instantiate(budget)?;
            require_equal("global", instance.global("count")?, 1)?;
            let count = call_within(&mut *instance, "answer", &[], budget)?;
            require_equal("call", count, 1)?;
        }
    }
    Ok(())
}

fn require_trap(error: &Error, stage: Stage, trap: &Trap) -> Verdict {
    match error {
        Error::Trap {
            stage: found_stage,
            trap: found,
        } if *found_stage == stage && found == trap => Ok(()),
        other => fail(format!("{other:?} instead of {trap:?} at {stage:?}")),
    }
}
