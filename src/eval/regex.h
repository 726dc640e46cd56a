/* eval/regex.h: regular expressions in RE2's syntax, for RegexFullMatch. */
#ifndef EVAL_REGEX_H
#define EVAL_REGEX_H

#include "base/arena.h"
#include "onnx.pb-c.h"

struct regex;

/* Returns NULL, or the reason why not: an invalid pattern, or unsupported syntax: flags, Unicode classes, POSIX
 * names. */
const char *regex_compile(struct arena *arena, ProtobufCBinaryData pattern, struct regex **regex);
/* The maximum number of steps per character. */
size_t regex_size(const struct regex *regex);
/* True when the whole text matches. Invalid UTF-8 is read byte by byte. */
bool regex_matches(struct regex *regex, ProtobufCBinaryData text);

#endif
