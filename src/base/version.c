/* base/version.c: the version as text, apart from api/fuse.c so that reports need nothing of it. */
#include "onnx_repvgg_fuse.h"

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *onnx_fuse_version(void)
{
    return VERSION_TEXT(ONNX_FUSE_VERSION_MAJOR, ONNX_FUSE_VERSION_MINOR, ONNX_FUSE_VERSION_PATCH);
}
