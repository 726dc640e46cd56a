/* diff/group.h: changes as people count them: alike ones told once, what is part of a replacement told with it. */
#ifndef DIFF_GROUP_H
#define DIFF_GROUP_H

#include "diff/change.h"

/* Fills in result->groups from result->changes, which are in their final order, and each change's place and
 * group. options->all: each change is told by itself. */
void diff_group_changes(struct differ *differ);

/* What counts, as "3 weights, 1 attribute": the most frequent kind first; parts of replacements are not counted.
 * counts false: what does not count, in the same way. "" where there is none. */
const char *diff_headline(struct arena *arena, const struct diff_result *result, bool counts);

#endif
