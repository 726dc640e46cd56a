/* info.h: what is in a model, and what fusing would make of it. */
#ifndef INFO_H
#define INFO_H

#include "run.h"

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

/* After run_fuse in a dry run, while the files are open. Reads the weights of the regions. */
void info_collect(struct run *run, struct info *info);

/* In the run's arena. */
const char *info_text(const struct run *run, const struct info *info);
const char *info_json(const struct run *run, const struct info *info);

/* info_range.c: the weight of a Conv, ConvTranspose, Gemm or MatMul. False: the node has none that
 * can be read. */
bool info_range_of(struct model *model, const struct node *node, struct info_rooms *rooms,
                   struct info_range *range);

#endif
