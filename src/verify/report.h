/* verify/report.h: a verdict as text and as JSON. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "verify/verify.h"

/* The verdict and its reason. */
const char *verify_sentence(struct arena *arena, const struct verify_result *result);
/* The first difference of two models, in one line without a line end. */
const char *verify_departure_line(struct arena *arena, const struct verify_departure *departure);
/* The operator that makes a value, or "input". */
const char *verify_maker(const struct value *value);
const char *verify_text(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const char *left, const char *right);
const char *verify_json(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const char *left, const char *right);

#endif
