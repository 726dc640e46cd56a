/* verify/search.h: a value of the first model that equals one of the second. */
#ifndef VERIFY_SEARCH_H
#define VERIFY_SEARCH_H

#include "verify/state.h"

/* Looks for a value of graph `left` that equals `right`. `hint`: where to look first, or NULL.
 * True: found, and `right` has its number now. */
bool verify_prove(struct verify *verify, struct graph *left, struct value *right, struct value *hint);

/* Forgets what was evaluated of the first model. */
void verify_search_anew(struct verify *verify);

#endif
