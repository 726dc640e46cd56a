/* fuse/trace.c: steps composed over many nodes. */
#include "fuse/trace.h"

#include "affine/laws.h"
#include "fuse/lift.h"

/* Nearest sources kept per value, and nodes walked back: branches are short, chains may not be. */
enum { TRACE_SOURCES = 24, TRACE_DEPTH = 48 };

/* The traces of a value, one per layout, and the state of the graph that each holds for. */
struct traces {
    const struct trace *of[2];
    uint32_t stamps[2];
};

static const struct trace *trace(struct value *value, enum layout layout, int depth);

static bool merge_types(int32_t a, int32_t b, int32_t *type)
{
    *type = a ? a : b;
    return !a || !b || a == b;
}

static void push_entry(struct arena *arena, struct trace *trace_, struct trace_entry entry)
{
    if (trace_->sources.count < TRACE_SOURCES)
        LIST_PUSH(arena, &trace_->sources, entry);
    trace_->entries = trace_->sources.items;
    trace_->count = trace_->sources.count;
}

static void trace_through(struct arena *arena, const struct step *step, struct value *source,
                          const struct affine *inner, int32_t type, bool sized, struct trace *out)
{
    const struct affine *form;
    int32_t merged;
    const char *reason = affine_compose(arena, step->form, inner, &form);
    if (!reason && !merge_types(step->type, type, &merged))
        reason = arena_format(arena, "the ops have different types: %s and %s", type_name(step->type), type_name(type));
    if (reason) {
        if (!out->reason)
            out->reason = reason;
        return;
    }
    push_entry(arena, out,
               (struct trace_entry){.source = source, .form = form, .type = merged, .sized = step->sized || sized});
}

static const struct trace_entry *find_source(const struct trace *trace_, const struct value *source)
{
    for (size_t i = 0; i < trace_->count; i++)
        if (trace_->entries[i].source == source)
            return &trace_->entries[i];
    return NULL;
}

static int64_t channels_of(const struct value *value, enum layout layout)
{
    if (value->rank < 2)
        return -1;
    return value->dims[layout == LAYOUT_CONV ? 1 : value->rank - 1];
}

static void trace_join(struct arena *arena, const struct step *step, enum layout layout, int depth, struct trace *out)
{
    const struct trace **traces = NEW_ARRAY(arena, const struct trace *, step->term_count);
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, step->term_count);
    const struct affine **forms = NEW_ARRAY(arena, const struct affine *, step->term_count);
    for (size_t k = 0; k < step->term_count; k++) {
        traces[k] = trace(step->terms[k].value, layout, depth + 1);
        out->truncated = out->truncated || traces[k]->truncated;
    }
    for (size_t i = 0; i < traces[0]->count; i++) {
        struct value *source = traces[0]->entries[i].source;
        int32_t type = 0;
        bool sized = false;
        const char *reason = NULL;
        int axes = -1;
        for (size_t k = 0; k < step->term_count && !reason; k++) {
            const struct trace_entry *entry = find_source(traces[k], source);
            if (!entry)
                reason = REASON_OTHER_SOURCES;
            else if (!merge_types(type, entry->type, &type))
                reason = "the branches have different types";
            else {
                forms[k] = entry->form;
                terms[k] = (struct affine_term){entry->form, step->terms[k].factor};
                sized = sized || entry->sized;
                axes = entry->form->axes > axes ? entry->form->axes : axes;
            }
        }
        const struct affine *joined;
        const int64_t *extent = lift_source_extent(source, axes);
        int64_t width = channels_of(source, layout);
        for (size_t k = 0; k < step->term_count && !reason && step->stacks && width > 0; k++)
            if (!forms[k]->inputs) /* what only moves positions has any number of channels */
                forms[k] = affine_settle(arena, forms[k], axes, width);
        if (!reason)
            reason = step->stacks ? affine_stack(arena, forms, step->term_count, extent, &joined, &sized)
                                  : affine_join(arena, terms, step->term_count, extent, &joined, &sized);
        if (!reason)
            trace_through(arena, step, source, joined, type, sized, out);
        else if (!out->reason)
            out->reason = reason;
    }
}

static const struct trace *trace(struct value *value, enum layout layout, int depth)
{
    struct model *model = value->graph->model;
    struct traces *traces = memo_item(model->arena, &model->traces, sizeof(*traces), value->index);
    const struct trace *known = traces->of[layout];
    if (known && traces->stamps[layout] == model->stamp && (!known->truncated || known->depth <= depth))
        return known;
    struct trace *out = NEW(model->arena, struct trace);
    LIST_RESERVE(model->arena, &out->sources, 2); /* most have no more */
    push_entry(model->arena, out, (struct trace_entry){.source = value, .form = lift_identity(model)});
    out->depth = depth;
    traces->of[layout] = out;
    traces->stamps[layout] = model->stamp;
    struct node *node = value->producer;
    if (!node || (node->op != OP_Split && node->outputs[0] != value) || depth == TRACE_DEPTH) {
        out->reason = "it is a source";
        out->truncated = depth == TRACE_DEPTH;
        return out;
    }
    out->node = node;
    if (landing_has_taken(model->arena->landing, 9)) {
        out->reason = "following it further would take too much memory for a model of this size";
        return out;
    }
    const struct step *step = lift_maker(value, layout);
    if (!step || step->reason) {
        out->reason = step ? step->reason : "it is a source";
        return out;
    }
    if (step->term_count) {
        trace_join(model->arena, step, layout, depth, out);
    } else if (step->input) {
        const struct trace *sub = trace(step->input, layout, depth + 1);
        out->truncated = sub->truncated;
        for (size_t i = 0; i < sub->count; i++)
            trace_through(model->arena, step, sub->entries[i].source, sub->entries[i].form, sub->entries[i].type,
                          sub->entries[i].sized, out);
        if (!out->reason) { /* nothing stopped it here: it ends where its input's trace does */
            out->node = sub->node;
            out->reason = sub->reason;
        }
    }
    return out;
}

const struct trace *lift_trace(struct value *value, enum layout layout)
{
    return trace(value, layout, 0);
}

void lift_forget(struct model *model)
{
    model->stamp++;
}

void lift_forget_steps(struct model *model)
{
    lift_forget(model);
    lift_clear(model, false);
}

void lift_forget_reasons(struct model *model)
{
    lift_forget(model);
    lift_clear(model, true);
}
