/* report/overview.c: whole graphs as lists of ops, for the page's script to place. */
#include "report/overview.h"

struct survey {
    struct page *page;
    const struct overview_marks *marks;
    struct memo by_node, by_value; /* place in the list, and 1 */
    size_t places;                 /* of the graph at hand */
    size_t ops, lines;             /* of all graphs */
    size_t lines_left_out;         /* of the graph at hand */
};

void overview_mark(struct overview_marks *marks, const struct node *node, int64_t number)
{
    int64_t *mark = memo_item(marks->arena, &marks->numbers, sizeof(*mark), node->index);
    if (!*mark)
        *mark = number;
}

static void put_maker(struct survey *survey, const struct value *value)
{
    const size_t *place = NULL;
    if (value && value->first_producer)
        place = memo_find(&survey->by_node, sizeof(*place), value->first_producer->index);
    else if (value)
        place = memo_find(&survey->by_value, sizeof(*place), value->index);
    if (!place || !*place)
        return;
    if (survey->lines++ < HTML_EDGES)
        json_count(&survey->page->json, NULL, *place - 1);
    else
        survey->lines_left_out++;
}

static void open_place(struct survey *survey, const char *op, const char *name, int64_t mark)
{
    json_line(&survey->page->json, 0);
    json_open(&survey->page->json, NULL, '[');
    page_index(survey->page, NULL, op);
    page_index(survey->page, NULL, name);
    json_integer(&survey->page->json, NULL, mark);
    survey->places++;
}

static void put_node(struct survey *survey, const struct node *node)
{
    struct arena *arena = survey->page->arena;
    const int64_t *mark = memo_find(&survey->marks->numbers, sizeof(*mark), node->index);
    open_place(survey, node->proto->op_type, node->proto->name, mark ? *mark : 0);
    for (size_t k = 0; k < node->input_count; k++)
        put_maker(survey, node_filed_input(node, k));
    for (size_t b = 0; b < node->body_count; b++) {
        struct value_reads captures = {NULL, 0, 0};
        graph_captures(arena, node->bodies[b], &captures);
        for (size_t k = 0; k < captures.count; k++)
            if (captures.items[k]->graph == node->graph)
                put_maker(survey, captures.items[k]);
    }
    json_close(&survey->page->json, ']');
    *(size_t *)memo_item(arena, &survey->by_node, sizeof(size_t), node->index) = survey->places;
    survey->ops++;
}

static void put_graph(struct survey *survey, const struct graph *graph)
{
    struct json *json = &survey->page->json;
    size_t left_out = 0;
    survey->places = survey->lines_left_out = 0;
    json_line(json, 0);
    json_open(json, NULL, '{');
    page_text(survey->page, "graph", graph->name);
    json_open(json, "ops", '[');
    for (size_t i = 0; i < graph_input_count(graph) && i < HTML_LINES; i++) {
        const struct value *value = graph_input(graph, i);
        if (!value || value->is_initializer)
            continue;
        open_place(survey, "", value->name, 0);
        json_close(json, ']');
        *(size_t *)memo_item(survey->page->arena, &survey->by_value, sizeof(size_t), value->index) = survey->places;
    }
    for (size_t i = 0; i < graph->order.count; i++) {
        const struct node *node = graph->order.items[i];
        if (node->op == OP_Constant)
            continue;
        if (survey->ops < HTML_OVERVIEW)
            put_node(survey, node);
        else
            left_out++;
    }
    for (size_t i = 0; i < graph_output_count(graph) && i < HTML_LINES; i++) {
        const struct value *value = graph_output(graph, i);
        if (!value)
            continue;
        open_place(survey, "", value->name, 0);
        put_maker(survey, value);
        json_close(json, ']');
    }
    json_close(json, ']');
    json_count(json, "left_out", left_out);
    json_count(json, "lines_left_out", survey->lines_left_out);
    json_close(json, '}');
}

void overview_json(struct page *page, const char *key, const struct model *model, const struct overview_marks *marks)
{
    struct survey survey = {.page = page, .marks = marks};
    json_line(&page->json, 0);
    json_open(&page->json, key, '[');
    for (size_t i = 0; i < model->graphs.count && i < HTML_OVERVIEWS; i++)
        put_graph(&survey, model->graphs.items[i]);
    json_close(&page->json, ']');
}
