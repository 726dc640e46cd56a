/* verify/interface.h: which inputs and outputs of two models belong together. */
#ifndef VERIFY_INTERFACE_H
#define VERIFY_INTERFACE_H

#include "verify/state.h"

/* Pairs inputs and outputs by name, and the rest by position where types and shapes agree, which the result's note
 * says. Gives inputs that belong together one number, and sets verify->outputs. False: there is another
 * interface, the result says which. */
bool verify_pair_interface(struct verify *verify, struct graph *const graphs[2]);

#endif
