/*
 * The kernel ABI in C11: structs, statuses and the checks of a call. docs/abi.md is the explanation.
 * Written by `cargo run -p kernel-abi --example c_header`; change the crate, not this file.
 */
#ifndef KERNEL_ABI_H
#define KERNEL_ABI_H

#include <stddef.h>
#include <stdint.h>

/* Stated in KernelInfo.abi_version. */
#define KERNEL_ABI_VERSION 1
/* Every region starts at a multiple of it. */
#define KERNEL_REGION_ALIGNMENT 16u
/* The largest region. */
#define KERNEL_MAX_REGION_BYTES 2147483647u
/* Bytes in a page of linear memory. */
#define KERNEL_PAGE_BYTES 65536u
/* Bit of KernelInfo.flags: kernel_backward computes a gradient. */
#define KERNEL_FLAG_HAS_BACKWARD 1u
/* Elements in a quantised block. */
#define KERNEL_BLOCK_ELEMENTS 32
/* A Q8_0 block: f16 scale, 32 i8 codes. */
#define KERNEL_Q8_BLOCK_BYTES 34
/* A Q4_0 block: f16 scale, 16 bytes of two 4-bit codes (element j low, element j + 16 high). */
#define KERNEL_Q4_BLOCK_BYTES 18

/*
 * A module exports its memory as memory, the immutable i32 global __heap_base, and
 *     int32_t kernel_forward(uint32_t descriptor), or the name that the manifest gives as entry_point
 *     int32_t kernel_init(uint32_t params, uint32_t params_len)
 *     int32_t kernel_info(uint32_t out)
 *     int32_t kernel_backward(uint32_t descriptor), where it computes a gradient
 *     int32_t kernel_cleanup(void)
 */

/* What an export returns. */
enum {
    /* Done; the output is written. */
    KERNEL_OK = 0,
    /* A region is outside memory, misaligned or overlaps another, or an input's size does not fit the parameters. */
    KERNEL_INVALID_INPUT = 1,
    /* The output's size does not fit the parameters. */
    KERNEL_INVALID_OUTPUT = 2,
    /* The parameter struct has the wrong size or a value out of range. */
    KERNEL_INVALID_PARAMS = 3,
    /* Scratch is too small. */
    KERNEL_OUT_OF_MEMORY = 4,
    /* The kernel has no such entry. */
    KERNEL_NOT_IMPLEMENTED = 5,
    /* The kernel failed in a way of its own; unknown values count as this one. */
    KERNEL_INTERNAL_ERROR = 6,
};

/* A span of linear memory: offset is an address, size a number of bytes. */
typedef struct KernelRegion {
    /* First byte. */
    uint32_t offset;
    /* Number of bytes; 0 means the region is absent and its offset means nothing. */
    uint32_t size;
} KernelRegion;
#define KERNEL_REGION_SIZE 8u

/* What a kernel is called with: five regions, 10 x u32, 40 bytes. */
typedef struct KernelDescriptor {
    /* First input. */
    KernelRegion input_a;
    /* Second input. */
    KernelRegion input_b;
    /* Output; read as well by kernels that update in place. */
    KernelRegion output;
    /* Working memory; its content after the call means nothing, except where a kernel says so. */
    KernelRegion scratch;
    /* The parameter struct. */
    KernelRegion params;
} KernelDescriptor;
#define KERNEL_DESCRIPTOR_SIZE 40u

/* What kernel_info writes: identity of the kernel, 20 bytes. */
typedef struct KernelInfo {
    /* Address of the kernel's name (UTF-8, no terminator). */
    uint32_t name_ptr;
    /* Bytes of the name. */
    uint32_t name_len;
    /* ABI version the module was built for. */
    uint16_t abi_version;
    /* Kernel version: major. */
    uint16_t major;
    /* Kernel version: minor. */
    uint16_t minor;
    /* Kernel version: patch. */
    uint16_t patch;
    /* Bit 0: kernel_backward computes a gradient. */
    uint32_t flags;
} KernelInfo;
#define KERNEL_INFO_SIZE 20u

