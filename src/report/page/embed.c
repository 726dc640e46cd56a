/* embed.c: runs while the program is built: the page's files become arrays of C.
 *
 *     embed OUT STYLE SCRIPT [LICENCE LIBRARY]
 *
 * Beside each array stands the hash by which the page's content security policy admits it, so that
 * nothing else in a page can run, whatever the names in a model say. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
    unsigned char *bytes;
    size_t size;
};

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "embed: %s: %s\n", path, what);
    return 1;
}

/* Adds a file. Returns false when it cannot be read. */
static int add_file(struct blob *blob, const char *path)
{
    FILE *file = fopen(path, "rb");
    unsigned char piece[4096];
    size_t size;
    int good = file != NULL;
    while (good && (size = fread(piece, 1, sizeof(piece), file)) > 0) {
        unsigned char *grown = realloc(blob->bytes, blob->size + size + 1);
        good = grown != NULL;
        if (!good)
            break;
        blob->bytes = grown;
        memcpy(grown + blob->size, piece, size);
        blob->size += size;
        grown[blob->size] = 0;
    }
    good = good && !ferror(file);
    if (file)
        fclose(file);
    return good && blob->bytes;
}

static int add_text(struct blob *blob, const char *text)
{
    size_t size = strlen(text);
    unsigned char *grown = realloc(blob->bytes, blob->size + size + 1);
    if (!grown)
        return 0;
    memcpy(grown + blob->size, text, size + 1);
    blob->bytes = grown;
    blob->size += size;
    return 1;
}

/* ---- SHA-256. Source: FIPS 180-4, sections 4.1.2, 5 and 6.2. ---- */

static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t one =
            s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two =
            (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static void sha256(const struct blob *blob, unsigned char out[32])
{
    uint32_t state[8];
    unsigned char block[64];
    size_t at = 0;
    memcpy(state, initial, sizeof(state));
    for (; blob->size - at >= 64; at += 64)
        compress(state, blob->bytes + at);
    size_t left = blob->size - at;
    memset(block, 0, sizeof(block));
    memcpy(block, blob->bytes + at, left);
    block[left] = 0x80;
    if (left >= 56) {
        compress(state, block);
        memset(block, 0, sizeof(block));
    }
    for (int i = 0; i < 8; i++)
        block[56 + i] = (unsigned char)((uint64_t)blob->size * 8 >> (56 - 8 * i));
    compress(state, block);
    for (int i = 0; i < 32; i++)
        out[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- output ---- */

static void write_hash(FILE *out, const struct blob *blob)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char hash[33] = {0};
    sha256(blob, hash);
    fputs("'sha256-", out);
    for (int i = 0; i < 44; i++) {
        int bit = i * 6, byte = bit / 8;
        unsigned pair = (unsigned)hash[byte] << 8 | (byte < 32 ? hash[byte + 1] : 0u);
        fputc(i == 43 ? '=' : digits[pair >> (10 - bit % 8) & 63], out);
    }
    fputs("'", out);
}

static void write_blob(FILE *out, const char *name, const struct blob *blob)
{
    fprintf(out, "static const unsigned char html_%s[] = {", name);
    for (size_t i = 0; i < blob->size; i++)
        fprintf(out, "%s%d,", i % 24 ? "" : "\n", blob->bytes[i]);
    fprintf(out, "\n};\n#define HTML_%s_HASH \"", name);
    write_hash(out, blob);
    fprintf(out, "\"\n\n");
}

/* A library's last line names a map of its source that a browser would ask for. */
static void cut_source_map(struct blob *blob)
{
    char *line = strstr((char *)blob->bytes, "//# sourceMappingURL=");
    if (line)
        blob->size = (size_t)((unsigned char *)line - blob->bytes);
}

int main(int count, char **arguments)
{
    struct blob style = {NULL, 0}, library = {NULL, 0}, script = {NULL, 0};
    const struct blob *blobs[] = {&style, &script, &library};
    int status = 0;
    if (count != 4 && count != 6)
        return complain("usage", "embed OUT STYLE SCRIPT [LICENCE LIBRARY]");
    int good = add_file(&style, arguments[2]) && add_file(&script, arguments[3]);
    if (count == 6)
        good = good && add_text(&library, "/*\n") && add_file(&library, arguments[4]) && add_text(&library, "*/\n") &&
               add_file(&library, arguments[5]);
    else
        good = good && add_text(&library, "/* built without dagre */\n");
    if (good) {
        cut_source_map(&library);
        for (int i = 0; i < 3; i++) {
            /* Inside its element such text would end it, or begin another. */
            const char *text = (const char *)blobs[i]->bytes;
            if (memchr(text, 0, blobs[i]->size) || strstr(text, "</s") || strstr(text, "<!--") ||
                strstr(text, "<script"))
                status = complain(arguments[i < 2 ? i + 2 : count - 1], "holds what a page cannot hold");
        }
        FILE *out = fopen(arguments[1], "wb");
        if (out) {
            fputs("/* made by src/report/page/embed.c */\n", out);
            write_blob(out, "style", &style);
            write_blob(out, "library", &library);
            write_blob(out, "script", &script);
        }
        if (!out || ferror(out) || fclose(out) != 0)
            status = complain(arguments[1], "cannot be written");
    } else {
        status = complain("input", "cannot be read");
    }
    free(style.bytes);
    free(library.bytes);
    free(script.bytes);
    return status;
}
