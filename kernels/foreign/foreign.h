/* What the kernels of this folder share. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include "kernel_abi.h"

/* A planted fault: 0 is none. The table is fixtures/packs/foreign.faults.json. */
#ifndef FAULT
#define FAULT 0
#endif

/* Bytes that the regions of a call have to have; scratch may have more. */
typedef struct Sizes {
    uint64_t input_a, input_b, output, scratch;
} Sizes;

static inline int is_finite(float x) { return x - x == 0.0f; }

/* Bytes of an f32 tensor. */
static inline uint64_t matrix_f32(uint32_t rows, uint32_t columns)
{
    return kernel_product(kernel_product(sizeof(float), rows), columns);
}

static inline const float *f32_at(KernelRegion region) { return KERNEL_AT(const float, region.offset); }
static inline float *f32_out(KernelRegion region) { return KERNEL_AT(float, region.offset); }

/* The sum of squares in eight partial sums, so that an error of rounding grows with an eighth of the row. `left_out`
   elements at the end are a planted fault. */
static inline float sum_of_squares(const float *x, uint32_t count, uint32_t left_out)
{
    float partial[8] = { 0 };
    for (uint32_t i = 0; i + left_out < count; i++)
        partial[i % 8] += x[i] * x[i];
    return ((partial[0] + partial[1]) + (partial[2] + partial[3]))
        + ((partial[4] + partial[5]) + (partial[6] + partial[7]));
}

#endif
