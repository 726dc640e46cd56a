/* command/wildcard.h: if "onnx-repvgg-fuse *.onnx" matches two models, the second one must not be overwritten. */
#ifndef COMMAND_WILDCARD_H
#define COMMAND_WILDCARD_H

#include <stdbool.h>

#include "onnx_repvgg_fuse.h"

/* True if IN and OUT are in the order of a shell's wildcard, and OUT is not an earlier result: a model that would
 * itself be fused, or that differs from IN if IN is only copied. */
bool wildcard_takes(const char *input, const char *output, const struct onnx_fuse_options *options);

#endif
