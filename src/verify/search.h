/* verify/search.h: searches a value of the first model that equals one of the second. */
#ifndef VERIFY_SEARCH_H
#define VERIFY_SEARCH_H

#include "verify/state.h"

/* Searches graph `left` for a value that equals `right`. `hint`: the value to try first, or NULL. True: found;
 * `right` has its number now. */
bool verify_prove(struct verify *verify, struct graph *left, struct value *right, struct value *hint);

/* Forgets evaluated values of the first model. */
void verify_search_anew(struct verify *verify);

#endif
