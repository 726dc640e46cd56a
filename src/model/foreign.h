/* model/foreign.h: files that people take for ONNX models, told by their first bytes. */
#ifndef MODEL_FOREIGN_H
#define MODEL_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* What a file that is no ONNX model is, and what to do: "a gzip archive: unpack it with gunzip". NULL: not known. */
const char *foreign_kind(const uint8_t *data, size_t size);

#endif
