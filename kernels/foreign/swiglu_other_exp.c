/* y = gate * sigmoid(beta * gate) * x, by an exponential of its own.
   a = x[rows, hidden], b = gate[rows, hidden], output = y[rows, hidden]. */
#include "foreign.h"
#if FAULT == 1
#define EXPONENTIAL_FACTOR 1.001
#elif FAULT == 2
#define EXPONENTIAL_ROUND __builtin_trunc
#endif
#include "exponential.h"

#define KERNEL_NAME "swiglu_other_exp"
typedef struct { uint32_t rows, hidden; float beta; } Params;

static int params_valid(const Params *p) { return p->rows != 0 && p->hidden != 0 && is_finite(p->beta); }

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->hidden);
    return (Sizes) { matrix, matrix, matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a), *gate = f32_at(d->input_b);
    float *y = f32_out(d->output);
    const uint32_t count = p->rows * p->hidden;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t other = FAULT == 5 && p->hidden > 1 ? i / p->hidden * p->hidden : i;
        const double exponent = (double)p->beta * gate[other];
        const float e = exponential(FAULT == 3 ? exponent : -exponent);
        y[i] = gate[i] / (1.0f + e) * x[i];
    }
    if (FAULT == 4 && count > 1)
        y[count - 1] = 0.0f;
    if (FAULT == 6 && p->rows > 1)
        for (uint32_t i = count - p->hidden; i < count; i++)
            y[i] = gate[i] * x[i];
}

#include "exports.h"
