/* eval/regex.c: regular expressions: parsed to a tree, written out as a program, run for all ways to match at once
 * (Thompson, Regular Expression Search Algorithm, 1968), so that no pattern takes long. */
#include "eval/regex.h"

#include "base/utf8.h"

enum {
    REGEX_DEPTH = 100,      /* groups inside each other */
    REPEAT_MOST = 1000,     /* RE2's own bound */
    PROGRAM_MOST = 1 << 14, /* steps */
    CHARACTER_LAST = 0x10ffff
};

struct range {
    uint32_t first, last;
};

struct set {
    LIST(struct range) ranges;
    bool negated;
};

/* ---- the tree ---- */

struct tree {
    enum { TREE_SET, TREE_ASSERT, TREE_ALL, TREE_ANY, TREE_REPEAT } kind;
    struct set set;
    char assertion;            /* ^ $ b B */
    LIST(struct tree *) parts; /* one after the other, or one of them; of a repeat the only one */
    int least, most;           /* -1: no end */
};

struct parser {
    struct arena *arena;
    const uint8_t *at, *end;
    const char *reason;
};

static struct tree *parse_alternatives(struct parser *parser, int depth);

static struct tree *new_tree(struct parser *parser, int kind)
{
    struct tree *tree = NEW(parser->arena, struct tree);
    tree->kind = kind;
    return tree;
}

static void *refuse(struct parser *parser, const char *reason)
{
    parser->reason = parser->reason ? parser->reason : reason;
    return NULL;
}

static bool next_is(const struct parser *parser, char c)
{
    return parser->at < parser->end && *parser->at == (uint8_t)c;
}

static bool take(struct parser *parser, char c)
{
    bool is = next_is(parser, c);
    parser->at += is;
    return is;
}

static uint32_t decode(const uint8_t **at, const uint8_t *end)
{
    size_t left = (size_t)(end - *at), length = utf8_length(*at, left);
    const uint8_t *c = *at;
    *at += length ? length : 1;
    switch (length) {
    case 2: return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
    case 3: return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
    case 4: return (c[0] & 0x07u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu);
    default: return c[0];
    }
}

static void add_range(struct parser *parser, struct set *set, uint32_t first, uint32_t last)
{
    struct range range = {first, last};
    LIST_PUSH(parser->arena, &set->ranges, range);
}

/* \d, \w, \s: ASCII only. The capital letter stands for all else. */
static bool add_class(struct parser *parser, struct set *set, uint8_t letter)
{
    static const struct {
        char letter;
        struct range ranges[5]; /* ascending */
    } classes[] = {{'d', {{'0', '9'}}},
                   {'s', {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
                   {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}}};
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        const struct range *range = classes[i].ranges;
        uint32_t from = 0;
        if (letter == (uint8_t)classes[i].letter)
            for (; range->last; range++)
                add_range(parser, set, range->first, range->last);
        else if (letter == (uint8_t)(classes[i].letter - 'a' + 'A')) {
            for (; range->last; from = range->last + 1, range++)
                add_range(parser, set, from, range->first - 1);
            add_range(parser, set, from, CHARACTER_LAST);
        } else {
            continue;
        }
        return true;
    }
    return false;
}

/* A character behind a backslash that stands for one; -1: it stands for something else. */
static int64_t escaped(uint8_t c)
{
    static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
    const char *found = c ? strchr(from, c) : NULL;
    if (found)
        return to[found - from];
    bool is_word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return is_word || c >= 0x80 ? -1 : c;
}

/* One end of a range in brackets; false: it was a class, or is broken. */
static bool parse_member(struct parser *parser, struct set *set, uint32_t *character)
{
    if (!take(parser, '\\')) {
        if (next_is(parser, '[') && parser->end - parser->at > 1 && parser->at[1] == ':')
            return refuse(parser, "a class of POSIX is not read");
        *character = decode(&parser->at, parser->end);
        return true;
    }
    if (parser->at == parser->end)
        return refuse(parser, "the pattern is broken");
    uint8_t c = *parser->at++;
    if (add_class(parser, set, c))
        return false;
    int64_t stands = escaped(c);
    if (stands < 0)
        return refuse(parser, "an escape that is not read");
    *character = (uint32_t)stands;
    return true;
}

