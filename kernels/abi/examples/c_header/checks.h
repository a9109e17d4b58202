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
