//! Identity, calls, exports, globals.

use super::{Check, Stop, Subject, Verdict, call, fail, require, require_equal, require_error};
use crate::{BudgetKind, Entry, Error, Instance, PACK_FEATURES};

const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (global (export "constant") i32 (i32.const -7))
  (global $counter (export "counter") (mut i32) (i32.const 5))
  (global (export "wide") i64 (i64.const 1))
  (func (export "answer") (result i32) (i32.const 42))
  (func (export "double") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
  (func (export "subtract") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func (export "bump") (result i32)
    (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
    (global.get $counter))
  (func (export "three") (param i32 i32 i32) (result i32) (i32.const 3))
  (func (export "takes-i64") (param i64) (result i32) (i32.const 0))
  (func (export "gives-nothing") (param i32))
  (func (export "gives-f32") (param i32) (result f32) (f32.const 0))
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0)))))"#;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("info", &[], info),
        Check::new("call.parameters", &[], parameters),
        Check::new("call.wrong-arguments", &[], wrong_arguments),
        Check::new("call.recursion", &[], recursion),
        Check::new("export.missing", &[], missing_export),
        Check::new("export.type", &[], export_type),
        Check::new("global.read", &[], global),
        Check::new("global.per-instance", &[], global_per_instance),
    ]
}

fn info(subject: &Subject<'_>) -> Verdict {
    let info = subject.runtime.info();
    require(!info.id.is_empty() && !info.engine.is_empty(), || {
        "the identity is empty".to_owned()
    })?;
    let stem = info.id.split('.').next().unwrap_or_default();
    require_equal("first part of the identity", stem, info.engine.as_str())?;
    require(
        info.id.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
        }),
        || format!("the identity is {:?}", info.id),
    )?;
    let core = info.version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = core.split('.').collect();
    require(
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok()),
        || format!("{:?} is not a semantic version", info.version),
    )?;
    require(!info.build.is_empty(), || {
        "no build options are named".to_owned()
    })?;
    let capabilities = &info.capabilities;
    require(capabilities.budgets.contains(&BudgetKind::None), || {
        "calls without a budget are not claimed".to_owned()
    })?;
    require(
        !capabilities.budgets.contains(&BudgetKind::Epoch) || !capabilities.interruption.is_empty(),
        || "how an epoch budget interrupts is not named".to_owned(),
    )?;
    for (index, feature) in capabilities.features.iter().enumerate() {
        require(PACK_FEATURES.contains(&feature.as_str()), || {
            format!("{feature:?} is not a feature that packs may name")
        })?;
        require(!capabilities.features[..index].contains(feature), || {
            format!("{feature:?} is named twice")
        })?;
    }
    Ok(())
}

fn parameters(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let module = subject.module_with(MODULE, &super::options(budget.kind()))?;
        let mut instance = module.instantiate(budget)?;
        let answer = instance.entry("answer", 0)?;
        let double = instance.entry("double", 1)?;
        let subtract = instance.entry("subtract", 2)?;
        require_equal("answer", instance.call(answer, &[], budget)?, 42)?;
        require_equal("double", instance.call(double, &[21], budget)?, 42)?;
        require_equal("wraps", instance.call(double, &[1 << 31 | 3], budget)?, 6)?;
        require_equal("order", instance.call(subtract, &[1, 4], budget)?, -3)?;
        require_equal("again", instance.call(answer, &[], budget)?, 42)?;
    }
    Ok(())
}

fn wrong_arguments(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    let double = instance.entry("double", 1)?;
    let wrong: [(&str, Entry, &[u32]); 4] = [
        ("too few arguments", double, &[]),
        ("too many arguments", double, &[1, 2]),
        ("three arguments", double, &[1, 2, 3]),
        ("an entry never made", Entry(usize::MAX), &[1]),
    ];
    for (what, entry, arguments) in wrong {
        let error = require_error(what, instance.call(entry, arguments, crate::Budget::None))?;
        require(matches!(error, Error::Adapter { .. }), || {
            format!("{what}: {error:?} instead of Error::Adapter")
        })?;
    }
    require_equal("afterwards", call(&mut *instance, "double", &[4])?, 8)
}

fn recursion(subject: &Subject<'_>) -> Verdict {
    for budget in subject.generous_budgets() {
        let module = subject.module_with(MODULE, &super::options(budget.kind()))?;
        let mut instance = module.instantiate(budget)?;
        let depth = super::call_within(&mut *instance, "deep", &[1000], budget)?;
        require_equal("1000 frames", depth, 1000)?;
    }
    Ok(())
}

fn missing_export(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    for name in ["absent", "", "Answer", "answer\0"] {
        let error = require_error(name, instance.entry(name, 0))?;
        require_export_error(&error, name)?;
    }
    let mut bare = subject.instance(r#"(module (memory (export "other") 1))"#)?;
    for (what, result) in [
        ("memory_pages", bare.memory_pages().map(|_| ())),
        ("grow", bare.grow(1)),
        ("read", bare.read(0, &mut [0])),
        ("write", bare.write(0, &[0])),
    ] {
        require_export_error(&require_error(what, result)?, "memory")?;
    }
    // Last, because an engine behind the worker protocol may be unable to read globals.
    for name in ["absent", "", "Answer", "answer\0"] {
        require_no_global(&mut *instance, name)?;
    }
    Ok(())
}

fn export_type(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    for (name, parameters) in [
        ("answer", 1),
        ("double", 0),
        ("double", 2),
        ("subtract", 1),
        ("three", 2),
        ("takes-i64", 1),
        ("gives-nothing", 1),
        ("gives-f32", 1),
        ("memory", 0),
        ("constant", 0),
    ] {
        let error = require_error(name, instance.entry(name, parameters))?;
        require_export_error(&error, name)?;
    }
    // The adapter need not offer three parameters, but it must not mistake them for two.
    match instance.entry("three", 3) {
        Ok(_) => return fail("three parameters are outside the contract"),
        Err(Error::Export { .. } | Error::Unsupported { .. }) => {}
        Err(other) => return Err(other.into()),
    }
    for name in ["wide", "memory", "answer"] {
        require_no_global(&mut *instance, name)?;
    }
    Ok(())
}

fn require_no_global(instance: &mut dyn Instance, name: &str) -> Verdict {
    match require_error(name, instance.global(name))? {
        Error::Unsupported { reason } => Err(Stop::Unsupported(reason)),
        other => require_export_error(&other, name),
    }
}

fn global(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    require_equal("constant", instance.global("constant")?, -7)?;
    require_equal("counter", instance.global("counter")?, 5)?;
    call(&mut *instance, "bump", &[])?;
    require_equal("counter after a call", instance.global("counter")?, 6)
}

fn global_per_instance(subject: &Subject<'_>) -> Verdict {
    let module = subject.module(MODULE)?;
    let mut first = module.instantiate(crate::Budget::None)?;
    let mut second = module.instantiate(crate::Budget::None)?;
    require_equal("first", call(&mut *first, "bump", &[])?, 6)?;
    require_equal("first again", call(&mut *first, "bump", &[])?, 7)?;
    require_equal("second", second.global("counter")?, 5)
}

fn require_export_error(error: &Error, export: &str) -> Verdict {
    match error {
        Error::Export { name, .. } => require_equal("name in the error", name.as_str(), export),
        other => fail(format!("{export:?}: {other:?} instead of Error::Export")),
    }
}
