/* residual_output = hidden_states + residual, output = residual_output / sqrt(mean(residual_output^2) + eps) * weight.
   a = hidden_states[batch_size, hidden_size], b = residual[batch_size, hidden_size] then weight[hidden_size],
   output = output then residual_output, each [batch_size, hidden_size]. */
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
    const uint32_t hidden = p->hidden_size, count = p->batch_size * hidden;
    const float *x = f32_at(d->input_a), *residual = f32_at(d->input_b), *weight = residual + count;
    float *y = f32_out(d->output), *sum = y + count;
    for (uint32_t i = 0; i < count; i++)
        sum[i] = FAULT == 3 ? x[i] - residual[i] : x[i] + residual[i];
    float factor = 0.0f;
    for (uint32_t row = 0; row < p->batch_size; row++, sum += hidden, y += hidden, x += hidden) {
        const float squares = sum_of_squares(FAULT == 4 ? x : sum, hidden, FAULT == 2 && hidden > 1);
        const float mean = squares / (float)hidden;
        if (!(FAULT == 6 && row + 1 == p->batch_size && row > 0))
            factor = 1.0f / __builtin_sqrtf(mean + (FAULT == 1 ? 0.0f : p->eps));
        for (uint32_t i = 0; i < hidden; i++)
            y[i] = sum[i] * factor * weight[i];
        if (FAULT == 5 && hidden > 1)
            sum[hidden - 1] = x[hidden - 1];
    }
}

#include "exports.h"
