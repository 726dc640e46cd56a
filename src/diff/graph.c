/* diff/graph.c: nodes of two graphs: partners that differ, and regions without partners. */
#include "diff/graph.h"

#include "diff/attribute.h"
#include "diff/cosmetic.h"
#include "diff/weight.h"
#include "match/value.h"
#include "model/describe.h"
#include "model/operator_default.h"

/* The nodes of both graphs, by position, those of the second after those of the first. */
struct sheet {
    struct differ *differ;
    struct graph *graphs[2];
    size_t *parent; /* union-find over nodes without partners */
    bool *live;     /* an output of the graph needs the node */
    bool *joined;   /* it has a partner, and takes part in a region all the same */
    size_t first;   /* of the result's changes that are of these two graphs */
    const struct value_pair *outputs;
    size_t output_count;
};

static size_t place(const struct sheet *sheet, const struct node *node)
{
    return node->position + (node->graph == sheet->graphs[1] ? sheet->graphs[0]->node_count : 0);
}

static size_t root_of(const struct sheet *sheet, size_t at)
{
    while (sheet->parent[at] != at)
        at = sheet->parent[at] = sheet->parent[sheet->parent[at]];
    return at;
}

static void join(const struct sheet *sheet, const struct node *a, const struct node *b)
{
    size_t x = root_of(sheet, place(sheet, a)), y = root_of(sheet, place(sheet, b));
    if (x < y)
        sheet->parent[y] = x;
    else
        sheet->parent[x] = y;
}

/* ---- what the outputs need ---- */

static void mark_live(const struct sheet *sheet, struct graph *graph)
{
    for (size_t i = 0; i < graph_output_count(graph); i++) {
        const struct value *value = graph_output(graph, i);
        if (value && value->producer && value->graph == graph)
            sheet->live[place(sheet, value->producer)] = true;
    }
    for (size_t i = graph->order.count; i-- > 0;) {
        const struct node *node = graph->order.items[i];
        bool live = sheet->live[place(sheet, node)];
        /* Readers come later in this order, those inside bodies by the node that holds them. */
        for (size_t k = 0; k < node->output_count && !live; k++)
            for (const struct use *use = node->outputs[k] ? node->outputs[k]->uses : NULL; use && !live;
                 use = use->next)
                live = use->reader->graph == graph && sheet->live[place(sheet, use->reader)];
        /* A value that only a body's output names is used there. */
        for (size_t k = 0; k < node->output_count && !live; k++)
            live = node->outputs[k] && node->outputs[k]->is_output;
        sheet->live[place(sheet, node)] = live;
    }
}

/* ---- partners ---- */

static bool is_constant(const struct value *value)
{
    return value_is_stored(value);
}

static const char *source_text(struct arena *arena, const struct value *value)
{
    if (!value)
        return NULL;
    if (is_constant(value))
        return arena_format(arena, "constant '%s'", value->name);
    if (!value->producer)
        return arena_format(arena, "'%s'", value->name);
    return arena_format(arena, "'%s' of %s", value->name, describe_node(arena, value->producer));
}

static struct diff_change change_of(const struct node *a, const struct node *b, enum diff_kind kind)
{
    return (struct diff_change){.kind = kind, .graph = a->graph, .left = a, .right = b, .what = ""};
}

static void compare_input(struct sheet *sheet, const struct node *a, const struct node *b, size_t index,
                          const struct value *x, const struct value *y)
{
    struct arena *arena = sheet->differ->arena;
    bool x_alone = x && x->graph == sheet->graphs[0] && match_is_alone(x);
    bool y_alone = y && y->graph == sheet->graphs[1] && match_is_alone(y);
    if (!x && !y)
        return;
    if (x && y && is_constant(x) && is_constant(y)) {
        diff_weights(sheet->differ, a, b, index, x, y);
        return;
    }
    if (x && y && match_is_pair(x, y))
        return;
    if (x_alone && y_alone)
        join(sheet, x->producer, y->producer);
    /* The region reports new and removed nodes. */
    if (x_alone || y_alone)
        return;
    bool weight = (!x && is_constant(y)) || (!y && is_constant(x));
    struct diff_change change = change_of(a, b, weight ? DIFF_weight : DIFF_edge);
    change.subject = describe_node(arena, a);
    change.what = arena_format(arena, "input %zu", index);
    change.old_text = source_text(arena, x);
    change.new_text = source_text(arena, y);
    if (weight) {
        change.left_tensor = x ? x->tensor : NULL;
        change.right_tensor = y ? y->tensor : NULL;
        change.old_text = x ? diff_constant_text(arena, x->tensor, true) : NULL;
        change.new_text = y ? diff_constant_text(arena, y->tensor, true) : NULL;
    }
    diff_add(sheet->differ, &change);
}

