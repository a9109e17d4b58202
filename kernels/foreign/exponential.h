/* e^x in f32 from an argument in f64, within 2 units in the last place. Products and differences that are computed in
   f64 lose nothing before they are exponents. */
#ifndef FOREIGN_EXPONENTIAL_H
#define FOREIGN_EXPONENTIAL_H

#include <stdint.h>

/* How the multiple of ln 2 is found, and the factor of the result: planted faults. */
#ifndef EXPONENTIAL_ROUND
#define EXPONENTIAL_ROUND __builtin_rint
#endif
#ifndef EXPONENTIAL_FACTOR
#define EXPONENTIAL_FACTOR 1.0
#endif

static inline float exponential(double x)
{
    if (x != x)
        return (float)x;
    if (x > 100.0)
        return __builtin_inff();
    if (x < -120.0)
        return 0.0f;
    const double n = EXPONENTIAL_ROUND(x * 1.4426950408889634);
    const float r = (float)(x - n * 0.6931471805599453);
    /* Fitted by least squares at Chebyshev nodes in [-ln 2 / 2, ln 2 / 2], in the relative error. */
    const float q
        = 0.49999988f + r * (0.16666518f + r * (0.04166954f + r * (0.0083689522f + r * 0.0013751279f)));
    const union {
        uint64_t bits;
        double value;
    } power = { (uint64_t)((int32_t)n + 1023) << 52 };
    return (float)((double)(1.0f + (r + r * r * q)) * power.value * EXPONENTIAL_FACTOR);
}

#endif
