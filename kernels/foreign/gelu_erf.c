/* y = 0.5 * x * (1 + erf(x / sqrt(2))).
   a = x[rows, hidden], output = y[rows, hidden]. */
#include "foreign.h"
#if FAULT == 1
#define EXPONENTIAL_FACTOR 1.001
#endif
#include "exponential.h"

#define KERNEL_NAME "gelu_erf"
typedef struct { uint32_t rows, hidden; } Params;

static int params_valid(const Params *p) { return p->rows != 0 && p->hidden != 0; }

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->hidden);
    return (Sizes) { matrix, 0, matrix, 0 };
}

/* erfc(z) / 2 for z >= 0: e^(-z^2) * t * P(t), t = 1 / (1 + z / 2). P is fitted by least squares at Chebyshev nodes
   for t in [0.06, 1], in the relative error; the most is 1e-8. */
static float half_erfc(double z)
{
    const float coefficients[] = { 0.28209472f, 0.28209564f, 0.24686328f, 0.17543872f, 0.09305755f, -0.05842061f,
        0.13129611f, -0.45452526f, 0.49375520f, -0.23490624f, 0.04325090f };
    const float t = (float)(1.0 / (1.0 + 0.5 * z));
    float sum = 0.0f;
    for (int i = 10; i >= (FAULT == 2 ? 1 : 0); i--)
        sum = sum * t + coefficients[i];
    return 0.5f * t * sum * exponential(-z * z);
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a);
    float *y = f32_out(d->output);
    const uint32_t count = p->rows * p->hidden;
    for (uint32_t i = 0; i < count; i++) {
        const float tail = half_erfc((x[i] < 0.0f ? -(double)x[i] : x[i]) * 0.7071067811865476);
        const int below = FAULT == 3 ? x[i] > 0.0f : x[i] < 0.0f;
        y[i] = x[i] * (below ? tail : 1.0f - tail);
    }
    if (FAULT == 4 && p->rows > 1)
        for (uint32_t i = 0; i < p->hidden; i++)
            y[count - 1 - i] = x[count - 1 - i];
    if (FAULT == 5)
        for (uint32_t i = 0; i < count; i += 7)
            y[i] += 1e-5f;
}

#include "exports.h"
