/* What kernels/foreign/gemma_rmsnorm.c promises, in f64 and rounded once; the same interface. */
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
    const float *weight = f32_at(d->input_b);
    for (uint32_t row = 0; row < p->batch_size; row++) {
        const float *x = f32_at(d->input_a) + row * HIDDEN;
        float *y = f32_out(d->output) + row * HIDDEN;
        double squares = 0.0;
        for (uint32_t i = 0; i < HIDDEN; i++)
            squares += (double)x[i] * x[i];
        const double root = __builtin_sqrt(squares / HIDDEN + p->eps);
        for (uint32_t i = 0; i < HIDDEN; i++)
            y[i] = (float)(x[i] / root * (1.0 + weight[i]));
    }
}

#include "exports.h"
