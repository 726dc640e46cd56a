/* fuse/fused.c: rows of affine forms as the numbers of a tensor. */
#include "fuse/fused.h"

#include "affine/rows.h"
#include "base/decimal.h"

int64_t fused_channels(const struct tensor *tensor)
{
    return tensor->form->outputs;
}

const char *fused_read(struct arena *arena, const struct tensor *tensor, const int64_t *channels, int64_t count,
                       double *out)
{
    const struct affine *form = tensor->form;
    int64_t length = affine_row_length(form);
    const char *reason = NULL;
    void *bytes = NEW_ARRAY(arena, double, length);
    const struct tensor rounded = {.type = tensor->type, .storage = STORAGE_BYTES, .data = bytes};
    struct affine_dense *dense = NULL;
    if (!affine_prepare(form, &dense))
        reason = "out of memory";
    for (int64_t k = 0; k < count && !reason; k++) {
        double *row = out + k * length;
        if (!affine_rows(form, dense, form->outputs, channels[k], 1, row))
            reason = "out of memory";
        int64_t bad = reason ? -1 : tensor_round(tensor->type, row, length, bytes);
        if (bad >= 0)
            reason = arena_format(arena, "the fused weight is %s in channel %lld, not finite in %s",
                                  decimal_rounded(row[bad], 6).text, (long long)channels[k], type_name(tensor->type));
        if (!reason)
            tensor_read(&rounded, 0, length, row);
    }
    affine_release(&dense);
    return reason;
}
