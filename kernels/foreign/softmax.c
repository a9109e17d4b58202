/* y = e^(x - max(x)) / sum(e^(x - max(x))) of each row.
   a = x[rows, columns], output = y[rows, columns]; scratch holds the exponentials of a row. */
#include "foreign.h"
#if FAULT == 2
#define EXPONENTIAL_ROUND __builtin_trunc
#endif
#include "exponential.h"

#define KERNEL_NAME "softmax"
typedef struct { uint32_t rows, columns; } Params;

static int params_valid(const Params *p) { return p->rows != 0 && p->columns != 0; }

static Sizes sizes(const Params *p)
{
    const uint64_t matrix = matrix_f32(p->rows, p->columns);
    return (Sizes) { matrix, 0, matrix, matrix_f32(1, p->columns) };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *x = f32_at(d->input_a);
    float *y = f32_out(d->output), *powers = f32_out(d->scratch);
    const uint32_t columns = p->columns;
    for (uint32_t row = 0; row < p->rows; row++, x += columns, y += columns) {
        float largest = x[0];
        for (uint32_t i = 1; i < columns; i++)
            /* A NaN stays. */
            largest = x[i] > largest || x[i] != x[i] ? x[i] : largest;
        double sum = 0.0;
        for (uint32_t i = 0; i < columns; i++) {
            const double below = x[i] - (FAULT == 3 ? 0.0 : (double)largest);
            powers[i] = exponential(FAULT == 1 ? below * 1.001 : below);
            if (!(FAULT == 4 && i + 1 == columns && columns > 1))
                sum += powers[i];
        }
        for (uint32_t i = 0; i < columns; i++)
            y[i] = (float)(powers[i] / sum);
        if (FAULT == 5 && row + 1 == p->rows && row > 0)
            for (uint32_t i = 0; i < columns; i++)
                y[i] = y[(int32_t)i - (int32_t)columns];
    }
}

#include "exports.h"
