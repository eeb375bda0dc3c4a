// Exponentials and logarithms from additions and multiplications in a fixed order. The C libraries differ in last bits.
#pragma once

namespace kernels {

// Gives what expf of glibc gives, which fastText calls.
float exp_float(float x);

double exp_double(double x);

// `x` is positive, finite and not denormal.
double log_double(double x);

}  // namespace kernels
