/* diff/json.h: a comparison for programs: JSON, GitHub's annotations, SARIF. */
#ifndef DIFF_JSON_H
#define DIFF_JSON_H

#include "base/json.h"
#include "diff/change.h"

const char *diff_json(struct arena *arena, const struct diff_result *result, const char *left, const char *right);
const char *diff_github(struct arena *arena, const struct diff_result *result, const char *left, const char *right);
const char *diff_sarif(struct arena *arena, const struct diff_result *result, const char *left, const char *right);

/* How a weight differs, as members of an object of JSON: no braces. */
void diff_numbers_json(struct json *json, const struct diff_numbers *numbers);

#endif
