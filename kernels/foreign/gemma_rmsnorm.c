/* output = hidden_states / sqrt(mean(hidden_states^2) + eps) * (1 + weight), for rows of 640 elements, as Gemma 3 has.
   a = hidden_states[batch_size, 640], b = weight[640], output = output[batch_size, 640]. */
#include "foreign.h"

#define KERNEL_NAME "gemma_rmsnorm"
#define HIDDEN 640u
typedef struct { uint32_t batch_size; float eps; } Params;

static int params_valid(const Params *p) { return p->batch_size != 0 && is_finite(p->eps) && p->eps >= 0x1p-40f; }

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->batch_size, HIDDEN);
    return (Sizes) { matrix, matrix_f32(1, HIDDEN), matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a), *weight = f32_at(d->input_b);
    float *y = f32_out(d->output);
    float factor = 0.0f;
    for (uint32_t row = 0; row < p->batch_size; row++, x += HIDDEN, y += HIDDEN) {
        const float mean = sum_of_squares(x, HIDDEN, FAULT == 3) / (float)HIDDEN;
        if (!(FAULT == 4 && row % 2 == 1))
            factor = 1.0f / __builtin_sqrtf(mean + (FAULT == 2 ? 0.0f : p->eps));
        for (uint32_t i = 0; i < HIDDEN; i++)
            y[i] = x[i] * factor * ((FAULT == 1 ? 0.0f : 1.0f) + (FAULT == 5 ? weight[i / 2] : weight[i]));
    }
}

#include "exports.h"
