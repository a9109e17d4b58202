//! Limits of memory, tables and stack.

use super::{
    Check, Need, Stop, Subject, Verdict, call, fail, options, require, require_equal, require_error,
};
use crate::{Budget, BudgetKind, Error, Limits, Options, Stage, Trap};

const GROWS: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "refusals") (param $times i32) (param $pages i32) (result i32)
    (local $refused i32)
    (loop $again
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
        (then (local.set $refused (i32.add (local.get $refused) (i32.const 1)))))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (local.get $refused)))"#;

const TABLE_GROWS: &str = r#"(module
  (table $first 10 funcref)
  (table $second 20 externref)
  (func (export "grow") (param i32) (result i32) (table.grow $first (ref.null func) (local.get 0)))
  (func (export "grow-second") (param i32) (result i32)
    (table.grow $second (ref.null extern) (local.get 0)))
  (func (export "size") (result i32) (table.size $first)))"#;

const REFERENCE_TYPES: Need = Need::Feature("reference-types");

pub(super) fn checks() -> Vec<Check> {
    let memory = &[Need::MemoryLimit];
    let table = &[Need::TableLimit];
    vec![
        Check::new("limit.memory.initial", memory, memory_initial),
        Check::new("limit.memory.host-grow", memory, memory_host_grow),
        Check::new("limit.memory.inside-grow", memory, memory_inside_grow),
        Check::new("limit.memory.own-maximum", &[], memory_own_maximum),
        Check::new("limit.memory.refused-growth", memory, refused_growth),
        Check::new("limit.table.initial", table, table_initial),
        Check::new(
            "limit.table.sum",
            &[Need::TableLimit, REFERENCE_TYPES],
            table_sum,
        ),
        Check::new(
            "limit.table.grow",
            &[Need::TableLimit, REFERENCE_TYPES],
            table_grow,
        ),
        Check::new("limit.stack", &[Need::StackLimit], stack),
    ]
}

fn with_pages(max_memory_pages: u32) -> Options {
    with_limits(Limits {
        max_memory_pages,
        ..Limits::default()
    })
}

fn with_table(max_table_elements: u32) -> Options {
    with_limits(Limits {
        max_table_elements,
        ..Limits::default()
    })
}

fn with_limits(limits: Limits) -> Options {
    Options {
        limits,
        metering: BudgetKind::None,
    }
}

/// A module over its limits from the start is refused before it is an instance.
fn require_refused(subject: &Subject<'_>, text: &str, options: &Options) -> Verdict {
    let result = subject
        .runtime
        .compile(&super::binary(text)?, options)
        .and_then(|module| module.instantiate(Budget::None));
    match require_error(text, result)? {
        Error::Trap {
            stage: Stage::Compile | Stage::Instantiate,
            trap: Trap::ResourceLimit,
        }
        | Error::Rejected { .. } => Ok(()),
        other => fail(format!("{text}: {other:?} instead of ResourceLimit")),
    }
}

