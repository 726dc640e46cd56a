/* near.h: models that are nearly valid. Deterministic: a seed gives the same model everywhere. */
#ifndef NEAR_H
#define NEAR_H

#include <stddef.h>
#include <stdint.h>

/* Changes the model in `data` a little, in place: `size` bytes of it, with room for more. Bytes that
 * are no model, and now and then others, are drawn anew. Returns the new size, 0 when it would not
 * fit. */
size_t near_mutate(uint8_t *data, size_t size, size_t room, uint64_t seed);

/* A model like the first with parts of the second. */
size_t near_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t room,
                  uint64_t seed);

/* A model drawn from nothing: blocks of linear branches on one input. */
size_t near_draw(uint8_t *data, size_t room, uint64_t seed);

#endif
