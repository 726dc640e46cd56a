/* view/writer.h: writes the text of a dump. */
#ifndef VIEW_WRITER_H
#define VIEW_WRITER_H

#include "view/dump.h"

struct dump {
    struct model *model;
    struct arena *arena; /* of the line that is being written */
    const struct onnx_fuse_dump_options *options;
    bool counting; /* the first walk */
    int depth;     /* of indentation */
    char *buffer;
    size_t used;
    size_t touched;           /* bytes of mapped files read since they were given back */
    LIST(const char *) notes; /* of the line that is being written */
    struct dump_result result;
};

/* ---- writing ---- */

void dump_put(struct dump *dump, const char *bytes, size_t size);
void dump_puts(struct dump *dump, const char *string);
void dump_print(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dump_indent(struct dump *dump);
/* Ends the line and writes the notes made since the last one. */
void dump_end_line(struct dump *dump);
/* Notes something that the syntax does not hold. */
void dump_note(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *dump_escaped_string(struct dump *dump, const char *string);

enum { DUMP_BUFFER = 64 << 10 };

/* Passes the buffer to the receiver of the dump. */
void dump_flush(struct dump *dump);

#endif
