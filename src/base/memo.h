/* base/memo.h: an item for each index from 0, zero until it is written. It grows by pages, so an item never moves. */
#ifndef BASE_MEMO_H
#define BASE_MEMO_H

#include "base/arena.h"

enum { MEMO_PAGE = 256 };

/* All zeros is an empty memo. The pages belong to the given arena, which must always be the same. */
struct memo {
    char **pages;
    size_t page_count;
};

void memo_add_page(struct arena *arena, struct memo *memo, size_t size, size_t page);

/* The item of this index, or NULL if its page does not exist yet. `size` is the size of an item. */
static inline void *memo_find(const struct memo *memo, size_t size, uint32_t index)
{
    size_t page = index / MEMO_PAGE;
    return page < memo->page_count && memo->pages[page] ? memo->pages[page] + index % MEMO_PAGE * size : NULL;
}

/* The item of this index. Lands like arena_alloc. */
static inline void *memo_item(struct arena *arena, struct memo *memo, size_t size, uint32_t index)
{
    size_t page = index / MEMO_PAGE;
    if (page >= memo->page_count || !memo->pages[page])
        memo_add_page(arena, memo, size, page);
    return memo->pages[page] + index % MEMO_PAGE * size;
}

#endif
