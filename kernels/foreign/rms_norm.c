/* output = hidden_states / sqrt(mean(hidden_states^2) + eps) * weight.
   a = hidden_states[batch_size, hidden_size], b = weight[hidden_size], output = output[batch_size, hidden_size]. */
#include "foreign.h"

#define KERNEL_NAME "rms_norm"
typedef struct { uint32_t batch_size, hidden_size; float eps; } Params;

static int params_valid(const Params *p)
{
    return p->batch_size != 0 && p->hidden_size != 0 && is_finite(p->eps) && p->eps >= 0x1p-40f;
}

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->batch_size, p->hidden_size);
    return (Sizes) { matrix, matrix_f32(1, p->hidden_size), matrix, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a), *weight = f32_at(d->input_b);
    float *y = f32_out(d->output);
    const uint32_t hidden = p->hidden_size;
    for (uint32_t row = 0; row < p->batch_size; row++, x += hidden, y += hidden) {
        double sum = 0.0;
        for (uint32_t i = FAULT == 1 && hidden > 1; i < hidden; i++)
            sum += (double)x[i] * x[i];
        const double mean = sum / (FAULT == 2 ? hidden + 1.0 : hidden);
        const double root = FAULT == 3 ? __builtin_sqrt(mean) + p->eps : __builtin_sqrt(mean + p->eps);
        for (uint32_t i = 0; i < hidden; i++)
            y[i] = (float)(x[i] / root * (FAULT == 4 ? weight[i / 2] : weight[i]));
        if (FAULT == 5 && hidden > 1)
            y[hidden - 1] = x[hidden - 1];
    }
}

#include "exports.h"