/* rope_f32, rope_f16, rope_q8: rotates pairs of x[batch, seq, heads, head_dim]. */
typedef struct KernelRopeParams {
    /* Base of the angles that the kernel computes itself when it is given none. */
    float theta;
    /* Positions. */
    uint32_t seq;
    /* Elements of a head; even. */
    uint32_t head_dim;
    /* Heads. */
    uint32_t heads;
    /* Batch. */
    uint32_t batch;
    /* 0: pairs (2i, 2i + 1); 1: pairs (i, i + head_dim / 2). A struct of 20 bytes ends before it: 0. */
    uint32_t layout;
    /* What input b holds. 0: angles, or nothing; 1: cos then sin, f32; 2: cos then sin, f16 (rope_f16 only). A struct
       of 24 bytes ends before it: 0. */
    uint32_t table;
} KernelRopeParams;
#define KERNEL_ROPE_PARAMS_SIZE 28u

/* rmsnorm_f32, rmsnorm_f16: y = x / sqrt(mean(x^2) + eps) * w. */
typedef struct KernelRmsNormParams {
    /* Added to the mean of squares, inside the root. */
    float eps;
    /* Elements of a row, and of the weight. */
    uint32_t hidden;
    /* Number of rows. */
    uint32_t rows;
} KernelRmsNormParams;
#define KERNEL_RMS_NORM_PARAMS_SIZE 12u

/* swiglu_f32, swiglu_f16: y = gate * sigmoid(beta * gate) * x. */
typedef struct KernelSwigluParams {
    /* Number of rows. */
    uint32_t rows;
    /* Elements of a row. */
    uint32_t hidden;
    /* Factor of the gate inside the sigmoid. */
    float beta;
} KernelSwigluParams;
#define KERNEL_SWIGLU_PARAMS_SIZE 12u

/* kv_pack_*, kv_unpack_*: rows of dim elements in blocks of 32. */
typedef struct KernelKvParams {
    /* Number of rows. */
    uint32_t rows;
    /* Elements of a row, a multiple of 32. */
    uint32_t dim;
} KernelKvParams;
#define KERNEL_KV_PARAMS_SIZE 8u

/* lora_apply_f32, lora_apply_f16: y = base + scale * ((x * A) * B). */
typedef struct KernelLoraParams {
    /* Number of rows of x and of the output. */
    uint32_t rows;
    /* Columns of x. */
    uint32_t in_features;
    /* Columns of A and rows of B. */
    uint32_t rank;
    /* Columns of B and of the output. */
    uint32_t out_features;
    /* alpha / rank. */
    float scale;
} KernelLoraParams;
#define KERNEL_LORA_PARAMS_SIZE 20u

