/* fuzz_dump.c: a model as text. */
#include "target.h"

#include <string.h>

#include "onnx_repvgg_fuse.h"

struct text {
    uint64_t size, braces;
};

static bool take(void *closure, const char *bytes, size_t size)
{
    struct text *text = closure;
    text->size += size;
    PROMISE(!memchr(bytes, 0, size), "a zero byte in the text");
    return text->size < (uint64_t)1 << 26;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct onnx_fuse_dump_options options;
    struct onnx_fuse_view *view = NULL;
    struct text text = {0};
    onnx_fuse_dump_options_init(&options);
    options.write = take;
    options.closure = &text;
    options.elide = size & 1 ? 4 : -1;
    options.no_metadata = size & 2;
    options.keep_external = size & 4;
    target_begin();
    enum onnx_fuse_status status = onnx_fuse_dump_memory(data, size, &options, &view);
    target_end("dump", size);
    PROMISE(view && status != ONNX_FUSE_OUT_OF_MEMORY, "%s", view ? onnx_fuse_view_error(view) : "no view");
    PROMISE(status == ONNX_FUSE_OK || onnx_fuse_view_error(view)[0], "an error without a text");
    PROMISE(text.size <= 64 * (uint64_t)size + 65536, "%llu bytes of text for %zu of model",
            (unsigned long long)text.size, size);
    onnx_fuse_view_free(view);
    return 0;
}
