/* eval/matrix.h: Gemm and MatMul. */
#ifndef EVAL_MATRIX_H
#define EVAL_MATRIX_H

#include "eval/array.h"

/* eval/matrix.c */
const char *eval_det(struct evaluation *e);
const char *eval_gemm(struct evaluation *e);
const char *eval_matmul(struct evaluation *e);

#endif
