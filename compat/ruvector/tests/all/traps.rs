//! How kernels end other than well, in the client's words.

use crate::support::{CORE, changed, rmsnorm};
use compat_ruvector::HostRuntime;
use ruvector_wasm::kernel::error::KernelError;
use ruvector_wasm::kernel::manifest::KernelManifest;
use ruvector_wasm::kernel::runtime::{KernelManager, RuntimeConfig};
use std::sync::Arc;

/// A kernel of this body, called as rmsnorm_f32 with a budget of one tick.
fn ending(body: &str) -> KernelError {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (global (export "__heap_base") i32 (i32.const 1024))
            (table 2 funcref)
            (elem (i32.const 0) $nothing)
            (type $other (func (param f32) (result i32)))
            (func $nothing)
            (func (export "kernel_init") (param i32 i32) (result i32) (i32.const 0))
            (func (export "kernel_info") (param i32) (result i32) (i32.const 0))
            (func (export "kernel_cleanup") (result i32) (i32.const 0))
            (func $forward (export "kernel_forward") (param $d i32) (result i32) {body}))"#
    );
    let manifest = changed(|manifest| {
        for kernel in manifest["kernels"].as_array_mut().unwrap() {
            kernel["resource_limits"]["max_epoch_ticks"] = 1.into();
        }
    });
    let runtime = HostRuntime::new(RuntimeConfig::server()).unwrap();
    let mut manager = KernelManager::new(Arc::new(runtime));
    manager.load_manifest(CORE, KernelManifest::from_json(&manifest).unwrap());
    manager
        .compile_kernel(CORE, "rmsnorm_f32", &wat::parse_str(text).unwrap())
        .unwrap();
    rmsnorm(1, 4).run(&manager, "rmsnorm_f32").unwrap_err()
}

#[test]
fn traps_that_the_client_has_a_word_for() {
    assert!(matches!(ending("unreachable"), KernelError::Unreachable));
    assert!(matches!(
        ending("(i32.div_s (i32.const 0x80000000) (i32.const -1))"),
        KernelError::IntegerOverflow
    ));
    assert!(matches!(
        ending("(call $forward (local.get $d))"),
        KernelError::StackOverflow
    ));
    assert!(matches!(
        ending("(call_indirect (type $other) (f32.const 0) (i32.const 0))"),
        KernelError::IndirectCallTypeMismatch
    ));
    assert!(matches!(
        ending("(loop $again (br $again)) (i32.const 0)"),
        KernelError::EpochDeadline
    ));
    assert!(matches!(
        ending("(i32.const 77)"),
        KernelError::KernelTrap { code: 77, .. }
    ));
}

/// The client has no word for these, or one that asks for an address that engines do not tell.
#[test]
fn traps_that_the_client_has_no_word_for() {
    for (body, trap) in [
        ("(i32.load (i32.const -4))", "MemoryAccessViolation"),
        (
            "(i32.div_s (i32.const 1) (i32.const 0))",
            "IntegerDivideByZero",
        ),
        (
            "(i32.trunc_f32_s (f32.const nan))",
            "InvalidConversionToInteger",
        ),
        (
            "(call_indirect (type $other) (f32.const 0) (i32.const 1))",
            "NullFunction",
        ),
        (
            "(call_indirect (type $other) (f32.const 0) (i32.const 2))",
            "TableAccessViolation",
        ),
        (
            "(i32.store (i32.const 1024) (i32.const 0)) (i32.const 0)",
            "ContractViolation",
        ),
    ] {
        let error = ending(body);
        assert!(
            matches!(&error, KernelError::RuntimeError { message } if message.contains(trap)),
            "{trap}: {error}"
        );
    }
}
