/* The checks of lora_apply_f32, which has every kind of them, written with the header. Reads calls from stdin, one after the
   other: bytes of memory, heap base, address of the descriptor, memory. Writes the status of each, a byte. */
#include "kernel_abi.h"

#include <stdio.h>
#include <string.h>

static unsigned char linear_memory[4096];

static int32_t check(KernelMemory memory, uint32_t address)
{
    KernelDescriptor descriptor;
    KernelLoraParams params;
    int32_t status = kernel_check_descriptor(memory, address);
    if (status != KERNEL_OK)
        return status;
    memcpy(&descriptor, linear_memory + address, sizeof descriptor);
    status = kernel_check_params(memory, descriptor.params, KERNEL_LORA_PARAMS_SIZE);
    if (status != KERNEL_OK)
        return status;
    memcpy(&params, linear_memory + descriptor.params.offset, sizeof params);
    if (params.rows == 0 || params.in_features == 0 || params.rank == 0 || params.out_features == 0
        || params.scale - params.scale != 0.0f)
        return KERNEL_INVALID_PARAMS;
    status = kernel_check_regions(memory, address, &descriptor);
    if (status != KERNEL_OK)
        return status;
    const uint64_t x = kernel_product(kernel_product(4, params.rows), params.in_features);
    const uint64_t a = kernel_product(kernel_product(4, params.in_features), params.rank);
    const uint64_t b = kernel_product(kernel_product(4, params.rank), params.out_features);
    const uint64_t y = kernel_product(kernel_product(4, params.rows), params.out_features);
    const uint64_t scratch = kernel_product(kernel_product(4, params.rows), params.rank);
    return kernel_check_sizes(&descriptor, x, kernel_sum(a, b), y, scratch);
}

int main(void)
{
    uint32_t head[3];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        if (head[0] > sizeof linear_memory || fread(linear_memory, 1, head[0], stdin) != head[0])
            return 1;
        const KernelMemory memory = { head[1], head[0] };
        if (putchar(check(memory, head[2])) == EOF)
            return 1;
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
