/* match/value.h: numbers of constants and of attributes. */
#ifndef MATCH_VALUE_H
#define MATCH_VALUE_H

#include "match/key.h"

/* The number of a constant. */
uint32_t number_tensor(struct numbering *numbering, const struct tensor *tensor);

/* The number of an attribute's value, without bodies. */
uint32_t number_attribute(struct numbering *numbering, struct model *model, const Onnx__AttributeProto *attribute);

/* A graph's sparse initializers (Onnx__SparseTensorProto) by name; NULL has none. Of several of one name
 * the first counts. */
struct map number_sparse_by_name(struct numbering *numbering, const Onnx__GraphProto *proto);
/* The number of an initializer, dense or one of `sparse`; a unique number if its content is unknown. */
uint32_t number_initializer(struct numbering *numbering, const struct value *value, const struct map *sparse);

#endif
