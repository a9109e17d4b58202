/* y = c + scale * (a * transposed(b)), eight partial sums for each element.
   a = a[rows, depth], b = b[columns, depth], output holds c[rows, columns] on entry and is updated in place. */
#include "foreign.h"

#define KERNEL_NAME "dot"
typedef struct { uint32_t rows, columns, depth; float scale; } Params;

static int params_valid(const Params *p)
{
    return p->rows != 0 && p->columns != 0 && p->depth != 0 && is_finite(p->scale);
}

static Sizes sizes(const Params *p)
{
    return (Sizes) { matrix_f32(p->rows, p->depth), matrix_f32(p->columns, p->depth),
        matrix_f32(p->rows, p->columns), 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const float *a = f32_at(d->input_a), *b = f32_at(d->input_b);
    float *y = f32_out(d->output);
    const uint32_t depth = p->depth;
    for (uint32_t row = 0; row < p->rows; row++)
        for (uint32_t column = 0; column < p->columns; column++) {
            float partial[8] = { 0 };
            for (uint32_t k = 0; k < depth - (FAULT == 1 && depth > 1); k++) {
                /* Wrong axis: b is read as [depth, columns]. */
                const float other = FAULT == 2 ? b[k * p->columns + column] : b[column * depth + k];
                partial[k % 8] += a[row * depth + k] * other;
            }
            const float sum = ((partial[0] + partial[1]) + (partial[2] + partial[3]))
                + ((partial[4] + partial[5]) + (partial[6] + partial[7]));
            float *const into = y + row * p->columns + column;
            const float scaled = (FAULT == 3 ? -p->scale : p->scale) * sum;
            if ((FAULT == 4 && row + 1 == p->rows && row > 0) || (FAULT == 6 && column + 1 == p->columns && column > 0))
                continue;
            *into = FAULT == 5 ? scaled : *into + scaled;
        }
}

#include "exports.h"
