// test_header.cpp: the public header alone, as C++; linking shows that its names have C linkage.
#include "onnx_repvgg_fuse.h"

#include <cstdio>
#include <cstring>

int main()
{
    onnx_fuse_options options;
    onnx_fuse_report *report = nullptr;
    void *result = nullptr;
    std::size_t size = 0;
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    onnx_fuse_status status = onnx_fuse_memory("", 0, &result, &size, &options, &report);
    bool good = status == ONNX_FUSE_NOT_ONNX && *onnx_fuse_report_error(report) && !result;
    onnx_fuse_report_free(report);
    std::printf("%s 1 - C++: the library answers\n1..1\n", good ? "ok" : "not ok");
    return good ? 0 : 1;
}
