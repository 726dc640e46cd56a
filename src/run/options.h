/* run/options.h: the caller's options, checked. */
#ifndef RUN_OPTIONS_H
#define RUN_OPTIONS_H

#include "run/state.h"

/* Takes over the caller's options, NULL for the defaults. Lands with ARGUMENT. */
void run_options(struct run *run, const struct onnx_fuse_options *options);

/* What every option is where the caller says nothing. */
void options_default(struct onnx_fuse_options *options);

#endif
