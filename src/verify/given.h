/* verify/given.h: inputs from the caller, in addition to random ones. */
#ifndef VERIFY_GIVEN_H
#define VERIFY_GIVEN_H

#include "model/model.h"

struct given_input {
    const char *name;
    const struct tensor *tensor; /* as an initializer would be */
};

struct given {
    const char *path; /* for messages; NULL: no inputs given */
    LIST(struct given_input) inputs;
};

/* Reads arrays by input names from a file (io/npz.h). Lands with ARGUMENT if the file is invalid. */
void given_read(struct arena *arena, const uint8_t *bytes, size_t size, struct given *given);

/* Checks them against both models. Lands with ARGUMENT if neither model has an input with the name, or if type or
 * sizes differ. */
void given_check(struct arena *arena, const struct given *given, struct graph *const graphs[2]);

/* The given array for this input name, or NULL. */
const struct tensor *given_for(const struct given *given, const char *name);

#endif
