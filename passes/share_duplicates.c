/* passes/share_duplicates.c
 *
 *     x -> Pad -> a, x -> Pad -> b        becomes        x -> Pad -> a, read by the readers of both
 *
 * Two nodes of a graph become one if they have the same operator, attributes and inputs. Equal constants count as the
 * same input. The first in the file stays; a graph output keeps its name.
 *
 * Refused: both compute graph outputs. Left alone: ops that draw random numbers, have bodies, call a function, are
 * unknown or may have side effects; equal ops in two graphs, one of which may not run. */
#include "base/secret.h"
#include "fuse/account.h"
#include "fuse/trace.h"
#include "model/digest.h"
#include "model/edit.h"
#include "passes/passes.h"

enum {
    ALIKE_MOST = 8, /* nodes with equal hashes to compare: hashes separate all but some constants */
    ENDS = 64       /* elements at both ends of a constant that are hashed */
};

/* Nodes of one hash, the latest first. */
struct alike {
    struct node *node;
    uint64_t hash;
    struct alike *next;
};

struct table {
    struct alike **slots, *entries;
    size_t room, count; /* slots, a power of two; entries so far */
};

static bool may_be_shared(struct node *node)
{
    bool made = false;
    for (size_t k = 0; k < node->output_count; k++)
        made = made || node->outputs[k];
    return made && node->op != OP_UNKNOWN && node->op != OP_Constant && !node->body_count && node->input_count &&
           !node_draws(node) && !node_has_references(node);
}

/* ---- hashes: equal nodes have equal hashes ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * 0x9e3779b97f4a7c15u ^ (hash >> 29);
}

static bool is_plain(const struct tensor *tensor)
{
    return tensor->storage != STORAGE_FUSED && tensor->storage != STORAGE_REPEATED && tensor_is_readable(tensor);
}

static uint64_t hash_constant(const struct secret *secret, const struct tensor *tensor)
{
    double ends[2 * ENDS] = {0};
    uint64_t hash = mix((uint64_t)tensor->type, (uint64_t)tensor->rank);
    int64_t some = tensor->count < ENDS ? tensor->count : ENDS;
    for (int i = 0; i < tensor->rank; i++)
        hash = mix(hash, (uint64_t)tensor->dims[i]);
    if (!is_plain(tensor))
        return hash;
    tensor_read(tensor, 0, some, ends);
    tensor_read(tensor, tensor->count - some, some, ends + ENDS);
    for (size_t i = 0; i < COUNT_OF(ends); i++) /* equal numbers may have different signs (0), or not compare equal
                                                   (NaN) */
        ends[i] = ends[i] == ends[i] && ends[i] != 0 ? ends[i] : 0;
    return mix(hash, secret_hash(secret, ends, sizeof(ends)));
}

static uint64_t hash_attribute(const struct secret *secret, const Onnx__AttributeProto *attribute)
{
    const char *name = attribute->name ? attribute->name : "";
    uint64_t hash = secret_hash(secret, name, strlen(name));
    hash = mix(hash, (uint64_t)attribute->i);
    if (attribute->n_ints)
        hash = mix(hash, secret_hash(secret, attribute->ints, attribute->n_ints * sizeof(int64_t)));
    if (attribute->s.len)
        hash = mix(hash, secret_hash(secret, attribute->s.data, attribute->s.len));
    return mix(hash, secret_hash(secret, &attribute->f, sizeof(attribute->f)));
}

static uint64_t hash_node(const struct secret *secret, const struct node *node)
{
    uint64_t hash = mix((uint64_t)node->op, (uint64_t)node->proto->n_attribute), all = 0;
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        all += hash_attribute(secret, node->proto->attribute[i]);
    hash = mix(mix(hash, all), node->input_count);
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *input = node->inputs[k];
        if (input && value_is_stored(input))
            hash = mix(hash, hash_constant(secret, input->tensor));
        else
            hash = mix(hash, secret_hash(secret, &input, sizeof(input)));
    }
    return hash;
}

/* ---- comparison ---- */

static bool same_constants(const struct value *a, const struct value *b)
{
    if (!value_is_stored(a) || !value_is_stored(b) || a->is_annotated || b->is_annotated)
        return false;
    if (is_plain(a->tensor) && is_plain(b->tensor))
        return tensor_same(a->tensor, b->tensor, NULL);
    return account_same(a->tensor, b->tensor);
}

