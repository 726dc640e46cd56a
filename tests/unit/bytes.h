/* bytes.h: protobuf messages by hand. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t data[8192];
    size_t size;
};

/* Wire types. */
enum { NUMBER = 0, EIGHT = 1, SIZED = 2, GROUP = 3, GROUP_CLOSE = 4, FOUR = 5 };

static inline void raw(struct bytes *to, const void *data, size_t size)
{
    if (size > sizeof(to->data) - to->size)
        abort();
    if (size)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

static inline void put_number(struct bytes *to, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        raw(to, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    raw(to, &(uint8_t){(uint8_t)value}, 1);
}

static inline void tag(struct bytes *to, unsigned field, unsigned type)
{
    put_number(to, (uint64_t)field << 3 | type);
}

static inline void number(struct bytes *to, unsigned field, uint64_t value)
{
    tag(to, field, NUMBER);
    put_number(to, value);
}

static inline void sized(struct bytes *to, unsigned field, const void *data, size_t size)
{
    tag(to, field, SIZED);
    put_number(to, size);
    raw(to, data, size);
}

static inline void text(struct bytes *to, unsigned field, const char *value)
{
    sized(to, field, value, strlen(value));
}

static inline void inside(struct bytes *to, unsigned field, const struct bytes *message)
{
    sized(to, field, message->data, message->size);
}

#endif
