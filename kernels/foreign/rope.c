/* Rotates each pair (x[i], x[i + half]) by the angle of its position, given as cosine and sine.
   a = x[batch, heads, seq, head_dim], b = cos[batch, seq, half] then sin[batch, seq, half], output as a;
   half = head_dim / 2. */
#include "foreign.h"

#define KERNEL_NAME "rope"
typedef struct { uint32_t batch, heads, seq, head_dim, half; } Params;

static int params_valid(const Params *p)
{
    return p->batch != 0 && p->heads != 0 && p->seq != 0 && p->half != 0 && p->head_dim / 2 == p->half
        && p->head_dim % 2 == 0;
}

static Sizes sizes(const Params *p)
{
    const uint64_t x = kernel_product(kernel_product(matrix_f32(p->seq, p->head_dim), p->heads), p->batch);
    const uint64_t table = kernel_product(matrix_f32(p->seq, p->half), p->batch);
    return (Sizes) { x, kernel_sum(table, table), x, 0 };
}

static void compute(const Params *p, const KernelDescriptor *d)
{
    const uint32_t half = p->half;
    const float *x = f32_at(d->input_a), *cosines = f32_at(d->input_b), *sines = cosines + p->batch * p->seq * half;
    float *y = f32_out(d->output);
    for (uint32_t batch = 0; batch < p->batch; batch++)
        for (uint32_t head = 0; head < p->heads; head++)
            for (uint32_t position = 0; position < p->seq; position++, x += p->head_dim, y += p->head_dim) {
                const uint32_t from = FAULT == 3 ? head % p->seq : position;
                const float *c = cosines + (batch * p->seq + from) * half, *s = sines + (batch * p->seq + from) * half;
                const int copied = (FAULT == 5 && position + 1 == p->seq && position > 0)
                    || (FAULT == 6 && head + 1 == p->heads && head > 0);
                for (uint32_t i = 0; i < half; i++) {
                    /* The other layout: pairs (2 i, 2 i + 1). */
                    const uint32_t one = FAULT == 4 ? 2 * i : i, two = FAULT == 4 ? 2 * i + 1 : i + half;
                    const float cosine = FAULT == 2 ? c[i] * 1.001f : c[i], sine = FAULT == 1 ? -s[i] : s[i];
                    y[one] = copied ? x[one] : cosine * x[one] - sine * x[two];
                    y[two] = copied ? x[two] : sine * x[one] + cosine * x[two];
                }
            }
}

#include "exports.h"
