/* base/real.h: exp, log and similar functions, from sums and products only, so that every machine gets the same number.
 *
 * C libraries differ in the last bit, and some choose by the processor. Errors, in units of the last place: exp and
 * log 0.6, pow 0.8, expm1, log1p, log2 and log10 1.5, tanh 2.5, erf 2. erfc is right to 12 digits. */
#ifndef BASE_REAL_H
#define BASE_REAL_H

double real_exp(double x);
double real_expm1(double x);
double real_log(double x);
double real_log1p(double x);
double real_log2(double x);
double real_log10(double x);
double real_pow(double x, double y);
double real_tanh(double x);
double real_erf(double x);
double real_erfc(double x);

#endif
