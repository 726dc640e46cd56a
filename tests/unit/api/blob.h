/* blob.h: whole files in memory, for tests that replace and compare them. */
#ifndef TESTS_BLOB_H
#define TESTS_BLOB_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
    unsigned char *data;
    size_t size;
};

/* Empty when there is no such file. */
static struct blob load(const char *path)
{
    struct blob blob = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return blob;
    fseek(file, 0, SEEK_END);
    blob.size = (size_t)ftell(file);
    rewind(file);
    blob.data = malloc(blob.size + 1);
    if (!blob.data || fread(blob.data, 1, blob.size, file) != blob.size)
        abort();
    fclose(file);
    return blob;
}

static void save(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static bool same(struct blob a, struct blob b)
{
    return a.data && b.data && a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

#endif