/* Structs have no padding: they are what lies in linear memory. */
_Static_assert(offsetof(KernelRegion, offset) == 0, "KernelRegion.offset");
_Static_assert(offsetof(KernelRegion, size) == 4, "KernelRegion.size");
_Static_assert(sizeof(KernelRegion) == KERNEL_REGION_SIZE, "KernelRegion");
_Static_assert(offsetof(KernelDescriptor, input_a) == 0, "KernelDescriptor.input_a");
_Static_assert(offsetof(KernelDescriptor, input_b) == 8, "KernelDescriptor.input_b");
_Static_assert(offsetof(KernelDescriptor, output) == 16, "KernelDescriptor.output");
_Static_assert(offsetof(KernelDescriptor, scratch) == 24, "KernelDescriptor.scratch");
_Static_assert(offsetof(KernelDescriptor, params) == 32, "KernelDescriptor.params");
_Static_assert(sizeof(KernelDescriptor) == KERNEL_DESCRIPTOR_SIZE, "KernelDescriptor");
_Static_assert(offsetof(KernelInfo, name_ptr) == 0, "KernelInfo.name_ptr");
_Static_assert(offsetof(KernelInfo, name_len) == 4, "KernelInfo.name_len");
_Static_assert(offsetof(KernelInfo, abi_version) == 8, "KernelInfo.abi_version");
_Static_assert(offsetof(KernelInfo, major) == 10, "KernelInfo.major");
_Static_assert(offsetof(KernelInfo, minor) == 12, "KernelInfo.minor");
_Static_assert(offsetof(KernelInfo, patch) == 14, "KernelInfo.patch");
_Static_assert(offsetof(KernelInfo, flags) == 16, "KernelInfo.flags");
_Static_assert(sizeof(KernelInfo) == KERNEL_INFO_SIZE, "KernelInfo");
_Static_assert(offsetof(KernelRopeParams, theta) == 0, "KernelRopeParams.theta");
_Static_assert(offsetof(KernelRopeParams, seq) == 4, "KernelRopeParams.seq");
_Static_assert(offsetof(KernelRopeParams, head_dim) == 8, "KernelRopeParams.head_dim");
_Static_assert(offsetof(KernelRopeParams, heads) == 12, "KernelRopeParams.heads");
_Static_assert(offsetof(KernelRopeParams, batch) == 16, "KernelRopeParams.batch");
_Static_assert(offsetof(KernelRopeParams, layout) == 20, "KernelRopeParams.layout");
_Static_assert(offsetof(KernelRopeParams, table) == 24, "KernelRopeParams.table");
_Static_assert(sizeof(KernelRopeParams) == KERNEL_ROPE_PARAMS_SIZE, "KernelRopeParams");
_Static_assert(offsetof(KernelRmsNormParams, eps) == 0, "KernelRmsNormParams.eps");
_Static_assert(offsetof(KernelRmsNormParams, hidden) == 4, "KernelRmsNormParams.hidden");
_Static_assert(offsetof(KernelRmsNormParams, rows) == 8, "KernelRmsNormParams.rows");
_Static_assert(sizeof(KernelRmsNormParams) == KERNEL_RMS_NORM_PARAMS_SIZE, "KernelRmsNormParams");
_Static_assert(offsetof(KernelSwigluParams, rows) == 0, "KernelSwigluParams.rows");
_Static_assert(offsetof(KernelSwigluParams, hidden) == 4, "KernelSwigluParams.hidden");
_Static_assert(offsetof(KernelSwigluParams, beta) == 8, "KernelSwigluParams.beta");
_Static_assert(sizeof(KernelSwigluParams) == KERNEL_SWIGLU_PARAMS_SIZE, "KernelSwigluParams");
_Static_assert(offsetof(KernelKvParams, rows) == 0, "KernelKvParams.rows");
_Static_assert(offsetof(KernelKvParams, dim) == 4, "KernelKvParams.dim");
_Static_assert(sizeof(KernelKvParams) == KERNEL_KV_PARAMS_SIZE, "KernelKvParams");
_Static_assert(offsetof(KernelLoraParams, rows) == 0, "KernelLoraParams.rows");
_Static_assert(offsetof(KernelLoraParams, in_features) == 4, "KernelLoraParams.in_features");
_Static_assert(offsetof(KernelLoraParams, rank) == 8, "KernelLoraParams.rank");
_Static_assert(offsetof(KernelLoraParams, out_features) == 12, "KernelLoraParams.out_features");
_Static_assert(offsetof(KernelLoraParams, scale) == 16, "KernelLoraParams.scale");
_Static_assert(sizeof(KernelLoraParams) == KERNEL_LORA_PARAMS_SIZE, "KernelLoraParams");

/*
 * Checks of a call, in the order of docs/abi.md. Each returns the status that the kernel has to return, or KERNEL_OK.
 * Nothing here wraps around, whatever the descriptor holds.
 */

/* Where the host may place regions: addresses from heap_base up to end, which is not one of them. */
typedef struct KernelMemory {
    uint32_t heap_base;
    uint64_t end; /* 64 bits, because memory may end at 2^32 */
} KernelMemory;

/* Whether the region lies inside memory, at or above the heap base, aligned. An absent region does. */
static inline int kernel_region_inside(KernelMemory memory, KernelRegion region)
{
    return region.size == 0
        || (region.offset >= memory.heap_base && region.offset % KERNEL_REGION_ALIGNMENT == 0
            && region.size <= KERNEL_MAX_REGION_BYTES && (uint64_t)region.offset + region.size <= memory.end);
}

/* Whether the two regions share a byte. An absent region shares none. */
static inline int kernel_regions_overlap(KernelRegion one, KernelRegion other)
{
    return one.size != 0 && other.size != 0 && one.offset < (uint64_t)other.offset + other.size
        && other.offset < (uint64_t)one.offset + one.size;
}

