/* view/info.h: what a model contains, and what fusing would change. */
#ifndef VIEW_INFO_H
#define VIEW_INFO_H

#include "report/text.h"

/* The spread of one weight's output channels: the smallest and the largest of the channels' largest magnitudes. With
 * one scale for all channels, a channel with small numbers has few INT8 steps. */
struct info_range {
    const struct node *node;
    int64_t channels;
    double smallest, largest;
};

typedef LIST(struct info_range) info_ranges;

struct info_region {
    const struct fusion *fusion;
    info_ranges before, after; /* weights of the replaced ops and of the new ones */
};

/* Arrays of the run's arena, reused for each weight. */
struct info_room {
    void *numbers;
    int64_t count;
};
struct info_rooms {
    struct info_room numbers, channels, largest;
};

struct info {
    struct info_rooms rooms;
    LIST(struct info_region) regions; /* present rewrites, in the order they were made */
    uint64_t external_bytes;          /* of the model's external data files */
};

/* After a dry run, while the files are open. Reads the weights of the regions. */
void info_collect(const struct plan *plan, struct info *info);

/* In the run's arena. */
const char *info_text(const struct plan *plan, const struct summary *summary, const struct info *info);

const char *info_json(const struct plan *plan, const struct summary *summary, const struct info *info);

#endif
