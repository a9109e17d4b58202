/* What kernels/foreign/fused_add_rmsnorm.c promises, in f64 and rounded once; the same interface. */
#include "foreign.h"

#define KERNEL_NAME "fused_add_rmsnorm"
typedef struct { uint32_t batch_size, hidden_size; float eps; } Params;

static int params_valid(const Params *p)
{
    return p->batch_size != 0 && p->hidden_size != 0 && is_finite(p->eps) && p->eps >= 0x1p-40f;
}

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->batch_size, p->hidden_size), vector = matrix_f32(1, p->hidden_size);
    return (Sizes) { matrix, kernel_sum(matrix, vector), kernel_sum(matrix, matrix), 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const uint32_t hidden = p->hidden_size;
    const float *x = f32_at(d->input_a), *residual = f32_at(d->input_b);
    const float *weight = residual + p->batch_size * hidden;
    float *y = f32_out(d->output), *y2 = y + p->batch_size * hidden;
    for (uint32_t first = 0; first < p->batch_size * hidden; first += hidden) {
        double squares = 0.0;
        for (uint32_t i = first; i < first + hidden; i++) {
            const double sum = (double)x[i] + residual[i];
            squares += sum * sum;
        }
        const double root = __builtin_sqrt(squares / hidden + p->eps);
        for (uint32_t i = first; i < first + hidden; i++) {
            const double sum = (double)x[i] + residual[i];
            y[i] = (float)(sum / root * weight[i - first]);
            y2[i] = (float)sum;
        }
    }
}

#include "exports.h"
