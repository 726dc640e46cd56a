/* base/memo.h: what somebody keeps of things that another has numbered from 0: an item each, zeros until it is
 * written. It grows by pages, so an item stays where it is. */
#ifndef BASE_MEMO_H
#define BASE_MEMO_H

#include "base/arena.h"

enum { MEMO_PAGE = 256 };

/* All zeros is an empty one. The pages belong to the arena it is given, always the same. */
struct memo {
    char **pages;
    size_t page_count;
};

void memo_add_page(struct arena *arena, struct memo *memo, size_t size, size_t page);

/* The item of this index, NULL where nothing on its page was ever asked for. `size` is that of an item. */
static inline void *memo_find(const struct memo *memo, size_t size, uint32_t index)
{
    size_t page = index / MEMO_PAGE;
    return page < memo->page_count && memo->pages[page] ? memo->pages[page] + index % MEMO_PAGE * size : NULL;
}

/* The item of this index. Lands as arena_alloc does. */
static inline void *memo_item(struct arena *arena, struct memo *memo, size_t size, uint32_t index)
{
    size_t page = index / MEMO_PAGE;
    if (page >= memo->page_count || !memo->pages[page])
        memo_add_page(arena, memo, size, page);
    return memo->pages[page] + index % MEMO_PAGE * size;
}

#endif
