/* What a kernel needs on a small device: WAMR with its loader of machine code alone, and all that it takes in one pool of a fixed
   size. `scripts/embedded` builds it.

     embedded CODE FRAME AFTER        the least pool in which the kernel is loaded, instantiated and answers: one line
     embedded CODE FRAME AFTER POOL   one try with so many bytes

   CODE is a file of machine code. FRAME is what the example `frames` of runtime-host writes. AFTER gets the memory after the call, for
   `frames judge`. WAMR's own mapping of memory is replaced by mapped_in_pool.c: what it would map lies in the pool too. */

#define _GNU_SOURCE
#include "wasm_export.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* As the adapter wamr.aot has it: operands of calls; machine code has its frames on the thread's own stack. */
#define OPERANDS (16 * 1024)
#define PAGE 65536u
#define MOST (4u << 20)
#define STEP 1024u

struct frame {
    uint32_t magic, start, descriptor, params, params_size, pages, length;
    uint8_t image[];
};

/* WAMR calls this for native functions of its other C interface, of which a kernel imports none. */
void
wasm_trap_delete(void *trap)
{
    (void)trap;
    abort();
}

#define FRAME_MAGIC 0x4d415246u

/* What one try tells the process that waits for it. */
struct report {
    uint32_t ok, highmark, linear, file;
    char error[160];
};

static uint8_t *
read_file(const char *path, uint32_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (uint32_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, file) != *size)
        bytes = NULL;
    fclose(file);
    return bytes;
}

static bool
call(wasm_exec_env_t environment, wasm_module_inst_t instance, const char *name, uint32_t count, uint32_t *cells,
     struct report *report)
{
    wasm_function_inst_t function = wasm_runtime_lookup_function(instance, name);
    if (function && wasm_runtime_call_wasm(environment, function, count, cells) && cells[0] == 0)
        return true;
    const char *why = function ? wasm_runtime_get_exception(instance) : "no such export";
    snprintf(report->error, sizeof(report->error), "%s: %s", name, why ? why : "a status that is not OK");
    return false;
}

/* Loads, instantiates, places the frame and calls. */
static void
answer(uint8_t *pool, uint32_t pool_size, uint8_t *code, uint32_t code_size, const struct frame *frame,
       const char *after, struct report *report)
{
    RuntimeInitArgs arguments = { .mem_alloc_type = Alloc_With_Pool };
    arguments.mem_alloc_option.pool.heap_buf = pool;
    arguments.mem_alloc_option.pool.heap_size = pool_size;
    strcpy(report->error, "the runtime does not start");
    if (!wasm_runtime_full_init(&arguments))
        return;
    wasm_module_t module = wasm_runtime_load(code, code_size, report->error, sizeof(report->error));
    if (!module)
        return;
    wasm_module_inst_t instance =
        wasm_runtime_instantiate(module, OPERANDS, 0, report->error, sizeof(report->error));
    if (!instance)
        return;
    strcpy(report->error, "no execution environment");
    wasm_exec_env_t environment = wasm_runtime_create_exec_env(instance, OPERANDS);
    if (!environment)
        return;
    wasm_memory_inst_t memory = wasm_runtime_get_default_memory(instance);
    strcpy(report->error, "memory does not grow");
    uint64_t pages = wasm_memory_get_cur_page_count(memory);
    if (pages < frame->pages && !wasm_runtime_enlarge_memory(instance, frame->pages - pages))
        return;
    uint8_t *linear = wasm_memory_get_base_address(memory);
    memcpy(linear + frame->start, frame->image, frame->length);
    uint32_t cells[2] = { frame->params, frame->params_size };
    if (!call(environment, instance, "kernel_init", 2, cells, report))
        return;
    cells[0] = frame->descriptor;
    if (!call(environment, instance, "kernel_forward", 1, cells, report))
        return;
    strcpy(report->error, "the memory is not written");
    FILE *file = fopen(after, "wb");
    linear = wasm_memory_get_base_address(memory);
    if (!file || fwrite(linear + frame->start, 1, frame->length, file) != frame->length || fclose(file))
        return;
    mem_alloc_info_t info = { 0 };
    wasm_runtime_get_mem_alloc_info(&info);
    report->highmark = info.highmark_size;
    report->linear = (uint32_t)wasm_memory_get_cur_page_count(memory) * PAGE;
    report->file = code_size;
    report->ok = 1;
}

/* Of a try nothing is left: it has a process of its own. */
static struct report
try(uint32_t pool_size, const char *code_path, const struct frame *frame, const char *after)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS;
    struct report *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    memset(shared, 0, sizeof(*shared));
    pid_t child = fork();
    if (child == 0) {
        uint32_t code_size = 0;
        uint8_t *code = read_file(code_path, &code_size);
        int place = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_32BIT
        /* Code for x86_64 has addresses of 32 bits in it. */
        place |= MAP_32BIT;
#endif
        uint8_t *pool = mmap(NULL, pool_size, PROT_READ | PROT_WRITE | PROT_EXEC, place, -1, 0);
        if (!code || pool == MAP_FAILED)
            abort();
        answer(pool, pool_size, code, code_size, frame, after, shared);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    struct report report = *shared;
    munmap(shared, sizeof(*shared));
    if (!WIFEXITED(status)) {
        report.ok = 0;
        snprintf(report.error, sizeof(report.error), "ended by signal %d", WTERMSIG(status));
    }
    return report;
}

int
main(int count, char **words)
{
    uint32_t size = 0;
    struct frame *frame = count >= 4 ? (struct frame *)read_file(words[2], &size) : NULL;
    if (!frame || size < sizeof(*frame) || frame->magic != FRAME_MAGIC || size != sizeof(*frame) + frame->length) {
        fprintf(stderr, "usage: embedded CODE FRAME AFTER [POOL]\n");
        return 2;
    }
    uint32_t low = 0, high = count > 4 ? (uint32_t)strtoul(words[4], NULL, 0) : MOST;
    struct report report = try(high, words[1], frame, words[3]);
    if (!report.ok) {
        fprintf(stderr, "%s: %s\n", words[1], report.error);
        return 1;
    }
    /* It is enough or it is not: between two neighbours of STEP bytes lies the least. */
    while (count == 4 && high - low > STEP) {
        uint32_t middle = low + (high - low) / 2 / STEP * STEP;
        if (middle == low)
            break;
        struct report found = try(middle, words[1], frame, words[3]);
        if (found.ok) {
            report = found;
            high = middle;
        } else {
            low = middle;
        }
    }
    printf("%u %u %u %u\n", high, report.highmark, report.linear, report.file);
    /* What `frames judge` reads is of the least pool. */
    return try(high, words[1], frame, words[3]).ok ? 0 : 1;
}
