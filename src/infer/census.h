/* infer/census.h: the size of a model: ops, parameters, multiply-adds, bytes. */
#ifndef INFER_CENSUS_H
#define INFER_CENSUS_H

#include "base/json.h"
#include "model/model.h"

/* The size of a model, before or after. */
struct census {
    struct census_entry {
        const char *type;
        size_t count;
    } * by_type; /* sorted by name; Constant is not counted */
    size_t type_count;
    size_t ops;
    double parameters;
    double multiply_adds; /* negative: some shape is not known */
    uint64_t bytes;
};

/* Counts the present nodes and constants. */
void census_take(struct model *model, uint64_t bytes, struct census *census);
/* The number of ops of a type. */
size_t census_count(const struct census *census, const char *type);

/* "key": {...}, on a line of its own */
void census_json(struct json *json, const char *key, const struct census *census);

#endif
