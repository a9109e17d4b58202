/* y = x / sqrt(mean(x^2) + eps) * weight, the sum of squares in eight partial sums.
   a = x[rows, hidden], b = weight[hidden], output = y[rows, hidden]. Scratch for rows * f32 receives the roots. */
#include "foreign.h"

#define KERNEL_NAME "rmsnorm_eight"
typedef struct { float eps; uint32_t hidden, rows; } Params;

static int params_valid(const Params *p)
{
    return p->rows != 0 && p->hidden != 0 && is_finite(p->eps) && p->eps >= 0.0f;
}

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->hidden);
    return (Sizes) { matrix, matrix_f32(1, p->hidden), matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a), *weight = f32_at(d->input_b);
    float *y = f32_out(d->output), *roots = f32_out(d->scratch);
    float factor = 0.0f;
    for (uint32_t row = 0; row < p->rows; row++, x += p->hidden, y += p->hidden) {
        const float sum = sum_of_squares(x, p->hidden, FAULT == 2 && p->hidden > 1);
        const float root = __builtin_sqrtf(sum / (float)p->hidden + (FAULT == 1 ? 0.0f : p->eps));
        if (!(FAULT == 3 && row + 1 == p->rows && row > 0))
            factor = 1.0f / root;
        if (d->scratch.size / sizeof(float) >= p->rows)
            roots[row] = root;
        for (uint32_t i = 0; i < p->hidden; i++) {
            const float w = FAULT == 4 ? weight[(row + i) % p->hidden] : weight[i];
            y[i] = x[i] * factor * (FAULT == 5 && i % 2 == 1 ? -w : w);
        }
    }
}

#include "exports.h"
