/* fuzz_load.c: loading, and all that info tells. */
#include "target.h"

#include <string.h>

#include "onnx_repvgg_fuse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loaded loaded;
    target_begin();
    bool good = target_load(&loaded, &data, &size, 1);
    target_end("load", size);
    PROMISE(good || loaded.landing.message[0], "an error without a text");
    PROMISE(loaded.landing.status != ONNX_FUSE_OUT_OF_MEMORY, "%s", loaded.landing.message);
    target_close(&loaded);
    if (!good)
        return 0;
    struct onnx_fuse_options options;
    struct onnx_fuse_view *view = NULL;
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    target_begin();
    enum onnx_fuse_status status = onnx_fuse_info_memory(data, size, &options, &view);
    target_end("info", size);
    PROMISE(view && status != ONNX_FUSE_OUT_OF_MEMORY, "%s", view ? onnx_fuse_view_error(view) : "no view");
    PROMISE((status == ONNX_FUSE_OK) == (strlen(onnx_fuse_view_error(view)) == 0), "status %d", (int)status);
    onnx_fuse_view_free(view);
    return 0;
}