static struct tree *parse_brackets(struct parser *parser)
{
    struct tree *tree = new_tree(parser, TREE_SET);
    tree->set.negated = take(parser, '^');
    for (bool first = true; first || !next_is(parser, ']'); first = false) {
        uint32_t low, high;
        if (parser->at == parser->end)
            return refuse(parser, "the pattern is broken");
        bool single = parse_member(parser, &tree->set, &low);
        if (parser->reason)
            return NULL;
        if (!single)
            continue;
        high = low;
        if (next_is(parser, '-') && parser->end - parser->at > 1 && parser->at[1] != ']') {
            parser->at++;
            if (!parse_member(parser, &tree->set, &high) || high < low)
                return refuse(parser, "a range that is broken");
        }
        add_range(parser, &tree->set, low, high);
    }
    parser->at++;
    return tree;
}

static struct tree *parse_escape(struct parser *parser)
{
    struct tree *tree = new_tree(parser, TREE_SET);
    if (parser->at == parser->end)
        return refuse(parser, "the pattern is broken");
    uint8_t c = *parser->at++;
    if (add_class(parser, &tree->set, c))
        return tree;
    if (c == 'b' || c == 'B' || c == 'A' || c == 'z') {
        tree->kind = TREE_ASSERT;
        tree->assertion = (char)(c == 'A' ? '^' : c == 'z' ? '$' : c);
        return tree;
    }
    int64_t stands = escaped(c);
    if (stands < 0)
        return refuse(parser, "an escape that is not read");
    add_range(parser, &tree->set, (uint32_t)stands, (uint32_t)stands);
    return tree;
}

static struct tree *parse_group(struct parser *parser, int depth)
{
    if (depth == REGEX_DEPTH)
        return refuse(parser, "groups inside each other too deep");
    if (take(parser, '?') && !take(parser, ':'))
        return refuse(parser, "a group with a name or flags is not read");
    struct tree *tree = parse_alternatives(parser, depth + 1);
    return tree && !take(parser, ')') ? refuse(parser, "a group without an end") : tree;
}

static struct tree *parse_atom(struct parser *parser, int depth)
{
    struct tree *tree;
    if (take(parser, '('))
        return parse_group(parser, depth);
    if (take(parser, '['))
        return parse_brackets(parser);
    if (take(parser, '\\'))
        return parse_escape(parser);
    if (next_is(parser, '*') || next_is(parser, '+') || next_is(parser, '?'))
        return refuse(parser, "nothing is repeated");
    tree = new_tree(parser, TREE_SET);
    if (next_is(parser, '^') || next_is(parser, '$')) {
        tree->kind = TREE_ASSERT;
        tree->assertion = (char)*parser->at++;
    } else if (take(parser, '.')) {
        tree->set.negated = true;
        add_range(parser, &tree->set, '\n', '\n');
    } else {
        uint32_t character = decode(&parser->at, parser->end);
        add_range(parser, &tree->set, character, character);
    }
    return tree;
}

static bool parse_number(struct parser *parser, int *number)
{
    const uint8_t *start = parser->at;
    *number = 0;
    for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++)
        *number = *number > REPEAT_MOST ? *number : 10 * *number + (*parser->at - '0');
    return parser->at > start;
}

/* {3}, {3,} or {3,5}; false: it is none, and a brace is a brace. */
static bool parse_counts(struct parser *parser, int *least, int *most)
{
    struct parser ahead = *parser;
    if (!take(&ahead, '{') || !parse_number(&ahead, least))
        return false;
    *most = *least;
    if (take(&ahead, ',') && !parse_number(&ahead, most))
        *most = -1;
    if (!take(&ahead, '}'))
        return false;
    parser->at = ahead.at;
    return true;
}

static struct tree *parse_repeats(struct parser *parser, int depth)
{
    struct tree *tree = parse_atom(parser, depth);
    for (int times = 0; tree; times++) {
        int least = 0, most = -1;
        if (take(parser, '+'))
            least = 1;
        else if (take(parser, '?'))
            most = 1;
        else if (!take(parser, '*') && !parse_counts(parser, &least, &most))
            return tree;
        take(parser, '?'); /* the shortest match first: whether all of it matches is the same */
        if (least > REPEAT_MOST || most > REPEAT_MOST || (most >= 0 && most < least) || times)
            return refuse(parser, "a repetition that is not read");
        struct tree *repeat = new_tree(parser, TREE_REPEAT);
        repeat->least = least;
        repeat->most = most;
        LIST_PUSH(parser->arena, &repeat->parts, tree);
        tree = repeat;
    }
    return NULL;
}

