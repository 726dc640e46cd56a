/* diff/note.c: further content of models and graphs: devices, training, quantization, type denotations. It is
 * compared without interpretation. */
#include "diff/note.h"

#include <inttypes.h>

#include "base/text.h"
#include "base/xxh64.h"

/* Different contents have different texts. */
static const char *digest_text(struct arena *arena, size_t count, uint64_t bytes, const struct xxh64 *hash)
{
    return count ? arena_format(arena, "%zu, %" PRIu64 " bytes, digest %016" PRIx64, count, bytes, xxh64_end(hash))
                 : NULL;
}

static const char *messages_text(struct arena *arena, const ProtobufCMessage *const *messages, size_t count)
{
    struct xxh64 hash;
    uint64_t bytes = 0;
    xxh64_start(&hash);
    for (size_t i = 0; i < count; i++) {
        uint64_t size = protobuf_c_message_get_packed_size(messages[i]);
        uint8_t *packed = NEW_ARRAY(arena, uint8_t, size + 1);
        protobuf_c_message_pack(messages[i], packed);
        xxh64_add(&hash, &size, sizeof(size));
        xxh64_add(&hash, packed, (size_t)size);
        arena_give_back(arena, packed);
        bytes += size;
    }
    return digest_text(arena, count, bytes, &hash);
}

/* A message's base is its first member. */
#define MESSAGES_TEXT(arena, items, count) messages_text(arena, (const ProtobufCMessage *const *)(items), count)

const char *diff_devices_text(struct arena *arena, const Onnx__NodeProto *node)
{
    return MESSAGES_TEXT(arena, node->device_configurations, node->n_device_configurations);
}

const char *diff_configuration_text(struct arena *arena, const Onnx__ModelProto *model)
{
    return MESSAGES_TEXT(arena, model->configuration, model->n_configuration);
}

/* From the file: of the messages in memory, the payloads were cut out. */
const char *diff_training_text(const struct model *model)
{
    enum { TRAINING_INFO = 20 };
    struct arena *arena = model->arena;
    const uint8_t *at = model->bytes.data, *end = at + model->bytes.size;
    struct wire_field field;
    struct xxh64 hash;
    size_t count = 0;
    uint64_t bytes = 0;
    if (!model->proto->n_training_info)
        return NULL;
    xxh64_start(&hash);
    while (wire_next(arena->landing, &at, end, &field)) {
        if (field.number != TRAINING_INFO || !field.content)
            continue;
        uint64_t size = field.size;
        xxh64_add(&hash, &size, sizeof(size));
        xxh64_add(&hash, field.content, field.size);
        bytes += size;
        count++;
    }
    return digest_text(arena, count, bytes, &hash);
}

const char *diff_quantization_text(struct arena *arena, const Onnx__TensorAnnotation *annotation)
{
    const char *text = "";
    if (!annotation)
        return NULL;
    for (size_t i = 0; i < annotation->n_quant_parameter_tensor_names; i++) {
        const Onnx__StringStringEntryProto *entry = annotation->quant_parameter_tensor_names[i];
        text = arena_format(arena, "%s%s%s: %s", text, i ? ", " : "", text_or_empty(entry->key),
                            text_or_empty(entry->value));
    }
    return text;
}
