//! The host's call on a real engine: a good kernel, and kernels that break the contract.

use runtime_api::{Budget, BudgetKind, Instance, Limits, Options, Trap};
use runtime_call::{CallError, Output, Tensors, call};

/// A kernel that adds 1 to every byte of a into the output, with `after` executed at the end. The descriptor is local 0; words are
/// a at 0, a's size at 4, output at 16.
fn instance(after: &str) -> Box<dyn Instance> {
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "kernel_forward") (param $d i32) (result i32) (local $i i32)
                (block $end (loop $next
                    (br_if $end (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $d))))
                    (i32.store8 (i32.add (i32.load offset=16 (local.get $d)) (local.get $i))
                        (i32.add (i32.const 1)
                            (i32.load8_u (i32.add (i32.load (local.get $d)) (local.get $i)))))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br $next)))
                {after}))"#
    );
    let options = Options {
        limits: Limits {
            max_memory_pages: 4,
            ..Limits::default()
        },
        metering: BudgetKind::Fuel,
    };
    runtime_wasmi::runtime()
        .unwrap()
        .compile(&wat::parse_str(text).unwrap(), &options)
        .unwrap()
        .instantiate(Budget::Fuel(1_000_000))
        .unwrap()
}

fn run(after: &str, size: usize) -> Result<Vec<u8>, CallError> {
    let mut instance = instance(after);
    let entry = instance.entry("kernel_forward", 1).unwrap();
    let a: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
    let tensors = Tensors {
        params: &[0; 8],
        a: &a,
        b: &[],
        output: Output::Written(size as u32),
        scratch_size: 16,
    };
    call(
        instance.as_mut(),
        entry,
        &tensors,
        1024,
        4,
        Budget::Fuel(100_000_000),
    )
}

#[test]
fn a_good_kernel_gives_its_output_and_memory_grows_as_needed() {
    assert_eq!(run("(i32.const 0)", 3), Ok(vec![1, 2, 3]));
    let large = run("(i32.const 0)", 100_000).unwrap();
    assert_eq!(large.len(), 100_000);
    assert_eq!(large[99_999], (99_999u32 as u8).wrapping_add(1));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    assert!(matches!(
        run("(i32.const 0)", 200_000),
        Err(CallError::Place(_))
    ));
}

#[test]
fn a_status_is_an_error_of_the_kernel() {
    // Status 3 with the output already written is a broken contract, and says so first.
    assert!(matches!(
        run("(i32.const 3)", 4),
        Err(CallError::Kernel(Trap::ContractViolation { .. }))
    ));
    assert_eq!(
        run("(i32.const 3)", 0),
        Err(CallError::Kernel(Trap::KernelStatus { code: 3 }))
    );
}

#[test]
fn a_write_outside_the_output_is_named() {
    let past_output = "(i32.store8 (i32.add (i32.load offset=16 (local.get $d)) (local.get $i)) (i32.const 7)) (i32.const 0)";
    let Err(CallError::Kernel(Trap::ContractViolation { what })) = run(past_output, 16) else {
        panic!("the guard band was not checked");
    };
    assert!(what.starts_with("guard band after output"), "{what}");
    let into_input = "(i32.store8 (i32.load (local.get $d)) (i32.const 99)) (i32.const 0)";
    let Err(CallError::Kernel(Trap::ContractViolation { what })) = run(into_input, 16) else {
        panic!("the input was not checked");
    };
    assert!(what.starts_with("input a"), "{what}");
}

#[test]
fn a_trap_and_an_empty_budget_are_errors_of_the_engine() {
    assert!(matches!(run("unreachable", 4), Err(CallError::Engine(_))));
    assert!(matches!(
        run("(loop $l (br $l)) (i32.const 0)", 4),
        Err(CallError::Engine(runtime_api::Error::Trap {
            trap: Trap::FuelExhausted,
            ..
        }))
    ));
}
