/* verify/given.h: inputs that the caller gives, beside those that are drawn. */
#ifndef VERIFY_GIVEN_H
#define VERIFY_GIVEN_H

#include "model/model.h"

struct given_input {
    const char *name;
    const struct tensor *tensor; /* as an initializer would be */
};

struct given {
    const char *path; /* for messages; NULL: nothing is given */
    LIST(struct given_input) inputs;
};

/* Reads arrays by the names of inputs, of a file as io/npz.h has it. Lands with ARGUMENT when it is another. */
void given_read(struct arena *arena, const uint8_t *bytes, size_t size, struct given *given);

/* Holds them against both models. Lands with ARGUMENT when neither has an input of a name, or when the type or the
 * sizes are not those of the input. */
void given_check(struct arena *arena, const struct given *given, struct graph *const graphs[2]);

/* What is given for an input of this name, or NULL. */
const struct tensor *given_for(const struct given *given, const char *name);

#endif
