/* command/batch.h: fuses many models. */
#ifndef COMMAND_BATCH_H
#define COMMAND_BATCH_H

#include "onnx_repvgg_fuse.h"

/* Fuses every model among `inputs` (folders are searched for *.onnx) into the folder `output`, several at once, and
 * prints a line for each, in the order in which they were found, and a summary. A model that fails does not stop the
 * rest. Returns the exit status: 0, 1 for warnings under strict, 2 if any model failed. options->jobs is the number
 * of models at once; 0: one per core. confined: in a sandbox. */
int batch_run(const char *output, char *const *inputs, int count, const struct onnx_fuse_options *options, bool strict,
              bool quiet, bool confined);

#endif