static struct tree *parse_alternatives(struct parser *parser, int depth)
{
    struct tree *any = new_tree(parser, TREE_ANY);
    do {
        struct tree *all = new_tree(parser, TREE_ALL);
        while (parser->at < parser->end && !next_is(parser, '|') && !next_is(parser, ')')) {
            struct tree *part = parse_repeats(parser, depth);
            if (!part)
                return NULL;
            LIST_PUSH(parser->arena, &all->parts, part);
        }
        LIST_PUSH(parser->arena, &any->parts, all);
    } while (take(parser, '|'));
    return any;
}

/* ---- the program ---- */

struct step {
    enum { STEP_SET, STEP_ASSERT, STEP_FORK, STEP_END } kind;
    const struct set *set;
    char assertion;
    uint32_t next, other; /* where to go on; a fork at both */
};

struct regex {
    struct arena *arena;
    LIST(struct step) steps;
    size_t written; /* parts of the tree, of which many may be empty */
    /* Of a run: the steps waiting for this character and for the next, and which are among them. */
    uint32_t *lists[2], *stack, *stamps;
    uint32_t stamp;
};

static uint32_t add_step(struct regex *regex, int kind)
{
    struct step step = {.kind = kind};
    step.next = (uint32_t)regex->steps.count + 1;
    LIST_PUSH(regex->arena, &regex->steps, step);
    return step.next - 1;
}

static bool write_tree(struct regex *regex, const struct tree *tree);

/* One of the parts, each of which goes on behind the last. */
static bool write_any(struct regex *regex, const struct tree *tree)
{
    LIST(uint32_t) ends = {NULL, 0, 0};
    for (size_t i = 0; i < tree->parts.count; i++) {
        bool is_last = i + 1 == tree->parts.count;
        uint32_t fork = is_last ? 0 : add_step(regex, STEP_FORK);
        if (!write_tree(regex, tree->parts.items[i]))
            return false;
        if (is_last)
            break;
        uint32_t end = add_step(regex, STEP_FORK);
        LIST_PUSH(regex->arena, &ends, end);
        regex->steps.items[fork].other = (uint32_t)regex->steps.count;
        regex->steps.items[fork].next = fork + 1;
    }
    for (size_t i = 0; i < ends.count; i++)
        regex->steps.items[ends.items[i]].next = regex->steps.items[ends.items[i]].other = (uint32_t)regex->steps.count;
    return true;
}

static bool write_repeat(struct regex *regex, const struct tree *tree)
{
    const struct tree *part = tree->parts.items[0];
    LIST(uint32_t) forks = {NULL, 0, 0}; /* that may go behind the last */
    for (int i = 0; i < tree->least; i++)
        if (!write_tree(regex, part))
            return false;
    for (int i = tree->least; i < tree->most || (tree->most < 0 && i == tree->least); i++) {
        uint32_t fork = add_step(regex, STEP_FORK);
        LIST_PUSH(regex->arena, &forks, fork);
        if (!write_tree(regex, part))
            return false;
        if (tree->most < 0) {
            uint32_t back = add_step(regex, STEP_FORK);
            regex->steps.items[back].next = regex->steps.items[back].other = fork;
        }
    }
    for (size_t i = 0; i < forks.count; i++)
        regex->steps.items[forks.items[i]].other = (uint32_t)regex->steps.count;
    return true;
}

/* False: the program gets too long. */
static bool write_tree(struct regex *regex, const struct tree *tree)
{
    uint32_t step;
    if (regex->steps.count > PROGRAM_MOST || ++regex->written > 4 * PROGRAM_MOST)
        return false;
    switch (tree->kind) {
    case TREE_SET:
        step = add_step(regex, STEP_SET);
        regex->steps.items[step].set = &tree->set;
        return true;
    case TREE_ASSERT:
        step = add_step(regex, STEP_ASSERT);
        regex->steps.items[step].assertion = tree->assertion;
        return true;
    case TREE_ALL:
        for (size_t i = 0; i < tree->parts.count; i++)
            if (!write_tree(regex, tree->parts.items[i]))
                return false;
        return true;
    case TREE_ANY: return write_any(regex, tree);
    default: return write_repeat(regex, tree);
    }
}

