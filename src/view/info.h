/* view/info.h: what is in a model, and what fusing would make of it. */
#ifndef VIEW_INFO_H
#define VIEW_INFO_H

#include "report/text.h"

/* How far apart the output channels of one weight lie: each channel has a largest magnitude, and
 * these are the smallest and the largest of them. Where one scale serves all channels, a channel
 * of small numbers has few steps of INT8 left. */
struct info_range {
    const struct node *node;
    int64_t channels;
    double smallest, largest;
};

typedef LIST(struct info_range) info_ranges;

struct info_region {
    const struct fusion *fusion;
    info_ranges before, after; /* weights of what is replaced and of what is made */
};

/* Arrays of the run's arena that serve one weight after another. */
struct info_room {
    void *numbers;
    int64_t count;
};
struct info_rooms {
    struct info_room numbers, channels, largest;
};

struct info {
    struct info_rooms rooms;
    LIST(struct info_region) regions; /* rewrites in force, in the order they were made */
    uint64_t external_bytes;          /* of the files beside the model that it names */
};

/* After a dry run, while the files are open. Reads the weights of the regions. */
void info_collect(const struct plan *plan, struct info *info);

/* In the run's arena. */
const char *info_text(const struct plan *plan, const struct summary *summary, const struct info *info);

const char *info_json(const struct plan *plan, const struct summary *summary, const struct info *info);

#endif
