/* unit.h: what the unit tests of the inside share: an arena whose landing fails the test, numbers. */
#ifndef UNIT_H
#define UNIT_H

#include "base/arena.h"
#include "tap.h"

struct unit {
    struct landing landing;
    struct arena arena;
    uint64_t state; /* of the random numbers */
};

/* Runs a test in an arena of its own. A landing fails it. */
static inline void unit_run(const char *name, void (*test)(struct unit *unit))
{
    static struct unit unit; /* not a local: it outlives the jump unclobbered */
    printf("# %s\n", name);
    unit = (struct unit){.state = 1};
    arena_init(&unit.arena, &unit.landing);
    jmp_buf jump;
    unit.landing.jump = &jump;
    if (setjmp(jump) == 0)
        test(&unit);
    else
        expect(false, "%s landed: %s", name, unit.landing.message);
    arena_free(&unit.arena);
}

/* splitmix64: every state is as good as any other, so a seed can be a small number. */
static inline uint64_t unit_random(uint64_t *state)
{
    uint64_t bits = *state += 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
    return bits ^ bits >> 31;
}

static inline int64_t unit_integer(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(unit_random(state) % (uint64_t)(high - low + 1));
}

/* Never 0, so that a term that goes missing shows: +-[0.25, 1). */
static inline double unit_number(uint64_t *state)
{
    uint64_t bits = unit_random(state);
    double size = 0.25 + 0.75 * (double)(bits >> 12) / (double)(UINT64_C(1) << 52);
    return bits & 1 ? -size : size;
}

#endif
