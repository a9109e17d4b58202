//! What to say to the tool that made a refused module. docs/pack.md has the tables.

use kernel_abi::export;

/// How not to import this.
pub(super) fn import(module: &str, name: &str) -> &'static str {
    match (module, name) {
        ("env", "abort") => "AssemblyScript: `--use abort=`",
        ("env", "memory") => {
            "clang: without `-Wl,--import-memory`; Zig: without `--import-memory`; AssemblyScript: without `--importMemory`"
        }
        ("env", "seed" | "trace" | "Date.now") => {
            "AssemblyScript: no `Math.random`, `trace`, `Date`"
        }
        ("env", _) => {
            "define it; clang names all such functions without `-Wl,--allow-undefined`, Rust with `#![no_std]` takes elementary ones from the crate `libm`"
        }
        ("wasi_ephemeral_nn", _) => {
            "a guest of WASI-NN is another kind of module, for `assay nn` (docs/wasi-nn.md)"
        }
        (module, _) if module.starts_with("wasi") => {
            "build for a target without a system: `wasm32-unknown-unknown`, `wasm32-freestanding`"
        }
        _ => "define it in the module",
    }
}

/// How to export this.
pub(super) fn export(name: &str) -> &'static str {
    match name {
        export::HEAP_BASE => {
            "clang: `-Wl,--export=__heap_base`; Zig: `--export=__heap_base`; AssemblyScript: `export { __heap_base };`"
        }
        export::MEMORY => "AssemblyScript: without `--noExportMemory`",
        _ => {
            "C: `__attribute__((export_name(\"...\")))`; Rust: `#[unsafe(no_mangle)] pub extern \"C\" fn` in a `cdylib`; Zig: `export fn` with `-rdynamic`; AssemblyScript: `export function`"
        }
    }
}

/// How to need less memory at the start.
pub(super) const MEMORY: &str = "a smaller stack (64 KiB: clang `-Wl,-z,stack-size=65536`, Rust `-C link-arg=-zstack-size=65536`, Zig `--stack 65536`), or a larger `max_memory_pages`";

/// How to have no start function.
pub(super) const START: &str = "AssemblyScript: `--runtime stub`, constant globals, no `new`; clang: without `-pthread`, `-Wl,--shared-memory`";

/// How not to use what the validator does not know, by its words.
pub(super) fn feature(reason: &str) -> Option<&'static str> {
    [
        (
            "relaxed SIMD",
            "without `-mrelaxed-simd`, `+relaxed-simd`, `--enable relaxed-simd`",
        ),
        (
            "threads",
            "without `-pthread`, `-matomics`, `+atomics`, `--enable threads`",
        ),
        (
            "shared",
            "without `-pthread`, `-matomics`, `+atomics`, `--enable threads`",
        ),
        (
            "exceptions",
            "without `-mexception-handling`, `+exception-handling`",
        ),
        ("tail calls", "without `-mtail-call`, `+tail-call`"),
        ("memory64", "for `wasm32`, not `wasm64`"),
        (
            "gc",
            "AssemblyScript: without `--enable gc`, `--enable stringref`",
        ),
    ]
    .into_iter()
    .find(|(named, _)| reason.contains(named))
    .map(|(_, how)| how)
}
