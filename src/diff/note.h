/* diff/note.h: messages too long to show, as a text that differs where they do. */
#ifndef DIFF_NOTE_H
#define DIFF_NOTE_H

#include "model/model.h"

/* diff/note.c: NULL where there is none. */
const char *diff_devices_text(struct arena *arena, const Onnx__NodeProto *node);
const char *diff_configuration_text(struct arena *arena, const Onnx__ModelProto *model);
const char *diff_training_text(const struct model *model);
const char *diff_quantization_text(struct arena *arena, const Onnx__TensorAnnotation *annotation);

#endif
