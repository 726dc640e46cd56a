/* report/page.c: a page around its JSON. */
#include "report/page.h"

#include "base/utf8.h"
#include "html_assets.h"

/* ---- strings ---- */

/* Cut where a character ends. */
static const char *cut(struct arena *arena, const char *string)
{
    size_t size = strlen(string), at = HTML_STRING;
    if (size <= HTML_STRING)
        return string;
    while (at > HTML_STRING - 4 && ((unsigned char)string[at] & 0xc0) == 0x80)
        at--;
    return arena_format(arena, "%.*s\u2026 (%zu bytes)", (int)at, string, size);
}

struct page page_begin(struct arena *arena, const char *kind)
{
    struct page page = {.arena = arena, .json = {.text = {.arena = arena}, .compact = true}};
    json_open(&page.json, NULL, '{');
    json_text(&page.json, "kind", kind);
    json_text(&page.json, "version", onnx_fuse_version());
    json_line(&page.json, 0);
    return page;
}

/* Pictures name a string by its place in the list of all. */
static size_t page_string(struct page *page, const char *string)
{
    const char *kept = cut(page->arena, string ? string : "");
    /* The map cannot hold 0, so it holds the index and 1. */
    uintptr_t index = (uintptr_t)map_get(&page->seen, kept);
    if (!index) {
        LIST_PUSH(page->arena, &page->strings, kept);
        index = page->strings.count;
        map_put(page->arena, &page->seen, kept, (void *)index);
    }
    return index - 1;
}

void page_text(struct page *page, const char *key, const char *string)
{
    json_text(&page->json, key, cut(page->arena, string ? string : ""));
}

void page_index(struct page *page, const char *key, const char *string)
{
    json_count(&page->json, key, page_string(page, string));
}

/* ---- escapes ---- */

static void append(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

/* JSON inside a script element. In JSON these characters stand in strings only, where an escape
 * means the same: so no name can end the element or begin another. The line separators U+2028 and
 * U+2029 are line ends to older readers of scripts. */
static void append_json(struct text *text, const char *json, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t plain = at;
        while (plain < size && json[plain] != '<' && json[plain] != '>' && json[plain] != '&' &&
               (unsigned char)json[plain] != 0xe2)
            plain++;
        text_append(text, json + at, plain - at);
        at = plain;
        if (at == size)
            break;
        bool separator =
            size - at >= 3 && (unsigned char)json[at + 1] == 0x80 && ((unsigned char)json[at + 2] & 0xfe) == 0xa8;
        if (separator)
            text_print(text, "\\u20%02x", (unsigned)(unsigned char)json[at + 2] - 0x80);
        else if ((unsigned char)json[at] == 0xe2)
            text_append(text, json + at, 1);
        else
            text_print(text, "\\u%04x", (unsigned)(unsigned char)json[at]);
        at += separator ? 3 : 1;
    }
}

/* Text as markup: special characters become references, invalid UTF-8 and control characters become U+FFFD. */
static void append_markup(struct text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    size_t size = strlen(string);
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length(s + at, size - at);
        bool control = (s[at] < 0x20 && s[at] != '\n') || s[at] == 0x7f;
        if (length == 0 || control)
            append(text, "\ufffd");
        else if (strchr("<>&\"'", s[at]))
            text_print(text, "&#%d;", s[at]);
        else
            text_append(text, string + at, length);
        at += length ? length : 1;
    }
}

/* ---- page ---- */

static void append_listing(struct text *text, const char *listing)
{
    size_t size = strlen(listing);
    const char *end = listing + HTML_LISTING;
    append(text, "<noscript>\n<h1>onnx-repvgg-fuse</h1>\n<p>The pictures and tables of this page "
                 "are made by a script, and scripts are off. The same as text:</p>\n<pre>");
    if (size > HTML_LISTING) {
        while (end > listing && end[-1] != '\n')
            end--;
        if (end == listing)
            end = listing + HTML_LISTING;
        append_markup(text, arena_format(text->arena, "%.*s", (int)(end - listing), listing));
        text_print(text, "... %zu of %zu bytes are left out", size - (size_t)(end - listing), size);
    } else {
        append_markup(text, listing);
    }
    append(text, "</pre>\n</noscript>\n");
}

static void append_element(struct text *text, const char *open, const unsigned char *bytes, size_t size,
                           const char *close)
{
    append(text, open);
    text_append(text, (const char *)bytes, size);
    append(text, close);
}

const char *page_finish(struct page *page, const char *title, const char *listing)
{
    struct json *json = &page->json;
    struct text whole = {.arena = page->arena}, *text = &whole;
    json_line(json, 0);
    json_open(json, "strings", '[');
    for (size_t i = 0; i < page->strings.count; i++) {
        json_line(json, 0);
        json_text(json, NULL, page->strings.items[i]);
    }
    json_close(json, ']');
    json_close(json, '}');
    json_end(json);

    append(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src " HTML_style_HASH "; script-src " HTML_library_HASH " " HTML_script_HASH
                 "; base-uri 'none'; form-action 'none'\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n"
                 "<meta name=\"generator\" content=\"onnx-repvgg-fuse ");
    append(text, onnx_fuse_version());
    append(text, "\">\n<title>");
    append_markup(text, title);
    append_element(text, "</title>\n<style>", html_style, sizeof(html_style), "</style>\n");
    append(text, "</head>\n<body>\n");
    append_listing(text, listing);
    append(text, "<main id=\"page\"></main>\n<script type=\"application/json\" id=\"data\">\n");
    append_json(text, json->text.bytes, json->text.size);
    append_element(text, "</script>\n<script>", html_library, sizeof(html_library), "</script>\n");
    append_element(text, "<script>", html_script, sizeof(html_script), "</script>\n</body>\n</html>\n");
    return text->bytes;
}
