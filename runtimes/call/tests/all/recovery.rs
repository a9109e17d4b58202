//! What an application sees of a kernel that fails: the order of recovery, and that a fallback is never a success.

use kernel_abi::Status;
use runtime_api::{Budget, BudgetKind, Limits, Module, Options};
use runtime_call::{CallError, Contract, KernelHost, Metrics, Native, Output, Path, Tensors};
use std::cell::RefCell;

/// Copies a's first byte to the output, counts its calls in the output's second byte, and traps on the byte 255; refuses 254.
const MODULE: &str = r#"(module (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0)) (global $calls (mut i32) (i32.const 0))
  (func (export "kernel_init") (param i32 i32) (result i32) (global.set $ready (local.get 1)) (i32.const 0))
  (func (export "kernel_forward") (param $d i32) (result i32) (local $byte i32)
    (if (i32.eqz (global.get $ready)) (then unreachable))
    (local.set $byte (i32.load8_u (i32.load (local.get $d))))
    (if (i32.eq (local.get $byte) (i32.const 255)) (then unreachable))
    (if (i32.eq (local.get $byte) (i32.const 254)) (then (return (i32.const 2))))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.load offset=16 (local.get $d)) (local.get $byte))
    (i32.store8 offset=1 (i32.load offset=16 (local.get $d)) (global.get $calls))
    (i32.const 0)))"#;

fn module() -> Box<dyn Module> {
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Fuel,
    };
    runtime_wasmi::runtime()
        .unwrap()
        .compile(&wat::parse_str(MODULE).unwrap(), &options)
        .unwrap()
}

fn contract() -> Contract {
    Contract {
        kernel: "copy".to_owned(),
        engine: "wasmi".to_owned(),
        entry: "kernel_forward".to_owned(),
        heap_base: 1024,
        max_pages: 1,
        budget: Budget::Fuel(1_000_000),
    }
}

fn tensors(a: &[u8]) -> Tensors<'_> {
    Tensors {
        params: &[7; 8],
        a,
        b: &[],
        output: Output::Written(2),
        scratch_size: 0,
    }
}

/// An output with its path, or the failure, per call.
type Answers = Vec<Result<(Vec<u8>, Path), CallError>>;

/// Outputs with their paths, metrics and log of calls with these bytes.
fn serve(bytes: &[u8], fallback: Option<Box<Native<'_>>>) -> (Answers, Metrics, Vec<String>) {
    let module = module();
    let log = RefCell::new(Vec::new());
    let mut host = KernelHost::new(module.as_ref(), contract(), fallback, |failure| {
        log.borrow_mut().push(failure.to_string());
    });
    let served = bytes
        .iter()
        .map(|byte| {
            host.call(&tensors(&[*byte]))
                .map(|served| (served.output, served.path))
        })
        .collect();
    let metrics = host.metrics();
    drop(host);
    (served, metrics, log.into_inner())
}

#[test]
fn a_trap_is_logged_answered_by_the_reference_and_counted_as_degraded() {
    let native: Box<Native<'_>> = Box::new(|tensors| Ok(vec![tensors.a[0], 0]));
    let (served, metrics, log) = serve(&[1, 2, 255, 3], Some(native));
    // The count in the second byte shows one instance before the trap, and a fresh one, initialised again, after it.
    assert_eq!(
        served,
        [
            Ok((vec![1, 1], Path::Kernel)),
            Ok((vec![2, 2], Path::Kernel)),
            Ok((vec![255, 0], Path::Fallback)),
            Ok((vec![3, 1], Path::Kernel)),
        ]
    );
    let due = Metrics {
        calls: 4,
        served: 3,
        degraded: 1,
        failed: 0,
    };
    assert_eq!(metrics, due);
    assert_eq!(
        log,
        [
            "call 3 of `kernel_forward` of kernel copy on wasmi (budget Fuel(1000000); bytes: params 8, a 1, b 0, scratch 0) failed to call: Unreachable"
        ]
    );
}

#[test]
fn without_a_reference_or_when_it_refuses_too_the_call_fails() {
    let refuses: Box<Native<'_>> = Box::new(|_| Err(Status(2)));
    for fallback in [None, Some(refuses)] {
        let (served, metrics, log) = serve(&[255, 254, 1], fallback);
        assert!(matches!(served[0], Err(CallError::Engine(_))));
        assert!(matches!(served[1], Err(CallError::Kernel(_))));
        assert_eq!(served[2], Ok((vec![1, 1], Path::Kernel)));
        assert_eq!(
            (metrics.failed, metrics.degraded, metrics.served),
            (2, 0, 1)
        );
        assert_eq!(log.len(), 2);
    }
}

#[test]
fn what_does_not_fit_is_the_callers_mistake() {
    let native: Box<Native<'_>> = Box::new(|_| Ok(Vec::new()));
    let module = module();
    let mut host = KernelHost::new(module.as_ref(), contract(), Some(native), |_| {});
    assert_eq!(host.call(&tensors(&[1])).unwrap().path, Path::Kernel);
    let large = vec![0; 70_000];
    assert!(matches!(
        host.call(&tensors(&large)),
        Err(CallError::Place(_))
    ));
    // The instance is the one of before.
    assert_eq!(host.call(&tensors(&[1])).unwrap().output, [1, 2]);
    assert_eq!(host.metrics().failed, 1);
}
