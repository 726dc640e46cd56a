/* fuse/border.h: the step of a border written by ScatterND. */
#ifndef FUSE_BORDER_H
#define FUSE_BORDER_H

#include "fuse/step.h"

/* A ScatterND that fills a border: see fuse/border.c. */
const char *lift_border(struct node *root, struct step *step);

#endif
