/* The one call that main.rs makes. In C, because WAMR's option structure is a C header's business. */

#include "aot_export.h"
#include "bh_log.h"
#include "wasm_export.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What WAMR prints goes here: the build defines BH_VPRINTF as this, and WAMR declares it. */
int
assay_discard(const char *format, va_list arguments)
{
    (void)format;
    (void)arguments;
    return 0;
}

/* Compiles `size` bytes at `wasm`, which it writes to. Returns the machine code and its size in `code_size`, or NULL
   and a text in `error`. `stack_usage` names a file that LLVM writes and WAMR reads: without one WAMR would leave one of
   its own in the current folder. Nothing is freed: the process does one compilation and ends. */
uint8_t *
assay_compile(uint8_t *wasm, uint32_t size, char *arch, char *abi, char *cpu, char *features, bool simd,
              const char *stack_usage, uint32_t seconds, uint32_t *code_size, char *error, uint32_t error_size)
{
    /* Whoever started this process may be gone: a module that takes for ever must not. */
    alarm(seconds);
    /* WAMR would start the programs that these name. */
    unsetenv("WAMRC_LLC_COMPILER");
    unsetenv("WAMRC_ASM_COMPILER");

    RuntimeInitArgs arguments = { .mem_alloc_type = Alloc_With_System_Allocator };
    if (!wasm_runtime_full_init(&arguments) || !aot_compiler_init()) {
        snprintf(error, error_size, "WAMR could not be set up");
        return NULL;
    }
    bh_log_set_verbose_level(BH_LOG_LEVEL_FATAL);

    wasm_module_t module = wasm_runtime_load(wasm, size, error, error_size);
    if (!module)
        return NULL;

    AOTCompOption option = {
        .target_arch = arch,
        .target_abi = abi,
        .target_cpu = cpu,
        .cpu_features = features,
        .enable_bulk_memory = true,
        .enable_bulk_memory_opt = true,
        .enable_ref_types = true,
        .enable_call_indirect_overlong = true,
        .enable_simd = simd,
        /* Loops and calls look at the flag by which another thread stops them. */
        .enable_thread_mgr = true,
        /* No signal handlers: code checks memory and stack itself. */
        .bounds_checks = 1,
        .stack_bounds_checks = 1,
        .stack_usage_file = stack_usage,
        .opt_level = 3,
        .size_level = 3,
        .output_format = AOT_FORMAT_FILE,
    };
    aot_call_stack_features_init_default(&option.call_stack_features);

    aot_comp_data_t data = aot_create_comp_data(module, arch, false);
    aot_comp_context_t context = data ? aot_create_comp_context(data, &option) : NULL;
    uint8_t *code = NULL;
    if (context && aot_compile_wasm(context))
        code = aot_emit_aot_file_buf(context, data, code_size);
    if (!code)
        snprintf(error, error_size, "%s", aot_get_last_error());
    return code;
}
