/* view/writer.c: the text of a dump as it grows. */
#include "view/writer.h"

#include <stdio.h>

#include "base/json.h"

void dump_flush(struct dump *dump)
{
    const struct onnx_fuse_dump_options *options = dump->options;
    if (dump->used && !options->write(options->closure, dump->buffer, dump->used))
        fail(dump->arena->landing, ONNX_FUSE_IO, "%s: cannot write its text", dump->model->path);
    dump->used = 0;
}

void dump_put(struct dump *dump, const char *bytes, size_t size)
{
    while (size && !dump->counting) {
        size_t part = DUMP_BUFFER - dump->used < size ? DUMP_BUFFER - dump->used : size;
        memcpy(dump->buffer + dump->used, bytes, part);
        dump->used += part;
        bytes += part;
        size -= part;
        if (dump->used == DUMP_BUFFER)
            dump_flush(dump);
    }
}

void dump_puts(struct dump *dump, const char *string)
{
    dump_put(dump, string, strlen(string));
}

void dump_print(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    char text[512];
    if (dump->counting)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof(text)) {
        dump_put(dump, text, (size_t)length);
        return;
    }
    va_start(arguments, format);
    dump_puts(dump, arena_vformat(dump->arena, format, arguments));
    va_end(arguments);
}

void dump_indent(struct dump *dump)
{
    for (int i = 0; i < dump->depth; i++)
        dump_puts(dump, "   ");
}

void dump_end_line(struct dump *dump)
{
    dump_puts(dump, "\n");
    for (size_t i = 0; i < dump->notes.count; i++) {
        dump_indent(dump);
        dump_puts(dump, "# not held: ");
        dump_puts(dump, dump->notes.items[i]);
        dump_puts(dump, "\n");
    }
    dump->notes.items = NULL;
    dump->notes.count = dump->notes.room = 0;
    arena_reset(dump->arena);
}

void dump_note(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    dump->result.not_held++;
    if (dump->counting)
        return;
    va_start(arguments, format);
    const char *note = arena_vformat(dump->arena, format, arguments);
    va_end(arguments);
    LIST_PUSH(dump->arena, &dump->notes, note);
}

/* A string as JSON, in the arena: for notes, which must stay on their line. */
static const char *dump_escaped(struct dump *dump, const void *bytes, size_t size)
{
    struct text text = {.arena = dump->arena};
    if (dump->counting)
        return "";
    json_quote(&text, bytes, size);
    return text.bytes;
}

const char *dump_escaped_string(struct dump *dump, const char *string)
{
    return dump_escaped(dump, string, string ? strlen(string) : 0);
}
