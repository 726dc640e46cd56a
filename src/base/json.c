/* base/json.c: JSON written in order, into a text that grows. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "base/utf8.h"

void json_quote(struct text *text, const void *bytes, size_t size)
{
    const unsigned char *s = bytes;
    char escape[8];
    text_append(text, "\"", 1);
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length(s + at, size - at);
        if (length == 0) {
            text_append(text, "\\ufffd", 6);
            length = 1;
        } else if (s[at] == '"' || s[at] == '\\' || s[at] < 0x20 || s[at] == 0x7f) {
            const char *name = s[at] == '\n' ? "\\n" : s[at] == '\t' ? "\\t" : NULL;
            bool plain = s[at] == '"' || s[at] == '\\';
            int written = name ? snprintf(escape, sizeof(escape), "%s", name)
                               : snprintf(escape, sizeof(escape), plain ? "\\%c" : "\\u%04x", s[at]);
            text_append(text, escape, (size_t)written);
        } else {
            text_append(text, (const char *)s + at, length);
        }
        at += length;
    }
    text_append(text, "\"", 1);
}

static void quote(struct text *text, const char *string)
{
    json_quote(text, string, string ? strlen(string) : 0);
}

/* No value ends with an opening bracket: a string ends with its quote. */
static bool is_first(const struct text *text)
{
    if (!text->size)
        return true;
    char last = text->bytes[text->size - 1];
    return last == '[' || last == '{';
}

static void begin_line(struct json *json)
{
    text_print(&json->text, "\n%*s", json->indent, "");
    json->breaks = false;
}

static void begin(struct json *json, const char *key)
{
    struct text *text = &json->text;
    bool first = is_first(text);
    if (!first)
        text_append(text, ",", 1);
    if (json->breaks)
        begin_line(json);
    else if (!first && !json->compact)
        text_append(text, " ", 1);
    if (key) {
        quote(text, key);
        text_append(text, ": ", json->compact ? 1 : 2);
    }
}

void json_line(struct json *json, int indent)
{
    json->breaks = true;
    json->indent = indent;
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    text_append(&json->text, &bracket, 1);
}

void json_close(struct json *json, char bracket)
{
    if (json->breaks && !is_first(&json->text))
        begin_line(json);
    json->breaks = false;
    text_append(&json->text, &bracket, 1);
}

void json_text(struct json *json, const char *key, const char *string)
{
    begin(json, key);
    quote(&json->text, string);
}

void json_text_or_null(struct json *json, const char *key, const char *string)
{
    if (string)
        json_text(json, key, string);
    else
        json_literal(json, key, "null");
}

void json_bool(struct json *json, const char *key, bool is_true)
{
    json_literal(json, key, is_true ? "true" : "false");
}

void json_integer(struct json *json, const char *key, int64_t integer)
{
    begin(json, key);
    text_print(&json->text, "%" PRId64, integer);
}

void json_count(struct json *json, const char *key, uint64_t count)
{
    begin(json, key);
    text_print(&json->text, "%" PRIu64, count);
}

void json_number(struct json *json, const char *key, double number)
{
    json_literal(json, key, isfinite(number) ? decimal_rounded(number, 17).text : "null");
}

void json_literal(struct json *json, const char *key, const char *literal)
{
    begin(json, key);
    text_append(&json->text, literal, strlen(literal));
}

const char *json_end(struct json *json)
{
    text_append(&json->text, "\n", 1);
    return json->text.bytes;
}
