/* verify/interface.h: pairs inputs and outputs of two models. */
#ifndef VERIFY_INTERFACE_H
#define VERIFY_INTERFACE_H

#include "verify/state.h"

/* Pairs inputs and outputs by name, and the rest by position if types and shapes agree; the result's note lists
 * those. Gives paired inputs one number, and sets verify->outputs. False: the interfaces differ; the result has the
 * reason. */
bool verify_pair_interface(struct verify *verify, struct graph *const graphs[2]);

#endif