static bool holds_body(const Onnx__AttributeProto *attribute)
{
    return attribute && (attribute->g || attribute->n_graphs);
}

static void compare_attribute(struct sheet *sheet, const struct node *a, const struct node *b,
                              const Onnx__AttributeProto *x, const Onnx__AttributeProto *y)
{
    struct differ *differ = sheet->differ;
    /* One that says what its absence would say is as good as absent. */
    bool no_x = !x || attribute_is_default(a, x), no_y = !y || attribute_is_default(b, y);
    if ((no_x && no_y) || (holds_body(x) && holds_body(y)))
        return;
    if (x && y &&
        number_attribute(&differ->numbering, a->graph->model, x) ==
            number_attribute(&differ->numbering, b->graph->model, y))
        return;
    struct diff_change change = change_of(a, b, DIFF_attribute);
    change.subject = describe_node(differ->arena, a);
    change.what = x ? x->name : y->name;
    change.old_text = x ? describe_attribute(differ->arena, x) : NULL;
    change.new_text = y ? describe_attribute(differ->arena, y) : NULL;
    diff_add(differ, &change);
}

static void compare_attributes(struct sheet *sheet, const struct node *a, const struct node *b)
{
    const struct attribute_names old = diff_attributes(sheet->differ->arena, a);
    const struct attribute_names new = diff_attributes(sheet->differ->arena, b);
    for (size_t i = 0; i < a->proto->n_attribute; i++) {
        const Onnx__AttributeProto *x = a->proto->attribute[i];
        compare_attribute(sheet, a, b, x, diff_attribute_like(&new, &old, i));
    }
    for (size_t i = 0; i < b->proto->n_attribute; i++) {
        const Onnx__AttributeProto *y = b->proto->attribute[i];
        if (!diff_attribute_like(&old, &new, i))
            compare_attribute(sheet, a, b, NULL, y);
    }
}

static void compare_partners(struct sheet *sheet, const struct node *a)
{
    const struct node *b = node_partner(a);
    if (node_number(a) == node_number(b))
        return;
    compare_attributes(sheet, a, b);
    size_t count = a->input_count > b->input_count ? a->input_count : b->input_count;
    for (size_t i = 0; i < count; i++)
        compare_input(sheet, a, b, i, node_input(a, i), node_input(b, match_operand(a, b, i)));
}

static void compare_outputs(struct sheet *sheet)
{
    struct differ *differ = sheet->differ;
    for (size_t i = 0; i < sheet->output_count; i++) {
        const struct value *x = sheet->outputs[i].left, *y = sheet->outputs[i].right;
        if (!x || !y || match_is_pair(x, y))
            continue;
        bool x_alone = match_is_alone(x), y_alone = match_is_alone(y);
        if (x_alone && y_alone && x->graph == sheet->graphs[0] && y->graph == sheet->graphs[1])
            join(sheet, x->producer, y->producer);
        if (x_alone || y_alone)
            continue;
        struct diff_change change = {.kind = DIFF_edge, .graph = sheet->graphs[0], .what = ""};
        change.subject = arena_format(differ->arena, "output '%s' of the graph", x->name);
        change.old_text = source_text(differ->arena, x);
        change.new_text = source_text(differ->arena, y);
        diff_add(differ, &change);
    }
}

/* ---- regions ---- */

static void join_neighbours(struct sheet *sheet, const struct graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct node *node = graph->nodes[i];
        if (node_partner(node) || !match_takes_part(node))
            continue;
        for (size_t k = 0; k < node->output_count; k++)
            for (const struct use *use = node->outputs[k] ? node->outputs[k]->uses : NULL; use; use = use->next)
                if (use->reader->graph == graph && !node_partner(use->reader) && match_takes_part(use->reader))
                    join(sheet, node, use->reader);
    }
}

