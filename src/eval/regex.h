/* eval/regex.h: regular expressions in RE2's syntax, as RegexFullMatch takes them. */
#ifndef EVAL_REGEX_H
#define EVAL_REGEX_H

#include "base/arena.h"
#include "onnx.pb-c.h"

struct regex;

/* Returns NULL, or the reason why not: a pattern that is broken, or syntax that is not read: flags, classes of
 * Unicode, names of POSIX. */
const char *regex_compile(struct arena *arena, ProtobufCBinaryData pattern, struct regex **regex);
/* Steps that a character takes, at most. */
size_t regex_size(const struct regex *regex);
/* True when the whole text matches. A text that is no UTF-8 is read byte by byte. */
bool regex_matches(struct regex *regex, ProtobufCBinaryData text);

#endif
