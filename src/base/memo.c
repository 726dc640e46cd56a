/* base/memo.c: pages of a memo, made when they are asked for. */
#include "base/memo.h"

#include <string.h>

void memo_add_page(struct arena *arena, struct memo *memo, size_t size, size_t page)
{
    if (page >= memo->page_count) {
        size_t count = page + 1 > 2 * memo->page_count ? page + 1 : 2 * memo->page_count;
        char **pages = NEW_ARRAY(arena, char *, count);
        if (memo->page_count)
            memcpy(pages, memo->pages, memo->page_count * sizeof(*pages));
        memo->pages = pages;
        memo->page_count = count;
    }
    memo->pages[page] = arena_alloc(arena, MEMO_PAGE, size);
}