/* For each unmatched node: whether all nodes connected with it are in its own graph. */
static bool *find_one_sided(const struct sheet *sheet)
{
    size_t total = sheet->graphs[0]->node_count + sheet->graphs[1]->node_count;
    bool *has[2], *one_sided = NEW_ARRAY(sheet->differ->arena, bool, total + 1);
    for (int side = 0; side < 2; side++) {
        has[side] = NEW_ARRAY(sheet->differ->arena, bool, total + 1);
        for (size_t i = 0; i < sheet->graphs[side]->node_count; i++) {
            const struct node *node = sheet->graphs[side]->nodes[i];
            if (!node_partner(node) && match_takes_part(node))
                has[side][root_of(sheet, place(sheet, node))] = true;
        }
    }
    for (size_t i = 0; i < total; i++)
        one_sided[i] = has[0][root_of(sheet, i)] != has[1][root_of(sheet, i)];
    return one_sided;
}

/* A needed node of such a region that passes data to `node` or reads its data. Shape and Size read no data. */
static bool is_next(const struct sheet *sheet, const struct node *node, const bool *one_sided)
{
    return !node_partner(node) && match_takes_part(node) && sheet->live[place(sheet, node)] &&
           one_sided[place(sheet, node)] && node->op != OP_Shape && node->op != OP_Size;
}

static bool join_next(struct sheet *sheet, const struct node *node, const bool *one_sided)
{
    bool any = false;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *value = node->inputs[k];
        if (!value || value->graph != node->graph || !value->producer || !is_next(sheet, value->producer, one_sided))
            continue;
        join(sheet, node, value->producer);
        any = true;
    }
    for (size_t k = 0; k < node->output_count; k++)
        for (const struct use *use = node->outputs[k] ? node->outputs[k]->uses : NULL; use; use = use->next)
            if (use->reader->graph == node->graph && is_next(sheet, use->reader, one_sided)) {
                join(sheet, node, use->reader);
                any = true;
            }
    return any;
}

/* If nodes between two others were removed or added, usually one of the two compensates for them: so a changed pair
 * is reported with its unmatched neighbours, unless other nodes replace those. */
static void join_changed(struct sheet *sheet)
{
    const struct diff_result *result = sheet->differ->result;
    const bool *one_sided = find_one_sided(sheet);
    for (size_t i = sheet->first; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        const struct node *a = change->left, *b = change->right;
        bool differs = change->kind == DIFF_weight || change->kind == DIFF_attribute;
        if (!differs || !a || !b || node_partner(a) != b || sheet->joined[place(sheet, a)])
            continue;
        bool left = join_next(sheet, a, one_sided), right = join_next(sheet, b, one_sided);
        if (!left && !right)
            continue;
        join(sheet, a, b);
        sheet->joined[place(sheet, a)] = sheet->joined[place(sheet, b)] = true;
    }
}

static bool takes_part(const struct sheet *sheet, const struct node *node)
{
    return (!node_partner(node) && match_takes_part(node)) || sheet->joined[place(sheet, node)];
}

static bool in_region(const struct sheet *sheet, const struct node *node, size_t root)
{
    return takes_part(sheet, node) && root_of(sheet, place(sheet, node)) == root;
}

enum { BOUNDARY_MOST = 64 }; /* values listed on each side of a region */

static void list_value(struct arena *arena, struct diff_values *list, const struct value *value)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == value)
            return;
    if (list->count < BOUNDARY_MOST)
        LIST_PUSH(arena, list, value);
}