static bool same_bytes(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    enum { MOST = 1 << 12 };
    uint8_t one[MOST], two[MOST];
    size_t size = protobuf_c_message_get_packed_size(a);
    if (size > MOST || size != protobuf_c_message_get_packed_size(b))
        return false;
    protobuf_c_message_pack(a, one);
    protobuf_c_message_pack(b, two);
    return memcmp(one, two, size) == 0;
}

/* In any order. Nodes with unnamed or repeated attributes are not shared. */
static bool same_attributes(const struct node *a, const struct node *b)
{
    if (a->proto->n_attribute != b->proto->n_attribute)
        return false;
    for (size_t i = 0; i < a->proto->n_attribute; i++) {
        const Onnx__AttributeProto *one = a->proto->attribute[i];
        const Onnx__AttributeProto *other = one->name ? node_attribute(b, one->name) : NULL;
        if (!other || (one != other && !same_bytes(&one->base, &other->base)))
            return false;
    }
    return true;
}

static bool are_duplicates(const struct node *a, const struct node *b)
{
    if (a->op != b->op || a->opset != b->opset || a->input_count != b->input_count ||
        a->output_count != b->output_count || !same_attributes(a, b))
        return false;
    for (size_t k = 0; k < a->input_count; k++) {
        const struct value *one = a->inputs[k], *other = b->inputs[k];
        if (one != other && (!one || !other || !same_constants(one, other)))
            return false;
    }
    for (size_t k = 0; k < a->output_count; k++)
        if (!a->outputs[k] != !b->outputs[k])
            return false;
    return true;
}

/* ---- the rewrite ---- */

/* Readers of `second` read the results of `first`, which precedes it in the file. */
static const char *share(struct plan *plan, struct node *first, struct node *second)
{
    for (size_t k = 0; k < first->output_count; k++) {
        const char *reason = second->outputs[k] ? pass_check_redirect(second->outputs[k], first->outputs[k]) : NULL;
        if (reason)
            return reason;
    }
    struct value *value = NULL;
    for (size_t k = 0; k < first->output_count; k++) {
        if (!second->outputs[k])
            continue;
        value = value ? value : second->outputs[k];
        pass_redirect(second->outputs[k], first->outputs[k]);
    }
    if (!second->removed)
        edit_remove(second);
    if (second->depth < first->depth)
        first->depth = second->depth; /* what both read is as deep */
    plan_redirected(plan, second, value, value_now(value));
    return NULL;
}

/* Looks among the nodes so far. Of two equal nodes, the one that stays takes the other's place. */
static bool look_up(struct plan *plan, struct table *table, struct node *node)
{
    uint64_t hash = hash_node(landing_secret(plan->model->arena->landing), node);
    struct alike **slot = &table->slots[hash & (table->room - 1)];
    int seen = 0;
    for (struct alike *entry = *slot; entry && seen < ALIKE_MOST; entry = entry->next) {
        if (entry->hash != hash)
            continue;
        seen++;
        if (!are_duplicates(entry->node, node))
            continue;
        bool before = entry->node->position <= node->position;
        struct node *first = before ? entry->node : node, *second = before ? node : entry->node;
        const char *reason = share(plan, first, second);
        if (reason) {
            plan_refuse(plan, second, second->outputs[0], reason);
            continue;
        }
        entry->node = first;
        return true;
    }
    struct alike *entry = &table->entries[table->count++];
    *entry = (struct alike){node, hash, *slot};
    *slot = entry;
    return false;
}

void share_duplicates(struct plan *plan)
{
    struct arena *arena = plan->model->arena;
    for (size_t g = 0; g < plan->model->graphs.count; g++) {
        size_t count;
        bool any = false;
        struct node **nodes = pass_candidates(plan, plan->model->graphs.items[g], may_be_shared, false, &count);
        struct table table = {.room = 64};
        if (count < 2)
            continue;
        while (table.room < count)
            table.room *= 2;
        table.slots = NEW_ARRAY(arena, struct alike *, table.room);
        table.entries = NEW_ARRAY(arena, struct alike, count);
        for (size_t i = 0; i < count && !plan_is_full(plan); i++)
            if (!nodes[i]->removed && look_up(plan, &table, nodes[i]))
                any = true;
        arena_give_back(arena, table.entries);
        arena_give_back(arena, table.slots);
        if (any)
            lift_forget_steps(plan->model);
    }
}
