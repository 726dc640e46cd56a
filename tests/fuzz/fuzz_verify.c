/* fuzz_verify.c: two models compared by verify. A model is never different from itself. */
#include "target.h"

#include "verify/report.h"

static void verify(struct loaded *loaded, struct arena *scratch, bool same)
{
    struct verify_options options = {.trials = 2, .layers = true};
    struct verify_result result = {0};
    jmp_buf jump;
    loaded->landing.jump = &jump;
    if (setjmp(jump) != 0) {
        PROMISE(loaded->landing.status != ONNX_FUSE_OUT_OF_MEMORY, "%s", loaded->landing.message);
        return;
    }
    verify_models(&loaded->arena, scratch, &loaded->models[0], &loaded->models[1], &options, &result);
    verify_text(&loaded->arena, &result, &options, "a", "b");
    verify_json(&loaded->arena, &result, &options, "a", "b");
    PROMISE(!same || result.verdict != VERDICT_DIFFERENT, "a model differs from itself: %s", result.reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pair pair = target_pair(data, size);
    struct loaded loaded;
    struct arena scratch[VERIFY_ARENAS];
    target_begin();
    bool good = target_load(&loaded, pair.data, pair.size, 2);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_init(&scratch[i], &loaded.landing);
    if (good)
        verify(&loaded, scratch, pair.data[0] == pair.data[1]);
    target_end("verify", pair.size[0] + pair.size[1]);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_free(&scratch[i]);
    target_close(&loaded);
    return 0;
}