/* The inputs of one side of a region, and its values that other nodes read. */
static void find_boundary(const struct sheet *sheet, const struct node_list *nodes, size_t root, struct diff_values *in,
                          struct diff_values *out)
{
    struct arena *arena = sheet->differ->arena;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct node *node = nodes->items[i];
        for (size_t k = 0; k < node->input_count; k++) {
            const struct value *value = node->inputs[k];
            const struct node *producer = value ? value->producer : NULL;
            bool inside = producer && value->graph == node->graph && in_region(sheet, producer, root);
            if (value && !inside && !is_constant(value) && (!producer || match_takes_part(producer)))
                list_value(arena, in, value);
        }
        for (size_t k = 0; k < node->output_count; k++) {
            const struct value *value = node->outputs[k];
            bool outside = value && value->is_output;
            for (const struct use *use = value ? value->uses : NULL; use && !outside; use = use->next)
                outside = use->reader->graph != node->graph || !in_region(sheet, use->reader, root);
            if (outside)
                list_value(arena, out, value);
        }
    }
}

/* "3 Conv + 3 BatchNormalization + 2 Add", in the order they first appear. */
static void print_ops(struct text *text, const struct node_list *nodes)
{
    struct map seen = {0};
    struct tally {
        const char *type;
        size_t count;
    };
    LIST(struct tally *) tallies = {NULL, 0, 0};
    for (size_t i = 0; i < nodes->count; i++) {
        const char *type = text_or_empty(nodes->items[i]->proto->op_type);
        struct tally *tally = map_get(&seen, type);
        if (!tally) {
            tally = NEW(text->arena, struct tally);
            tally->type = type;
            map_put(text->arena, &seen, type, tally);
            LIST_PUSH(text->arena, &tallies, tally);
        }
        tally->count++;
    }
    for (size_t i = 0; i < tallies.count; i++) {
        text_print(text, "%s", i ? " + " : "");
        if (tallies.items[i]->count > 1)
            text_print(text, "%zu ", tallies.items[i]->count);
        text_print(text, "%s", tallies.items[i]->type);
    }
}

static const char *summarise(struct arena *arena, const struct diff_region *region)
{
    struct text text = {.arena = arena};
    print_ops(&text, region->left.count ? &region->left : &region->right);
    if (region->left.count && region->right.count) {
        text_print(&text, " became ");
        print_ops(&text, &region->right);
    } else {
        text_print(&text, "%s", region->left.count ? " removed" : " added");
    }
    return text.bytes;
}

static void add_region(struct sheet *sheet, struct diff_region *region, size_t root)
{
    struct arena *arena = sheet->differ->arena;
    find_boundary(sheet, &region->left, root, &region->left_in, &region->left_out);
    find_boundary(sheet, &region->right, root, &region->right_in, &region->right_out);
    region->summary = summarise(arena, region);
    region->dead = true;
    for (size_t i = 0; i < region->left.count; i++)
        region->dead = region->dead && !sheet->live[place(sheet, region->left.items[i])];
    for (size_t i = 0; i < region->right.count; i++)
        region->dead = region->dead && !sheet->live[place(sheet, region->right.items[i])];
    struct diff_change change = {.kind = region->dead ? DIFF_dead : DIFF_region,
                                 .graph = region->left.count ? region->left_graph : region->right_graph,
                                 .what = "",
                                 .subject = region->summary,
                                 .region = region};
    if (region->left.count)
        change.left = region->left.items[0];
    if (region->right.count)
        change.right = region->right.items[0];
    const struct diff_change *whole = diff_add(sheet->differ, &change);
    for (size_t i = 0; i < region->parts.count; i++)
        region->parts.items[i]->part_of = whole;
}

static void find_regions(struct sheet *sheet)
{
    struct arena *arena = sheet->differ->arena;
    size_t total = sheet->graphs[0]->node_count + sheet->graphs[1]->node_count;
    struct diff_region **regions = NEW_ARRAY(arena, struct diff_region *, total + 1);
    LIST(size_t) roots = {NULL, 0, 0};
    for (int side = 0; side < 2; side++)
        join_neighbours(sheet, sheet->graphs[side]);
    join_changed(sheet);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sheet->graphs[side]->order.count; i++) {
            struct node *node = sheet->graphs[side]->order.items[i];
            if (!takes_part(sheet, node))
                continue;
            size_t root = root_of(sheet, place(sheet, node));
            if (!regions[root]) {
                regions[root] = NEW(arena, struct diff_region);
                regions[root]->left_graph = sheet->graphs[0];
                regions[root]->right_graph = sheet->graphs[1];
                LIST_PUSH(arena, &roots, root);
            }
            if (side)
                LIST_PUSH(arena, &regions[root]->right, node);
            else
                LIST_PUSH(arena, &regions[root]->left, node);
        }
    const struct diff_result *result = sheet->differ->result;
    for (size_t i = sheet->first; i < result->changes.count; i++) {
        struct diff_change *change = result->changes.items[i];
        if (change->left && change->right && sheet->joined[place(sheet, change->left)])
            LIST_PUSH(arena, &regions[root_of(sheet, place(sheet, change->left))]->parts, change);
    }
    for (size_t i = 0; i < roots.count; i++)
        add_region(sheet, regions[roots.items[i]], roots.items[i]);
}

