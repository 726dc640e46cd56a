/* model/external.c: the data of tensors, in the model or in a file beside it. */
#include "model/external.h"

#include "model/foreign.h"

/* ---- external data ---- */

static bool parse_size(const char *text, uint64_t *value)
{
    *value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
            return false;
    }
    return true;
}

static struct external *external_open(struct model *model, const Onnx__TensorProto *proto)
{
    const char *location = NULL;
    const char *name = proto->name ? proto->name : "";
    uint64_t offset = 0, length = UINT64_MAX;
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (!entry->key || !entry->value)
            continue;
        bool good = true;
        if (strcmp(entry->key, "location") == 0)
            location = entry->value;
        else if (strcmp(entry->key, "offset") == 0)
            good = parse_size(entry->value, &offset);
        else if (strcmp(entry->key, "length") == 0)
            good = parse_size(entry->value, &length);
        if (!good)
            fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL,
                 "%s: tensor '%s': external %s '%s' is not a number of bytes", model->path, name, entry->key,
                 entry->value);
    }
    if (!location || !location[0])
        fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL, "%s: tensor '%s': external data without a location",
             model->path, name);
    struct external *external = NEW(model->arena, struct external);
    const char *reason = folder_map(model->arena, model->folder, location, &external->file);
    if (reason)
        fail(model->arena->landing, ONNX_FUSE_IO, "%s: tensor '%s': cannot read external data '%s' in folder '%s': %s",
             model->path, name, location, model->folder->path, reason);
    uint64_t size = external->file->mapping.size;
    const char *kind = offset > size || (length != UINT64_MAX && length > size - offset)
                           ? foreign_kind(external->file->mapping.data, size)
                           : NULL;
    if (kind)
        fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL, "%s: tensor '%s': external data '%s' is %s", model->path,
             name, location, kind);
    if (offset > size)
        fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL,
             "%s: tensor '%s': external data starts at byte %llu of '%s', which has %llu", model->path, name,
             (unsigned long long)offset, location, (unsigned long long)size);
    if (length != UINT64_MAX && length > size - offset)
        fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL,
             "%s: tensor '%s': external data has %llu bytes from byte %llu of '%s' on, which has "
             "%llu",
             model->path, name, (unsigned long long)length, (unsigned long long)offset, location,
             (unsigned long long)size);
    external->offset = (size_t)offset; /* the file is mapped */
    external->size = (size_t)(length != UINT64_MAX ? length : size - offset);
    external->data = external->file->mapping.data ? external->file->mapping.data + offset : NULL;
    return external;
}

struct tensor *model_tensor(struct model *model, const Onnx__TensorProto *proto)
{
    struct external *external = NULL;
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        model->has_external = true;
        if (model->folder)
            external = external_open(model, proto);
    }
    struct tensor *tensor;
    const char *reason = tensor_from_proto(model->arena, proto, external, &tensor);
    if (reason)
        fail(model->arena->landing, ONNX_FUSE_INVALID_MODEL, "%s: %s", model->path, reason);
    if (external && __builtin_add_overflow(external->file->claimed, (uint64_t)external->size, &external->file->claimed))
        external->file->claimed = UINT64_MAX;
    return tensor;
}

void model_give_back(const struct model *model)
{
    mapping_done(&model->bytes, model->bytes.data, model->bytes.size);
    for (const struct external_file *file = model->folder ? model->folder->files : NULL; file; file = file->next)
        mapping_done(&file->mapping, file->mapping.data, file->mapping.size);
}

void model_check_files(const struct model *model)
{
    mapping_check(model->arena->landing, model->path, &model->bytes);
    if (model->folder)
        folder_check(model->arena->landing, model->folder);
}

bool model_same_bytes(const struct model *a, const struct model *b)
{
    enum { PIECE = 1 << 24 };
    if (a->bytes.size != b->bytes.size || ((a->has_external || b->has_external) && strcmp(a->path, b->path) != 0))
        return false;
    for (size_t at = 0; at < a->bytes.size; at += PIECE) {
        size_t size = a->bytes.size - at < PIECE ? a->bytes.size - at : PIECE;
        const uint8_t *one = a->bytes.data + at, *other = b->bytes.data + at;
        bool same = memcmp(one, other, size) == 0;
        mapping_done(&a->bytes, one, size);
        mapping_done(&b->bytes, other, size);
        if (!same)
            return false;
    }
    return true;
}
