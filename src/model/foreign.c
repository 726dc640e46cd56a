/* model/foreign.c: files that people take for ONNX models, told by their first bytes. */
#include "model/foreign.h"

#include <stdbool.h>
#include <string.h>

struct magic {
    size_t offset, size;
    const char *bytes, *kind;
};

#define MAGIC(offset, bytes, kind)                                                                                     \
    {                                                                                                                  \
        offset, sizeof(bytes) - 1, bytes, kind                                                                         \
    }

static const struct magic magics[] = {
    MAGIC(0, "version https://git-lfs", "a Git LFS pointer, in place of the file: run git lfs pull"),
    MAGIC(0, "\x1f\x8b", "a gzip archive: unpack it with gunzip"),
    MAGIC(0, "BZh", "a bzip2 archive: unpack it with bunzip2"),
    MAGIC(0,
          "\xfd"
          "7zXZ",
          "an xz archive: unpack it with unxz"),
    MAGIC(0, "\x28\xb5\x2f\xfd", "a Zstandard archive: unpack it with unzstd"),
    MAGIC(257, "ustar", "a tar archive: unpack it with tar xf"),
    MAGIC(4, "TFL3", "a TFLite model: convert it with python -m tf2onnx.convert --tflite"),
    MAGIC(4, "ORTM", "a model in ONNX Runtime's own format: give the ONNX model that it was made from"),
    MAGIC(4, "ET12", "an ExecuTorch program: export the network with torch.onnx.export"),
    MAGIC(0, "\x89HDF\r\n", "an HDF5 file, as Keras writes: convert it with tf2onnx"),
    MAGIC(0, "GGUF", "a GGUF model of llama.cpp, which holds no ONNX graph"),
    MAGIC(0, "\x93NUMPY", "a NumPy array: give the ONNX model"),
    MAGIC(6, "\0\0{\"", "a safetensors file, which holds weights and no graph: export the network to ONNX"),
    MAGIC(0, "{", "a JSON file: give the binary ONNX model"),
    MAGIC(0, "<?xml", "an XML file: a server's error page, or an OpenVINO model; give the ONNX model"),
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* `text` is in lower case. */
static bool starts(const uint8_t *data, size_t size, const char *text)
{
    for (; *text; text++, data++, size--)
        if (!size || (*data >= 'A' && *data <= 'Z' ? *data + 32 : *data) != *text)
            return false;
    return true;
}

static bool holds(const uint8_t *data, size_t size, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(data + i, text, length) == 0)
            return true;
    return false;
}

/* The names of its first files say what a zip archive is. */
static const char *kind_of_zip(const uint8_t *data, size_t size)
{
    if (holds(data, size, "data.pkl") || holds(data, size, ".format_version") || holds(data, size, "archive_format"))
        return "a PyTorch checkpoint: export the network with torch.onnx.export";
    if (holds(data, size, ".npy"))
        return "a NumPy archive: give the ONNX model";
    return "a zip archive: unpack it with unzip";
}

const char *foreign_kind(const uint8_t *data, size_t size)
{
    enum { HEAD = 512 };
    size_t head = size < HEAD ? size : HEAD, space = 0;
    while (space < head && is_space(data[space]))
        space++;
    if (starts(data + space, head - space, "<!doctype html") || starts(data + space, head - space, "<html"))
        return "an HTML page: the download gave a page instead of the model";
    if (head && (is_space(data[0]) || (data[0] > ' ' && data[0] < 0x7f)) && holds(data, head, "ir_version"))
        return "ONNX in text form: onnx.parser.parse_model reads it, and onnx.save writes a model";
    if (head >= 4 && memcmp(data, "PK\3\4", 4) == 0)
        return kind_of_zip(data, head);
    if (head >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
        return "a Python pickle, as old PyTorch checkpoints are: export the network with "
               "torch.onnx.export";
    for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
        const struct magic *magic = &magics[i];
        if (head >= magic->offset + magic->size && memcmp(data + magic->offset, magic->bytes, magic->size) == 0)
            return magic->kind;
    }
    return NULL;
}
