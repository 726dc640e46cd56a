/* test_json.c: what the writer of JSON puts between its values, and what becomes of odd bytes. */
#include "base/json.h"
#include "unit.h"

#include <math.h>
#include <string.h>

static bool is_text(struct json *json, const char *wanted)
{
    bool same = strcmp(json->text.bytes, wanted) == 0;
    if (!same)
        printf("# found %s\n# expected %s\n", json->text.bytes, wanted);
    return same;
}

/* An object in a list in an object: commas and blanks stand between things, never in front or behind. */
static void write_nested(struct json *json)
{
    json_open(json, NULL, '{');
    json_open(json, "list", '[');
    json_count(json, NULL, 1);
    json_open(json, NULL, '{');
    json_close(json, '}');
    json_text(json, NULL, "[");
    json_integer(json, NULL, -2);
    json_close(json, ']');
    json_bool(json, "yes", true);
    json_text_or_null(json, "none", NULL);
    json_close(json, '}');
}

static void test_commas(struct unit *unit)
{
    struct json spaced = {.text = {.arena = &unit->arena}};
    struct json compact = {.text = {.arena = &unit->arena}, .compact = true};
    write_nested(&spaced);
    write_nested(&compact);
    expect(is_text(&spaced, "{\"list\": [1, {}, \"[\", -2], \"yes\": true, \"none\": null}"),
           "commas and blanks stand between values");
    expect(is_text(&compact, "{\"list\":[1,{},\"[\",-2],\"yes\":true,\"none\":null}"), "compact, there are no blanks");
}

static void test_lines(struct unit *unit)
{
    struct json json = {.text = {.arena = &unit->arena}};
    json_open(&json, NULL, '{');
    json_line(&json, 2);
    json_open(&json, "full", '[');
    for (int i = 0; i < 2; i++) {
        json_line(&json, 4);
        json_integer(&json, NULL, i);
    }
    json_line(&json, 2);
    json_close(&json, ']');
    json_open(&json, "empty", '[');
    json_line(&json, 2);
    json_close(&json, ']');
    json_text(&json, "next", "");
    json_line(&json, 0);
    json_close(&json, '}');
    json_end(&json);
    expect(is_text(&json, "{\n  \"full\": [\n    0,\n    1\n  ], \"empty\": [], \"next\": \"\"\n}\n"),
           "lines begin where they are asked for, save in an empty list");
}

static void test_values(struct unit *unit)
{
    struct json json = {.text = {.arena = &unit->arena}};
    json_open(&json, NULL, '[');
    json_text(&json, NULL, "a\"b\\c\n\t\x01\x7f\xff\xc3\xa9");
    json_text(&json, NULL, NULL);
    json_number(&json, NULL, 0.1);
    json_number(&json, NULL, (double)NAN);
    json_number(&json, NULL, (double)-INFINITY);
    json_count(&json, NULL, UINT64_MAX);
    json_close(&json, ']');
    expect(is_text(&json, "[\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\\ufffd\xc3\xa9\", \"\", "
                          "0.10000000000000001, null, null, 18446744073709551615]"),
           "strings are quoted, what is no UTF-8 is replaced, what is not finite is null");
}

int main(void)
{
    unit_run("commas", test_commas);
    unit_run("lines", test_lines);
    unit_run("values", test_values);
    return unit_finish();
}
