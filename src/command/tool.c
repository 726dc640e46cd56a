/* command/tool.c: what main and the subcommands share. */
#include "command/tool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/tame.h"
#include "base/text.h"
#include "command/guard.h"
#include "command/sandbox.h"

bool parse_number(const char *text, double *number)
{
    return decimal_read(text, strlen(text), number);
}

char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *plain_text(const char *text)
{
    char *plain = copy_text(text);
    if (plain)
        tame(plain);
    return plain;
}

bool is_one_of(const char *text, const char *const *names)
{
    while (*names && strcmp(*names, text) != 0)
        names++;
    return *names != NULL;
}

int trouble(const char *format, const char *detail)
{
    char *plain = plain_text(detail);
    fprintf(stderr, "onnx-repvgg-fuse: ");
    fprintf(stderr, format, plain ? plain : "out of memory");
    fprintf(stderr, "\n");
    free(plain);
    return TROUBLE;
}

/* An unknown letter suggests the only option that begins with it, if that takes no argument: -V for --version, but
 * not -i for --input-shape. */
static const char *nearest_option(const char *word, int letter, const struct option *options)
{
    enum { MOST = 64 };
    const char *names[MOST], *begins = NULL;
    size_t count = 0, found = 0;
    for (; count < MOST && options[count].name; count++) {
        names[count] = options[count].name;
        if (letter && options[count].val == letter)
            return NULL; /* its argument is what is wrong */
        if (letter && names[count][0] == (letter | 0x20)) {
            begins = options[count].has_arg == no_argument ? names[count] : NULL;
            found++;
        }
    }
    if (letter)
        return found == 1 ? begins : NULL;
    return strncmp(word, "--", 2) == 0 ? text_near(word + 2, names, count) : NULL;
}

int unknown_option(char *const *arguments, const struct option *options, const char *help)
{
    const char *name = nearest_option(arguments[optind - 1], optopt, options);
    if (!name)
        return trouble("try %s", help);
    fprintf(stderr, "onnx-repvgg-fuse: did you mean --%s? %s lists the options\n", name, help);
    return TROUBLE;
}

int check_faults(int status)
{
    return guard_faults() ? trouble("%s", guard_message) : status;
}

void confine(const char *const *models, const char *report, bool follow_symlinks)
{
    struct sandbox sandbox;
    sandbox_open(&sandbox);
    for (; *models; models++)
        sandbox_allow_model(&sandbox, *models);
    if (report)
        sandbox_allow_output(&sandbox, report);
    if (follow_symlinks)
        sandbox_allow_reading(&sandbox);
    sandbox_close(&sandbox);
}

bool add_name(const char ***names, size_t *count, const char *name)
{
    const char **grown = realloc(*names, (*count + 2) * sizeof(*grown));
    if (!grown)
        return false;
    *names = grown;
    grown[(*count)++] = name;
    grown[*count] = NULL;
    return true;
}

bool add_names(const char ***names, size_t *count, char *list)
{
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
        if (!add_name(names, count, name))
            return false;
    return true;
}