/* Step 1, before the descriptor is read: it lies where a region may. */
static inline int32_t kernel_check_descriptor(KernelMemory memory, uint32_t address)
{
    const KernelRegion own = { address, KERNEL_DESCRIPTOR_SIZE };
    return kernel_region_inside(memory, own) ? KERNEL_OK : KERNEL_INVALID_INPUT;
}

/* Steps 2 and 3, before the parameters are read: the struct has this size and lies where a region may. Step 4, their
   values, is the kernel's own. */
static inline int32_t kernel_check_params(KernelMemory memory, KernelRegion params, uint32_t size)
{
    if (params.size != size)
        return KERNEL_INVALID_PARAMS;
    return kernel_region_inside(memory, params) ? KERNEL_OK : KERNEL_INVALID_INPUT;
}

/* Step 5: the five regions lie where they may, and they and the descriptor share no byte. */
static inline int32_t kernel_check_regions(KernelMemory memory, uint32_t address, const KernelDescriptor *descriptor)
{
    const KernelRegion own = { address, KERNEL_DESCRIPTOR_SIZE };
    const KernelRegion *const all[6] = { &descriptor->input_a, &descriptor->input_b, &descriptor->output,
        &descriptor->scratch, &descriptor->params, &own };
    for (int i = 0; i < 6; i++) {
        if (!kernel_region_inside(memory, *all[i]))
            return KERNEL_INVALID_INPUT;
        for (int j = 0; j < i; j++)
            if (kernel_regions_overlap(*all[i], *all[j]))
                return KERNEL_INVALID_INPUT;
    }
    return KERNEL_OK;
}

/* Steps 6 to 8: inputs and output have exactly these sizes in bytes, scratch at least this one. */
static inline int32_t kernel_check_sizes(
    const KernelDescriptor *descriptor, uint64_t input_a, uint64_t input_b, uint64_t output, uint64_t scratch)
{
    if (descriptor->input_a.size != input_a || descriptor->input_b.size != input_b)
        return KERNEL_INVALID_INPUT;
    if (descriptor->output.size != output)
        return KERNEL_INVALID_OUTPUT;
    return descriptor->scratch.size >= scratch ? KERNEL_OK : KERNEL_OUT_OF_MEMORY;
}

/* A size that is none: no region has it. Products and sums that do not fit 32 bits give it, and keep it. */
#define KERNEL_NO_SIZE UINT64_MAX

/* Bytes of `count` times `bytes`; count is not 0. */
static inline uint64_t kernel_product(uint64_t bytes, uint32_t count)
{
    return bytes > UINT32_MAX || bytes * count > UINT32_MAX ? KERNEL_NO_SIZE : bytes * count;
}

/* Bytes of two tensors, one after the other. */
static inline uint64_t kernel_sum(uint64_t one, uint64_t other)
{
    return one > UINT32_MAX || other > UINT32_MAX || one + other > UINT32_MAX ? KERNEL_NO_SIZE : one + other;
}

/* What kernel_info checks before it writes: a KernelInfo fits at that address. */
static inline int32_t kernel_check_info(KernelMemory memory, uint32_t out)
{
    const int fits = out >= memory.heap_base && out % 4 == 0 && (uint64_t)out + KERNEL_INFO_SIZE <= memory.end;
    return fits ? KERNEL_OK : KERNEL_INVALID_OUTPUT;
}

#if defined(__wasm32__)
/* Stands before the definition of an export: KERNEL_EXPORT("kernel_cleanup") int32_t kernel_cleanup(void) { ... } */
#define KERNEL_EXPORT(name) __attribute__((export_name(name)))

/* What lies at an address of linear memory. */
#define KERNEL_AT(type, address) ((type *)(uintptr_t)(address))

/* A symbol of the linker; -Wl,--export=__heap_base exports it. */
extern unsigned char __heap_base;

/* The memory of this module, as large as it is now. */
static inline KernelMemory kernel_memory(void)
{
    const KernelMemory memory
        = { (uint32_t)(uintptr_t)&__heap_base, (uint64_t)__builtin_wasm_memory_size(0) * KERNEL_PAGE_BYTES };
    return memory;
}
#endif

#endif
