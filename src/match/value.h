/* match/value.h: numbers of constants and of attributes. */
#ifndef MATCH_VALUE_H
#define MATCH_VALUE_H

#include "match/key.h"

/* The number of a constant. */
uint32_t number_tensor(struct numbering *numbering, const struct tensor *tensor);

/* What an attribute of a model says; bodies are not looked into. */
uint32_t number_attribute(struct numbering *numbering, struct model *model, const Onnx__AttributeProto *attribute);

/* A graph's sparse initializers (Onnx__SparseTensorProto) by name; NULL has none. Of several of one name
 * the first counts. */
struct map number_sparse_by_name(struct numbering *numbering, const Onnx__GraphProto *proto);
/* The number of an initializer's constant, dense or one of `sparse`; one nothing else has where nobody
 * can say what it holds. */
uint32_t number_initializer(struct numbering *numbering, const struct value *value, const struct map *sparse);

#endif
