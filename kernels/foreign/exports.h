/* The exports of a kernel, from what its file says before it includes this one:
   KERNEL_NAME, the type Params, params_valid, sizes and compute. The order of checks is that of docs/abi.md. */
#ifndef FOREIGN_EXPORTS_H
#define FOREIGN_EXPORTS_H

/* Steps 2 to 4: size, place and values of the parameters. */
static int32_t check_params(KernelRegion region)
{
    const int32_t status = kernel_check_params(kernel_memory(), region, sizeof(Params));
    if (status != KERNEL_OK)
        return status;
    return params_valid(KERNEL_AT(const Params, region.offset)) ? KERNEL_OK : KERNEL_INVALID_PARAMS;
}

KERNEL_EXPORT("kernel_forward") int32_t kernel_forward(uint32_t address)
{
    const KernelDescriptor *const descriptor = KERNEL_AT(const KernelDescriptor, address);
    int32_t status = kernel_check_descriptor(kernel_memory(), address);
    if (status == KERNEL_OK)
        status = check_params(descriptor->params);
    if (status == KERNEL_OK)
        status = kernel_check_regions(kernel_memory(), address, descriptor);
    if (status != KERNEL_OK)
        return status;
    const Params params = *KERNEL_AT(const Params, descriptor->params.offset);
    const Sizes bytes = sizes(&params);
    status = kernel_check_sizes(descriptor, bytes.input_a, bytes.input_b, bytes.output, bytes.scratch);
    if (status == KERNEL_OK)
        compute(&params, descriptor);
    return status;
}

KERNEL_EXPORT("kernel_init") int32_t kernel_init(uint32_t params, uint32_t params_len)
{
    return params_len == 0 ? KERNEL_OK : check_params((KernelRegion) { params, params_len });
}

KERNEL_EXPORT("kernel_info") int32_t kernel_info(uint32_t out)
{
    static const char name[] = KERNEL_NAME;
    const int32_t status = kernel_check_info(kernel_memory(), out);
    const KernelInfo info = { (uint32_t)(uintptr_t)name, sizeof name - 1, KERNEL_ABI_VERSION, 1, 0, 0, 0 };
    if (status == KERNEL_OK)
        *KERNEL_AT(KernelInfo, out) = info;
    return status;
}

KERNEL_EXPORT("kernel_cleanup") int32_t kernel_cleanup(void) { return KERNEL_OK; }

#endif
