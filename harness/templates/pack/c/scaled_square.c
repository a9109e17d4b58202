/* y = scale * x * x, element by element.
   a = x[rows, hidden], output = y[rows, hidden]; no b, no scratch. */
#include "kernel_abi.h"

typedef struct { uint32_t rows, hidden; float scale; } Params;

#ifdef REFERENCE
/* What is right: the formula in f64, rounded once. */
static float value(float x, float scale) { return (float)((double)scale * x * x); }
#else
static float value(float x, float scale) { return scale * x * x; }
#endif

/* The parameters: size, place, values. */
static int32_t check_params(KernelRegion region)
{
    int32_t status = kernel_check_params(kernel_memory(), region, sizeof(Params));
    if (status != KERNEL_OK) return status;
    const Params *params = KERNEL_AT(const Params, region.offset);
    return params->rows != 0 && params->hidden != 0 ? KERNEL_OK : KERNEL_INVALID_PARAMS;
}

KERNEL_EXPORT("kernel_forward") int32_t kernel_forward(uint32_t address)
{
    const KernelDescriptor *descriptor = KERNEL_AT(const KernelDescriptor, address);
    int32_t status = kernel_check_descriptor(kernel_memory(), address);
    if (status == KERNEL_OK) status = check_params(descriptor->params);
    if (status == KERNEL_OK) status = kernel_check_regions(kernel_memory(), address, descriptor);
    if (status != KERNEL_OK) return status;
    const Params params = *KERNEL_AT(const Params, descriptor->params.offset);
    const uint64_t bytes = kernel_product(kernel_product(sizeof(float), params.rows), params.hidden);
    status = kernel_check_sizes(descriptor, bytes, 0, bytes, 0);
    if (status != KERNEL_OK) return status;

    const float *x = KERNEL_AT(const float, descriptor->input_a.offset);
    float *y = KERNEL_AT(float, descriptor->output.offset);
    /* There is a first element, so a loop that looks before it would have code that never runs. */
    uint32_t i = 0;
    do y[i] = value(x[i], params.scale); while (++i < params.rows * params.hidden);
    return KERNEL_OK;
}

KERNEL_EXPORT("kernel_init") int32_t kernel_init(uint32_t params, uint32_t params_len)
{
    return params_len == 0 ? KERNEL_OK : check_params((KernelRegion) { params, params_len });
}

KERNEL_EXPORT("kernel_info") int32_t kernel_info(uint32_t out)
{
    static const char name[] = "scaled_square";
    const int32_t status = kernel_check_info(kernel_memory(), out);
    const KernelInfo info = { (uint32_t)(uintptr_t)name, sizeof name - 1, KERNEL_ABI_VERSION, 0, 1, 0, 0 };
    if (status == KERNEL_OK) *KERNEL_AT(KernelInfo, out) = info;
    return status;
}

KERNEL_EXPORT("kernel_cleanup") int32_t kernel_cleanup(void) { return KERNEL_OK; }
