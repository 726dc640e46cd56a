/* command/wildcard.h: "onnx-repvgg-fuse *.onnx", where two models match, must not cost the second one. */
#ifndef COMMAND_WILDCARD_H
#define COMMAND_WILDCARD_H

#include <stdbool.h>

#include "onnx_repvgg_fuse.h"

/* True when IN and OUT stand as a shell would sort the matches of a wildcard, and what lies at OUT is no earlier result: a
 * model that would fuse itself, or another one where IN is only copied. */
bool wildcard_takes(const char *input, const char *output, const struct onnx_fuse_options *options);

#endif
