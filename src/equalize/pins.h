/* equalize/pins.h: the guards: channels that keep their range. */
#ifndef EQUALIZE_PINS_H
#define EQUALIZE_PINS_H

#include "equalize/groups.h"

/* Pins channels without statistics, and channels that are dead. */
void pin_channels(struct equalization *e, struct group *group);
/* Pins channels whose numbers would become subnormal or infinite with the present scales; true if there were any. */
bool pin_inexact(struct equalization *e);

#endif
