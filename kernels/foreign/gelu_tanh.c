/* y = 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))), as x / (1 + e^(-2 * ...)), which does not cancel.
   a = x[rows, hidden], output = y[rows, hidden]. */
#include "foreign.h"
#if FAULT == 1
#define EXPONENTIAL_FACTOR 1.001
#elif FAULT == 2
#define EXPONENTIAL_ROUND __builtin_trunc
#endif
#include "exponential.h"

#define KERNEL_NAME "gelu_tanh"
typedef struct { uint32_t rows, hidden; } Params;

static int params_valid(const Params *p) { return p->rows != 0 && p->hidden != 0; }

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->hidden);
    return (Sizes) { matrix, 0, matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a);
    float *y = f32_out(d->output);
    const uint32_t count = p->rows * p->hidden;
    for (uint32_t i = 0; i < count; i++) {
        const double value = x[i];
        const double cubic = (FAULT == 3 ? -0.044715 : 0.044715) * value * value * value;
        /* 2 * sqrt(2 / pi) */
        y[i] = x[i] / (1.0f + exponential(-1.5957691216057308 * (value + cubic)));
    }
    if (FAULT == 4)
        for (uint32_t row = 0; row < p->rows && p->hidden > 1; row++)
            y[row * p->hidden + p->hidden - 1] = x[row * p->hidden + p->hidden - 1];
    if (FAULT == 5 && count > 1)
        y[0] = y[1];
}

#include "exports.h"
