/* command/sandbox_none.c: for systems without Landlock and seccomp, and builds that are told to do without. */
#include "command/sandbox.h"

bool sandbox_is_built(void)
{
    return false;
}

void sandbox_open(struct sandbox *sandbox)
{
    *sandbox = (struct sandbox){.ruleset = -1};
}

void sandbox_allow_model(const struct sandbox *sandbox, const char *path)
{
    (void)sandbox, (void)path;
}

void sandbox_allow_reading(const struct sandbox *sandbox)
{
    (void)sandbox;
}

void sandbox_allow_output(const struct sandbox *sandbox, const char *path)
{
    (void)sandbox, (void)path;
}

void sandbox_allow_folder(const struct sandbox *sandbox, const char *path)
{
    (void)sandbox, (void)path;
}

int sandbox_close(struct sandbox *sandbox)
{
    (void)sandbox;
    return SANDBOX_NONE;
}
