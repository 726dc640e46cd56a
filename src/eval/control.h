/* eval/control.h: If, Loop, Scan, SequenceMap. */
#ifndef EVAL_CONTROL_H
#define EVAL_CONTROL_H

#include "eval/array.h"

/* eval_control.c: of e->scope */
const char *eval_if(struct evaluation *e);
const char *eval_loop(struct evaluation *e);
const char *eval_scan(struct evaluation *e);
const char *eval_sequence_map(struct evaluation *e);

#endif
