/* eval/spectrum.h: Fourier transforms, their windows and filters. */
#ifndef EVAL_SPECTRUM_H
#define EVAL_SPECTRUM_H

#include "eval/array.h"

const char *eval_dft(struct evaluation *e);
const char *eval_mel_weight_matrix(struct evaluation *e);
const char *eval_stft(struct evaluation *e);
const char *eval_window(struct evaluation *e); /* BlackmanWindow, HammingWindow, HannWindow */

#endif
