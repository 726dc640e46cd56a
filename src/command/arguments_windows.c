/* command/arguments_windows.c: the command line is UTF-16, and the shells leave its wildcards to programs. */
#include "command/arguments.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system_windows.h"

#include <shellapi.h>

struct list {
    char **items;
    size_t count;
};

/* Who starts has nothing to lose: without memory it ends. */
static void *have(void *memory)
{
    if (!memory) {
        fputs("onnx-repvgg-fuse: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static void add(struct list *list, char *item)
{
    list->items = have(realloc(list->items, (list->count + 2) * sizeof(*list->items)));
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

static int by_path(const void *a, const void *b)
{
    return path_order(*(char *const *)a, *(char *const *)b);
}

/* The files that an argument stands for, sorted. None: it stands for itself. No name of a file has a wildcard in it, so
 * it does not matter whether there were quotes. */
static void expand(struct list *list, const wchar_t *wide)
{
    char *argument = have(narrow_text(wide));
    size_t first = list->count, folder = (size_t)(path_name(argument) - argument);
    WIN32_FIND_DATAW found;
    HANDLE search =
        argument[0] != '-' && strpbrk(argument + folder, "*?") ? FindFirstFileW(wide, &found) : INVALID_HANDLE_VALUE;
    if (search != INVALID_HANDLE_VALUE) {
        do {
            char *name = have(narrow_text(found.cFileName));
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
                char *path = have(malloc(folder + strlen(name) + 1));
                memcpy(path, argument, folder);
                strcpy(path + folder, name);
                add(list, path);
            }
            free(name);
        } while (FindNextFileW(search, &found));
        FindClose(search);
        if (list->count > first)
            qsort(list->items + first, list->count - first, sizeof(*list->items), by_path);
    }
    if (list->count == first)
        add(list, argument);
    else
        free(argument);
}

static UINT page_before; /* the console's, which it keeps when we are gone */

static void give_back(void)
{
    SetConsoleOutputCP(page_before);
}

struct arguments arguments_take(int count, char **values)
{
    static char name[] = "onnx-repvgg-fuse"; /* mingw's getopt begins its messages with it, however we were called */
    struct list list = {0};
    (void)count, (void)values; /* of a code page that lacks most letters */
    int given;
    wchar_t **wide = have(CommandLineToArgvW(GetCommandLineW(), &given));
    for (int i = 0; i < given; i++)
        expand(&list, wide[i]);
    LocalFree(wide);
    __argv[0] = name;
    for (int stream = 0; stream < 3; stream++)
        _setmode(stream, _O_BINARY);
    page_before = GetConsoleOutputCP();
    if (page_before && page_before != CP_UTF8 && SetConsoleOutputCP(CP_UTF8))
        atexit(give_back);
    return (struct arguments){(int)list.count, list.items};
}
