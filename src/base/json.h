/* base/json.h: JSON written in order, into a text that grows. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/text.h"

/* {.text = {.arena = ...}} is an empty document. The last written character decides about commas, so the depth is
 * unlimited. Nothing depends on the locale of the process. */
struct json {
    struct text text;
    bool compact; /* no blanks behind ':' and ',' */
    bool breaks;  /* the next item begins a line with this indentation: */
    int indent;
};

/* The next member, or the end of a list, begins a new line; the end of an empty list does not. */
void json_line(struct json *json, int indent);

/* key: of a member of an object; NULL for an element of a list, and for the document itself.
 * bracket: '{' or '[', and '}' or ']'. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

/* Names may be any bytes: invalid UTF-8 becomes U+FFFD. NULL is "". */
void json_text(struct json *json, const char *key, const char *string);
/* NULL is null. */
void json_text_or_null(struct json *json, const char *key, const char *string);
void json_bool(struct json *json, const char *key, bool is_true);
void json_integer(struct json *json, const char *key, int64_t integer);
void json_count(struct json *json, const char *key, uint64_t count);
/* A number that reads back exactly; null when it is not finite. */
void json_number(struct json *json, const char *key, double number);
/* A value as text: a rounded number, null. */
void json_literal(struct json *json, const char *key, const char *literal);

/* The document with a final line end. */
const char *json_end(struct json *json);

/* A quoted string by itself. */
void json_quote(struct text *text, const void *bytes, size_t size);

#endif
