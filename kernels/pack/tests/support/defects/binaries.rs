//! Modules.

use kernel_pack::Code;

use super::super::{Draft, MODULE, TINY, altered, extended, tiny_module};
use super::{Defect, TINY_ID, defect};

pub fn binaries() -> Vec<Defect> {
    let tiny = tiny_module();
    let mut version_2 = tiny.clone();
    version_2[4] = 2;
    let mut overlong = b"\0asm\x01\0\0\0".to_vec();
    overlong.extend([1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let cases: Vec<(&'static str, Vec<u8>)> = vec![
        ("module-empty", Vec::new()),
        ("module-in-text-form", TINY.as_bytes().to_vec()),
        ("module-is-a-component", b"\0asm\x0d\0\x01\0".to_vec()),
        (
            "module-is-elf",
            [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat(),
        ),
        ("module-is-wamr-aot", b"\0aot\x05\0\0\0".to_vec()),
        ("module-of-version-2", version_2),
        ("module-header-cut", tiny[..7].to_vec()),
        ("module-cut-in-a-section", tiny[..tiny.len() - 3].to_vec()),
        ("module-cut-in-a-size", tiny[..9].to_vec()),
        (
            "module-trailing-bytes",
            [tiny.as_slice(), &[0xff, 0xff]].concat(),
        ),
        ("module-overlong-integer", overlong),
        (
            "module-with-bom",
            [b"\xef\xbb\xbf".as_slice(), &tiny].concat(),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| {
            defect(
                name,
                Code::ModuleMalformed,
                TINY_ID,
                Some(MODULE),
                Draft::new().module(bytes),
            )
        })
        .collect()
}

pub fn modules() -> Vec<Defect> {
    use Code::*;
    const FORWARD: &str =
        r#"(func (export "kernel_forward") (param i32) (result i32) i32.const 0)"#;
    const HEAP_BASE: &str = r#"(global (export "__heap_base") i32 (i32.const 1024))"#;
    const MEMORY: &str = r#"(memory (export "memory") 1 4)"#;
    let forward = |with: &str| altered(FORWARD, with);
    let heap_base = |with: &str| altered(HEAP_BASE, with);
    let memory = |with: &str| altered(MEMORY, with);
    let table = |with: &str| altered("(table 2 funcref)", with);
    let locals = format!("(func (local {}))", "i32 ".repeat(50_001));
    let parameters = format!("(type (func (param {})))", "i32 ".repeat(1_001));
    let branches = format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(65_522));
    let cases: Vec<(&'static str, Code, Vec<u8>)> = vec![
        ("import-function", ImportForbidden, altered("(memory", r#"(import "env" "abort" (func)) (memory"#)),
        ("import-wasi", ImportForbidden, altered("(memory", r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory"#)),
        ("import-memory", ImportForbidden, memory(r#"(import "env" "memory" (memory 1)) (export "memory" (memory 0))"#)),
        ("import-global", ImportForbidden, wat::parse_str(TINY.replace(HEAP_BASE, "").replacen("(memory", r#"(import "env" "__heap_base" (global i32)) (export "__heap_base" (global 0)) (memory"#, 1)).unwrap()),
        ("start-function", ModuleInvalid, extended("(func $start) (start $start)")),
        ("export-post-instantiate", ModuleInvalid, extended(r#"(func (export "__post_instantiate"))"#)),
        ("export-wasm-call-ctors", ModuleInvalid, extended(r#"(func (export "__wasm_call_ctors"))"#)),
        ("memory-two", ModuleInvalid, extended("(memory 1)")),
        ("memory-64-bit", ModuleInvalid, memory(r#"(memory (export "memory") i64 1 4)"#)),
        ("memory-shared", ModuleInvalid, memory(r#"(memory (export "memory") 1 4 shared)"#)),
        ("memory-page-size-1", ModuleInvalid, memory(r#"(memory (export "memory") 1 4 (pagesize 1))"#)),
        ("uses-atomics", ModuleInvalid, extended("(func (drop (i32.atomic.load (i32.const 0))))")),
        ("uses-relaxed-simd", ModuleInvalid, extended("(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))")),
        ("uses-tail-call", ModuleInvalid, extended("(func $f (return_call $f))")),
        ("uses-exceptions", ModuleInvalid, extended("(tag $t) (func (throw $t))")),
        ("uses-gc", ModuleInvalid, extended("(type (struct (field i32)))")),
        ("uses-function-references", ModuleInvalid, extended("(type $f (func)) (func (param (ref $f)))")),
        ("uses-extended-const", ModuleInvalid, heap_base(r#"(global (export "__heap_base") i32 (i32.add (i32.const 1) (i32.const 2)))"#)),
        ("uses-wide-arithmetic", ModuleInvalid, extended("(func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))")),
        ("body-does-not-type", ModuleInvalid, extended("(func (result i32) i64.const 0)")),
        ("calls-unknown-function", ModuleInvalid, extended("(func (call 99))")),
        ("locals-50001", ModuleInvalid, extended(&locals)),
        ("parameters-1001", ModuleInvalid, extended(&parameters)),
        ("branch-targets-65521", ModuleInvalid, extended(&branches)),
        ("memory-missing", ExportMissing, memory("")),
        ("memory-not-exported", ExportMissing, memory("(memory 1 4)")),
        ("heap-base-missing", ExportMissing, heap_base("")),
        ("entry-point-missing", ExportMissing, forward("")),
        ("init-missing", ExportMissing, altered("kernel_init", "kernel_initialise")),
        ("info-missing", ExportMissing, altered("kernel_info", "kernel_Info")),
        ("cleanup-missing", ExportMissing, altered("kernel_cleanup", "kernel_cleanup_")),
        ("heap-base-mutable", ExportType, heap_base(r#"(global (export "__heap_base") (mut i32) (i32.const 1024))"#)),
        ("heap-base-i64", ExportType, heap_base(r#"(global (export "__heap_base") i64 (i64.const 1024))"#)),
        ("heap-base-a-function", ExportType, heap_base(r#"(func (export "__heap_base") (result i32) i32.const 1024)"#)),
        ("memory-a-global", ExportType, memory(r#"(memory 1 4) (global (export "memory") i32 (i32.const 0))"#)),
        ("entry-point-takes-i64", ExportType, forward(r#"(func (export "kernel_forward") (param i64) (result i32) i32.const 0)"#)),
        ("entry-point-takes-two", ExportType, forward(r#"(func (export "kernel_forward") (param i32 i32) (result i32) i32.const 0)"#)),
        ("entry-point-returns-nothing", ExportType, forward(r#"(func (export "kernel_forward") (param i32))"#)),
        ("entry-point-returns-f32", ExportType, forward(r#"(func (export "kernel_forward") (param i32) (result f32) f32.const 0)"#)),
        ("entry-point-a-global", ExportType, forward(r#"(global (export "kernel_forward") i32 (i32.const 0))"#)),
        ("backward-of-wrong-type", ExportType, extended(r#"(func (export "kernel_backward"))"#)),
        ("cleanup-of-wrong-type", ExportType, altered(r#""kernel_cleanup") (result i32) i32.const 0"#, r#""kernel_cleanup")"#)),
        ("memory-beyond-limit", LimitExceeded, memory(r#"(memory (export "memory") 5)"#)),
        ("table-beyond-limit", LimitExceeded, table("(table 17 funcref)")),
        ("tables-beyond-limit-in-sum", LimitExceeded, table("(table 9 funcref) (table 8 externref)")),
    ];
    cases
        .into_iter()
        .map(|(name, code, bytes)| {
            defect(
                name,
                code,
                TINY_ID,
                Some(MODULE),
                Draft::new().module(bytes),
            )
        })
        .collect()
}
