/* model/foreign.h: files that users mistake for ONNX models, recognised by their first bytes. */
#ifndef MODEL_FOREIGN_H
#define MODEL_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* The kind of a file that is not an ONNX model, with advice: "a gzip archive: unpack it with gunzip". NULL: unknown. */
const char *foreign_kind(const uint8_t *data, size_t size);

#endif
