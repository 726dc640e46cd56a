/* run/options.h: the caller's options, checked. */
#ifndef RUN_OPTIONS_H
#define RUN_OPTIONS_H

#include "run/state.h"

/* Takes over the caller's options, NULL for the defaults. Lands with ARGUMENT. */
void run_options(struct run *run, const struct onnx_fuse_options *given);

/* Takes over a struct of options that begins with its struct_size. A caller built with an older header has a shorter
 * one, but at least `least` bytes. given NULL: `own` stays unchanged. init: the public function that makes one.
 * Lands with ARGUMENT. */
void options_take(struct landing *landing, void *own, size_t size, const void *given, size_t least, const char *init);
/* Lands with ARGUMENT if the option is negative or not finite. */
void options_not_negative(struct landing *landing, const char *name, double number);

/* The defaults of all options. */
void options_default(struct onnx_fuse_options *options);

#endif