fn memory_initial(subject: &Subject<'_>) -> Verdict {
    let memory = |pages: u32| format!(r#"(module (memory (export "memory") {pages}))"#);
    let mut at_limit = subject.instance_with(&memory(7), &with_pages(7))?;
    require_equal("pages at the limit", at_limit.memory_pages()?, 7)?;
    require_refused(subject, &memory(8), &with_pages(7))?;
    require_refused(subject, &memory(4097), &options(BudgetKind::None))?;
    require_refused(subject, &memory(65_536), &options(BudgetKind::None))?;
    // A declared maximum beyond the limit only permits.
    let maximum = r#"(module (memory (export "memory") 1 65536))"#;
    let mut instance = subject.instance_with(maximum, &with_pages(7))?;
    require_equal("pages", instance.memory_pages()?, 1)
}

fn memory_host_grow(subject: &Subject<'_>) -> Verdict {
    for maximum in ["", "65536"] {
        let text = format!(r#"(module (memory (export "memory") 1 {maximum}))"#);
        let mut instance = subject.instance_with(&text, &with_pages(4))?;
        instance.write(0, &[5])?;
        for pages in [4, 5, 65_535, 65_536, u32::MAX] {
            let error = require_error("growth beyond the limit", instance.grow(pages))?;
            require_resource_limit(&error)?;
            require_equal("pages after a refusal", instance.memory_pages()?, 1)?;
        }
        instance.grow(3)?;
        require_equal("pages at the limit", instance.memory_pages()?, 4)?;
        let error = require_error("growth beyond the limit", instance.grow(1))?;
        require_resource_limit(&error)?;
        let mut byte = [0];
        instance.read(0, &mut byte)?;
        require_equal("contents", byte, [5])?;
    }
    Ok(())
}

fn memory_inside_grow(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let options = Options {
            metering: budget.kind(),
            ..with_pages(4)
        };
        let mut instance = subject.module_with(GROWS, &options)?.instantiate(budget)?;
        let entry = instance.entry("grow", 1)?;
        let mut grow = |pages| instance.call(entry, &[pages], budget);
        require_equal("growth beyond the limit", grow(4)?, -1)?;
        require_equal("growth far beyond the limit", grow(65_536)?, -1)?;
        require_equal("growth by 2^32 - 1", grow(u32::MAX)?, -1)?;
        require_equal("growth to the limit", grow(3)?, 1)?;
        require_equal("growth at the limit", grow(1)?, -1)?;
        require_equal("growth by 0", grow(0)?, 4)?;
        require_equal("pages", instance.memory_pages()?, 4)?;
    }
    Ok(())
}

fn memory_own_maximum(subject: &Subject<'_>) -> Verdict {
    let text = r#"(module (memory (export "memory") 1 2)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let mut instance = subject.instance(text)?;
    let error = require_error("growth beyond the maximum", instance.grow(2))?;
    require_resource_limit(&error)?;
    require_equal("inside", call(&mut *instance, "grow", &[2])?, -1)?;
    instance.grow(1)?;
    require_equal(
        "inside, at the maximum",
        call(&mut *instance, "grow", &[1])?,
        -1,
    )?;
    require_equal("pages", instance.memory_pages()?, 2)
}

fn refused_growth(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let options = Options {
            metering: budget.kind(),
            ..with_pages(4)
        };
        let mut instance = subject.module_with(GROWS, &options)?.instantiate(budget)?;
        let entry = instance.entry("refusals", 2)?;
        let refused = instance.call(entry, &[5000, 4], budget)?;
        require_equal("refusals answered", refused, 5000)?;
        require_equal("pages", instance.memory_pages()?, 1)?;
    }
    Ok(())
}

fn table_initial(subject: &Subject<'_>) -> Verdict {
    let table = |elements: u32| format!("(module (table {elements} funcref))");
    subject.instance_with(&table(50), &with_table(50))?;
    require_refused(subject, &table(51), &with_table(50))?;
    require_refused(subject, &table(65_537), &options(BudgetKind::None))?;
    require_refused(subject, &table(10_000_000), &options(BudgetKind::None))
}

fn table_sum(subject: &Subject<'_>) -> Verdict {
    let two = "(module (table 30 funcref) (table 30 externref))";
    subject.instance_with(two, &with_table(60))?;
    require_refused(subject, two, &with_table(59))
}

fn table_grow(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance_with(TABLE_GROWS, &with_table(50))?;
    require_equal("beyond the limit", call(&mut *instance, "grow", &[21])?, -1)?;
    require_equal("far beyond", call(&mut *instance, "grow", &[u32::MAX])?, -1)?;
    require_equal("within", call(&mut *instance, "grow", &[15])?, 10)?;
    require_equal("size", call(&mut *instance, "size", &[])?, 25)?;
    let second = call(&mut *instance, "grow-second", &[6])?;
    require_equal("sum beyond the limit", second, -1)?;
    let second = call(&mut *instance, "grow-second", &[5])?;
    require_equal("sum at the limit", second, 20)
}

/// More stack must allow more frames: the deepest power of two is compared, each depth in a fresh instance.
fn stack(subject: &Subject<'_>) -> Verdict {
    let small = deepest(subject, 64 * 1024)?;
    let large = deepest(subject, 512 * 1024)?;
    require(small < large, || {
        format!("64 KiB of stack allow {small} frames, 512 KiB {large}")
    })
}

fn deepest(subject: &Subject<'_>, max_stack_bytes: u32) -> Result<u32, Stop> {
    let text = r#"(module
      (func $deep (export "deep") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 0)))))"#;
    let options = with_limits(Limits {
        max_stack_bytes,
        ..Limits::default()
    });
    let module = subject.module_with(text, &options)?;
    let mut depth = 16;
    while depth <= 1 << 24 {
        let mut instance = module.instantiate(Budget::None)?;
        match call(&mut *instance, "deep", &[depth]) {
            Ok(_) => depth *= 2,
            Err(Error::Trap {
                trap: Trap::StackOverflow,
                ..
            }) => return Ok(depth / 2),
            Err(other) => return Err(other.into()),
        }
    }
    fail(format!("{max_stack_bytes} bytes of stack hold 2^24 frames"))
}

fn require_resource_limit(error: &Error) -> Verdict {
    match error {
        Error::Trap {
            trap: Trap::ResourceLimit,
            ..
        } => Ok(()),
        other => fail(format!("{other:?} instead of ResourceLimit")),
    }
}
