/* verify/report.h: a verdict as text and as JSON. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "verify/verify.h"

const char *verify_text(struct arena *arena, const struct verify_result *result,
                        const struct verify_options *options, const char *left, const char *right);
const char *verify_json(struct arena *arena, const struct verify_result *result,
                        const struct verify_options *options, const char *left, const char *right);

#endif