const char *regex_compile(struct arena *arena, ProtobufCBinaryData pattern, struct regex **regex)
{
    struct parser parser = {.arena = arena, .at = pattern.data, .end = pattern.data};
    if (pattern.len > PROGRAM_MOST)
        return "a pattern that is too long";
    if (pattern.len)
        parser.end += pattern.len;
    const struct tree *tree = parse_alternatives(&parser, 0);
    if (tree && parser.at < parser.end)
        refuse(&parser, "a group without a beginning");
    if (parser.reason)
        return parser.reason;
    struct regex *made = *regex = NEW(arena, struct regex);
    made->arena = arena;
    if (!write_tree(made, tree))
        return "a pattern that is too long";
    add_step(made, STEP_END);
    for (int i = 0; i < 2; i++)
        made->lists[i] = NEW_ARRAY(arena, uint32_t, made->steps.count);
    made->stack = NEW_ARRAY(arena, uint32_t, 2 * made->steps.count + 2);
    made->stamps = NEW_ARRAY(arena, uint32_t, made->steps.count);
    return NULL;
}

size_t regex_size(const struct regex *regex)
{
    return regex->steps.count;
}

/* ---- running it ---- */

static bool holds(const struct set *set, uint32_t character)
{
    for (size_t i = 0; i < set->ranges.count; i++)
        if (character >= set->ranges.items[i].first && character <= set->ranges.items[i].last)
            return !set->negated;
    return set->negated;
}

static bool is_word(int64_t character)
{
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') || character == '_' ||
           (character >= 'a' && character <= 'z');
}

/* before, after: the characters around the place, or -1. */
static bool asserts(char assertion, int64_t before, int64_t after)
{
    switch (assertion) {
    case '^': return before < 0;
    case '$': return after < 0;
    case 'b': return is_word(before) != is_word(after);
    default: return is_word(before) == is_word(after);
    }
}

/* Adds the steps that wait for a character from `first` on. Returns whether the end is among them. */
static bool follow(struct regex *run, uint32_t first, int64_t before, int64_t after, uint32_t *list, size_t *count)
{
    size_t depth = 0;
    bool ends = false;
    run->stack[depth++] = first;
    while (depth) {
        uint32_t at = run->stack[--depth];
        const struct step *step = &run->steps.items[at];
        if (run->stamps[at] == run->stamp)
            continue;
        run->stamps[at] = run->stamp;
        if (step->kind == STEP_FORK) {
            run->stack[depth++] = step->next;
            run->stack[depth++] = step->other;
        } else if (step->kind == STEP_ASSERT) {
            if (asserts(step->assertion, before, after))
                run->stack[depth++] = step->next;
        } else if (step->kind == STEP_SET) {
            list[(*count)++] = at;
        } else {
            ends = true;
        }
    }
    return ends;
}

bool regex_matches(struct regex *run, ProtobufCBinaryData text)
{
    const uint8_t *at = text.data, *end = text.len ? text.data + text.len : text.data;
    int64_t before = -1, character = at < end ? (int64_t)decode(&at, end) : -1;
    size_t count = 0;
    int now = 0;
    memset(run->stamps, 0, run->steps.count * sizeof(*run->stamps));
    run->stamp = 1;
    bool ends = follow(run, 0, before, character, run->lists[0], &count);
    while (character >= 0) {
        int64_t after = at < end ? (int64_t)decode(&at, end) : -1;
        size_t next = 0;
        ends = false;
        run->stamp++;
        for (size_t i = 0; i < count; i++) {
            const struct step *step = &run->steps.items[run->lists[now][i]];
            if (holds(step->set, (uint32_t)character) &&
                follow(run, step->next, character, after, run->lists[!now], &next))
                ends = true;
        }
        count = next;
        now = !now;
        character = after;
    }
    return ends;
}
