/* infer/rules.h: rules of ONNX that a file may break and still be read: no runtime takes it then. */
#ifndef INFER_RULES_H
#define INFER_RULES_H

#include "model/model.h"

/* The first rule that a node breaks, as a sentence about it that begins with the rule's subject, or NULL: an operator or
 * an attribute that the imported opset does not have, inputs or outputs of several types where ONNX asks for one, an
 * output declared as another type than the operator makes. Types that are not known break nothing; shape inference must have run. `arena` holds the sentence. */
const char *rules_node(struct arena *arena, const struct node *node);

/* The first of a model, bodies and functions included, in the file's order, with the node it is about. */
const char *rules_model(struct arena *arena, const struct model *model);

#endif