/* ---- bodies ---- */

static void compare_body(struct differ *differ, struct graph *a, struct graph *b)
{
    struct arena *arena = differ->arena;
    size_t count = graph_output_count(a);
    struct value_pair *outputs = NEW_ARRAY(arena, struct value_pair, count + 1);
    if (graph_input_count(a) != graph_input_count(b)) {
        struct diff_change change = {.kind = DIFF_input, .graph = a, .what = "number of inputs"};
        change.subject = arena_format(arena, "graph %s", a->name);
        change.old_text = arena_format(arena, "%zu", graph_input_count(a));
        change.new_text = arena_format(arena, "%zu", graph_input_count(b));
        diff_add(differ, &change);
    }
    if (count != graph_output_count(b)) {
        struct diff_change change = {.kind = DIFF_output, .graph = a, .what = "number of outputs"};
        change.subject = arena_format(arena, "graph %s", a->name);
        change.old_text = arena_format(arena, "%zu", count);
        change.new_text = arena_format(arena, "%zu", graph_output_count(b));
        diff_add(differ, &change);
        count = count < graph_output_count(b) ? count : graph_output_count(b);
    }
    for (size_t i = 0; i < count; i++)
        outputs[i] = (struct value_pair){graph_output(a, i), graph_output(b, i)};
    diff_graphs(differ, a, b, outputs, count);
}

/* The attribute a body comes from: the end of the name it has in reports. */
static const char *body_name(const struct graph *body)
{
    const char *dot = strrchr(body->name, '.');
    return dot ? dot : body->name;
}

static void compare_bodies(struct differ *differ, const struct node *a)
{
    const struct node *b = node_partner(a);
    struct map counts[2] = {{0}, {0}}, bodies = {0};
    for (size_t k = 0; k < b->body_count; k++)
        map_put(differ->arena, &bodies, diff_key(differ->arena, &counts[1], body_name(b->bodies[k])), b->bodies[k]);
    for (size_t i = 0; i < a->body_count; i++) {
        struct graph *body = map_get(&bodies, diff_key(differ->arena, &counts[0], body_name(a->bodies[i])));
        if (body)
            compare_body(differ, a->bodies[i], body);
    }
}

void diff_graphs(struct differ *differ, struct graph *a, struct graph *b, const struct value_pair *outputs,
                 size_t output_count)
{
    struct arena *arena = differ->arena;
    struct sheet sheet = {.differ = differ, .graphs = {a, b}};
    size_t total = a->node_count + b->node_count;
    sheet.parent = NEW_ARRAY(arena, size_t, total + 1);
    sheet.live = NEW_ARRAY(arena, bool, total + 1);
    sheet.joined = NEW_ARRAY(arena, bool, total + 1);
    sheet.first = differ->result->changes.count;
    sheet.outputs = outputs;
    sheet.output_count = output_count;
    for (size_t i = 0; i < total; i++)
        sheet.parent[i] = i;
    match_graphs(arena, &differ->numbering, &differ->table, a, b, outputs, output_count);
    mark_live(&sheet, a);
    mark_live(&sheet, b);
    for (size_t i = 0; i < a->order.count; i++)
        if (node_partner(a->order.items[i])) {
            differ->result->matched++;
            compare_partners(&sheet, a->order.items[i]);
        }
    compare_outputs(&sheet);
    find_regions(&sheet);
    diff_graph_cosmetic(differ, a, b);
    for (size_t i = 0; i < a->order.count; i++)
        if (node_partner(a->order.items[i]) && a->order.items[i]->body_count)
            compare_bodies(differ, a->order.items[i]);
}
