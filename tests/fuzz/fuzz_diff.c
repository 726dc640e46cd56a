/* fuzz_diff.c: two models compared by diff, in every format. A model is the same as itself. */
#include "target.h"

#include "diff/json.h"
#include "diff/model.h"
#include "diff/text.h"
#include "report/page_diff.h"

static void differ(struct loaded *loaded, bool strict, bool page, bool same)
{
    struct diff_options options = {.strict = strict};
    struct diff_result result = {0};
    jmp_buf jump;
    loaded->landing.jump = &jump;
    if (setjmp(jump) != 0) {
        PROMISE(loaded->landing.status != ONNX_FUSE_OUT_OF_MEMORY, "%s", loaded->landing.message);
        return;
    }
    diff_models(&loaded->arena, &loaded->models[0], &loaded->models[1], &options, &result);
    /* The page last: most of it is the same for all, so only some have it. */
    PROMISE(diff_text(&loaded->arena, &result, &options, "a", "b"), "text");
    PROMISE(diff_json(&loaded->arena, &result, "a", "b"), "json");
    PROMISE(diff_github(&loaded->arena, &result, "a", "b"), "github");
    PROMISE(diff_sarif(&loaded->arena, &result, "a", "b"), "sarif");
    if (page)
        PROMISE(html_diff(&loaded->arena, &result, &options, &loaded->models[0], &loaded->models[1], "a", "b"), "html");
    PROMISE(!same || result.counted == 0, "a model differs from itself: %s",
            diff_text(&loaded->arena, &result, &options, "a", "b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pair pair = target_pair(data, size);
    struct loaded loaded;
    target_begin();
    /* Data that lies in files is not there to be compared, not even with itself. */
    if (target_load(&loaded, pair.data, pair.size, 2))
        differ(&loaded, size & 1, size % 8 < 2, pair.data[0] == pair.data[1] && !loaded.models[0].has_external);
    target_end("diff", pair.size[0] + pair.size[1]);
    target_close(&loaded);
    return 0;
}
