/* diff/text.h: a comparison for people. */
#ifndef DIFF_TEXT_H
#define DIFF_TEXT_H

#include "diff/change.h"

const char *diff_text(struct arena *arena, const struct diff_result *result, const struct diff_options *options,
                      const char *left, const char *right);

/* A change in one line, as text, github and sarif have it. */
const char *diff_sentence(struct arena *arena, const struct diff_change *change);
/* The same for all changes of a group, and of the first that is hidden for all of them; NULL: another line has told
 * of it. */
const char *diff_group_sentence(struct arena *arena, const struct diff_group *group);

#endif
