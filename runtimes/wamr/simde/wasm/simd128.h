/* What WAMR's interpreter includes as SIMDe: the system's, with the six functions corrected that treat signed zeros
   otherwise than WebAssembly (found in SIMDe 0.7.4 by tests/simd.rs, which compares every operation with LLVM's). */

#ifndef ASSAY_SIMD128_H
#define ASSAY_SIMD128_H

#include "/usr/include/simde/wasm/simd128.h"

#include <stdint.h>
#include <string.h>

static inline simde_v128_t
assay_f32x4_abs(simde_v128_t a)
{
    return simde_wasm_v128_and(a, simde_wasm_i32x4_splat(INT32_MAX));
}

static inline simde_v128_t
assay_f64x2_abs(simde_v128_t a)
{
    return simde_wasm_v128_and(a, simde_wasm_i64x2_splat(INT64_MAX));
}

/* A NaN if either is one; of two zeros the bits are joined: by | the minimum has a sign if one has, by & the maximum
   if both have. a + b makes a signalling NaN quiet. */
#define ASSAY_EXTREMUM(NAME, FLOAT, BITS, LANES, BEFORE, JOIN)    \
    static inline simde_v128_t NAME(simde_v128_t a, simde_v128_t b) \
    {                                                               \
        FLOAT x[LANES], y[LANES];                                   \
        memcpy(x, &a, sizeof(x));                                   \
        memcpy(y, &b, sizeof(y));                                   \
        for (int lane = 0; lane < LANES; lane++) {                  \
            if (x[lane] != x[lane] || y[lane] != y[lane]) {         \
                x[lane] += y[lane];                                 \
            }                                                       \
            else if (x[lane] == y[lane]) {                          \
                BITS left, right;                                   \
                memcpy(&left, &x[lane], sizeof(left));              \
                memcpy(&right, &y[lane], sizeof(right));            \
                left = left JOIN right;                             \
                memcpy(&x[lane], &left, sizeof(left));              \
            }                                                       \
            else if (y[lane] BEFORE x[lane]) {                      \
                x[lane] = y[lane];                                  \
            }                                                       \
        }                                                           \
        memcpy(&a, x, sizeof(x));                                   \
        return a;                                                   \
    }

ASSAY_EXTREMUM(assay_f32x4_min, float, uint32_t, 4, <, |)
ASSAY_EXTREMUM(assay_f32x4_max, float, uint32_t, 4, >, &)
ASSAY_EXTREMUM(assay_f64x2_min, double, uint64_t, 2, <, |)
ASSAY_EXTREMUM(assay_f64x2_max, double, uint64_t, 2, >, &)

#define simde_wasm_f32x4_abs assay_f32x4_abs
#define simde_wasm_f64x2_abs assay_f64x2_abs
#define simde_wasm_f32x4_min assay_f32x4_min
#define simde_wasm_f32x4_max assay_f32x4_max
#define simde_wasm_f64x2_min assay_f64x2_min
#define simde_wasm_f64x2_max assay_f64x2_max

#endif
