/* equalize/pins.h: the guards: channels that keep their range. */
#ifndef EQUALIZE_PINS_H
#define EQUALIZE_PINS_H

#include "equalize/groups.h"

/* Of what nothing is known, and of what no number can be made. */
void pin_channels(struct equalization *e, struct group *group);
/* What would become subnormal or infinite as it is scaled now; true where there was any. */
bool pin_inexact(struct equalization *e);

#endif
