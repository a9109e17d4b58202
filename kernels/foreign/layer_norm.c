/* y = (x - mean) / sqrt(variance + eps) * weight + bias, in f64 with one rounding: where a row is nearly constant the
   difference from the mean cancels, and f32 would keep little of it.
   a = x[rows, hidden] then weight[hidden], b = bias[hidden], output = y[rows, hidden]. */
#include "foreign.h"

#define KERNEL_NAME "layer_norm"
typedef struct { uint32_t rows, hidden; float eps; } Params;

static int params_valid(const Params *p)
{
    return p->rows != 0 && p->hidden != 0 && is_finite(p->eps) && p->eps >= 0x1p-40f;
}

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->hidden), vector = matrix_f32(1, p->hidden);
    return (Sizes) { kernel_sum(matrix, vector), vector, matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const uint32_t hidden = p->hidden;
    const float *x = f32_at(d->input_a), *weight = x + p->rows * hidden, *bias = f32_at(d->input_b);
    float *y = f32_out(d->output);
    for (uint32_t row = 0; row < p->rows; row++, x += hidden, y += hidden) {
        double sum = 0.0, squares = 0.0;
        for (uint32_t i = 0; i < hidden - (FAULT == 2 && hidden > 1); i++)
            sum += x[i];
        const double mean = sum / hidden;
        for (uint32_t i = 0; i < hidden; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        const double variance = squares / (FAULT == 3 && hidden > 1 ? hidden - 1 : hidden);
        const double inverse = 1.0 / __builtin_sqrt(variance + (FAULT == 1 ? 0.0 : p->eps));
        for (uint32_t i = 0; i < hidden; i++) {
            const double shift = FAULT == 5 ? -(double)bias[i] : bias[i];
            y[i] = (float)((x[i] - mean) * inverse * weight[FAULT == 4 ? (row + i) % hidden : i] + shift);
        }
    }
}

#include "exports.h"
