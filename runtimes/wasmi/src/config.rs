use runtime_api::{BudgetKind, Options};
use std::collections::BTreeMap;
use wasmi::{CompilationMode, Config};

/// Bytes of stack for one level of call depth: wasmi limits depth and height of its stack separately.
const BYTES_PER_CALL: usize = 64;

/// What a stack is allocated with.
const INITIAL_STACK_BYTES: usize = 1000;

/// Exactly the features that packs may ask for; all others off, also those that are off by default today.
pub(crate) fn config(options: &Options) -> Config {
    let stack = options.limits.max_stack_bytes as usize;
    let mut config = Config::default();
    config
        .wasm_mutable_global(true)
        .wasm_sign_extension(true)
        .wasm_saturating_float_to_int(true)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_reference_types(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        // Lazily, a bad function would fail at its first call, and translation would cost fuel there.
        .compilation_mode(CompilationMode::Eager)
        .ignore_custom_sections(true)
        .consume_fuel(options.metering != BudgetKind::None)
        // The order matters: neither may cross the other on the way.
        .set_min_stack_height(INITIAL_STACK_BYTES.min(stack))
        .set_max_stack_height(stack)
        .set_max_recursion_depth(stack / BYTES_PER_CALL);
    config
}

/// What may change results or speed.
pub(crate) fn description() -> BTreeMap<String, String> {
    let optimised = matches!(env!("ASSAY_OPT_LEVEL"), "2" | "3" | "s" | "z");
    // The targets for which wasmi's build script takes tail calls, among those of this project.
    let tail_calls = cfg!(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    ));
    let dispatch = match (cfg!(feature = "portable-dispatch"), optimised && tail_calls) {
        (true, _) => "loop (portable-dispatch)",
        (false, true) => "tail calls (auto-dispatch)",
        (false, false) => "loop (auto-dispatch finds no tail calls in this build)",
    };
    [
        ("dispatch", dispatch),
        ("optimisation-level", env!("ASSAY_OPT_LEVEL")),
        ("translation", "eager"),
        ("extra-checks", "off"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
