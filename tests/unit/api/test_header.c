/* test_header.c: the public header alone, as C11. test_header.cpp is the same as C++. */
#include "onnx_repvgg_fuse.h"
/* Twice, as it happens to headers. */
#include "onnx_repvgg_fuse.h"

#include <string.h>

#include "tap.h"

int main(void)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report = NULL;
    void *result = NULL;
    size_t size = 0;
    onnx_fuse_options_init(&options);
    enum onnx_fuse_status status = onnx_fuse_memory("", 0, &result, &size, &options, &report);
    expect(status == ONNX_FUSE_NOT_ONNX && *onnx_fuse_report_error(report) && !result, "C: the library answers: %s",
           onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    expect(strcmp(onnx_fuse_pass_name(0), "fold_constants") == 0, "C: the first pass");
    expect(strcmp(onnx_fuse_version(), VERSION) == 0, "C: version %s is the project's", VERSION);
    return unit_finish();
}
