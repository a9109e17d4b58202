/* output = gate / (1 + e^-gate) * up, where each row of input is gate then up.
   a = input[tokens, width], output = output[tokens, intermediate]; width = 2 * intermediate. */
#include "foreign.h"
#if FAULT == 1
#define EXPONENTIAL_FACTOR 1.001
#elif FAULT == 2
#define EXPONENTIAL_ROUND __builtin_trunc
#endif
#include "exponential.h"

#define KERNEL_NAME "silu_and_mul"
typedef struct { uint32_t tokens, width, intermediate; } Params;

static int params_valid(const Params *p)
{
    return p->tokens != 0 && p->intermediate != 0 && p->width / 2 == p->intermediate && p->width % 2 == 0;
}

static Sizes sizes(const Params *p)
{
    return (Sizes) { matrix_f32(p->tokens, p->width), 0, matrix_f32(p->tokens, p->intermediate), 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *input = f32_at(d->input_a), *const first = input;
    float *y = f32_out(d->output);
    for (uint32_t row = 0; row < p->tokens; row++, input += p->width, y += p->intermediate)
        for (uint32_t i = 0; i < p->intermediate; i++) {
            const int last = row + 1 == p->tokens && row > 0;
            const float gate = FAULT == 5 ? first[i] : input[i], up = input[p->intermediate + i];
            y[i] = gate / (1.0f + exponential(FAULT == 3 ? gate : -(double)gate)) * up;
            if (last && (FAULT == 4 || FAULT == 6))
                y[i] = FAULT == 4 ? up : 0.0f;
        }
}

#include "exports.h"
