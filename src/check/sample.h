/* check/sample.h: how each operator computes a sample of channels. */
#ifndef CHECK_SAMPLE_H
#define CHECK_SAMPLE_H

#include "check/item.h"

/* Rank and extents of an input, if known before the evaluation. */
bool check_input_dims(const struct item *item, size_t index, int *rank, const int64_t **dims);
/* True if the operator can compute only the sample. */
bool check_computes_sample(struct trial *trial, const struct item *item);
/* The axis along which an operator that computes the sample needs only the sample of an input; -1: it needs all.
 * *is_data: the input is laid out like the target, so it need not be whole either. */
int check_sample_axis(const struct trial *trial, const struct item *item, size_t index, bool *is_data);
/* A Conv with a group for each channel of the target. */
bool check_is_depthwise(const struct trial *trial, const struct item *item);

#endif
