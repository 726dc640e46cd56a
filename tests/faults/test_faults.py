"""Every system call made to fail, one after another; kills; files that change. OUT is old or new, and nothing is left.

FAULTS=all tries every kind of failure in every scene; without it a part of them is tried.
"""
import errno
import os

import onnx
import pytest

from tests.faults.harness import (BROKEN, EVERYTHING, FULL, HARMLESS, KINDS, TEMPORARY, Scene, fuse_scenes, save_counts, state, was_killed)

SCENES = {scene.name: scene for scene in fuse_scenes()}
PART = ["replace", "external data", "external data, with names and walks", "no room set aside", "streams"]
CHOSEN = list(SCENES) if EVERYTHING else PART
MOST = 400  # calls of one kind in a run of these models


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("call", KINDS)
def test_each_call_fails_once(name, call, shim, folder):
    scene = SCENES[name]
    scene.learn(folder, shim)
    kinds = KINDS[call] if EVERYTHING else KINDS[call][:1] + [k for k in KINDS[call][1:] if (call, k) in HARMLESS]
    tried = 0
    for kind in kinds:
        for at in range(1, MOST):
            scene.prepare(folder)
            result, struck = scene.run(folder, shim, call, at, kind)
            if not struck:
                scene.judge(folder, result, "no fault", must_work=True)
                break
            scene.judge(folder, result, f"{call} {at} fails with {kind}", must_work=(call, kind) in HARMLESS)
            tried += 1
        else:
            pytest.fail(f"{call} never ran out")
    save_counts(f"{call} fails", {"scene": name, "tried": tried})


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("moment", ["before", "after"] if EVERYTHING else ["after"])
def test_killed_at_every_call(name, moment, shim, folder):
    """The next run works, and removes what the killed one left."""
    scene = SCENES[name]
    scene.learn(folder, shim)
    batch = "--batch" in scene.arguments
    tried = 0
    for at in range(1, MOST):
        scene.prepare(folder)
        result, struck = scene.run(folder, shim, "*", at, moment)
        if not struck:
            scene.judge(folder, result, "not killed", must_work=True)
            break
        assert was_killed(result), result
        what = f"{name}: killed {moment} call {at}"
        after = state(folder)
        main = [n for n in scene.outputs if n.endswith(".onnx")]
        for output in main:
            assert after.get(output) in (scene.before.get(output), scene.new[output]), f"{what}: {output} is neither old nor new"
        left = set(after) - set(scene.before) - set(scene.outputs)
        assert all(TEMPORARY in n for n in left), f"{what}: {left}"
        assert len(left) <= (1 if batch else 2), f"{what}: {left}"
        for output in set(scene.outputs) - set(main):  # a data file is whole, whether or not a model uses it
            assert output not in after or after[output][0] == scene.new[output][0], f"{what}: {output}"
        again, _ = scene.run(folder, shim, "none", 0, "0")
        assert again.returncode == 0, f"{what}: the next run: {again.stderr}"
        after = state(folder)
        assert not [n for n in after if TEMPORARY in n], f"{what}: not removed: {sorted(after)}"
        for output in main:
            if not scene.external:
                assert after[output] == scene.new[output], what
            else:
                onnx.checker.check_model(str(folder / output))
                onnx.load(folder / output)
        tried += 1
    else:
        pytest.fail("the calls never ran out")
    save_counts(f"killed {moment} a call", {"scene": name, "tried": tried})


@pytest.mark.parametrize("name", ["replace", "external data"] + (["batch", "in place"] if EVERYTHING else []))
@pytest.mark.parametrize("kind", ["cut", "touch"])
@pytest.mark.parametrize("which", ["in/m.onnx", "in/m.data"])
def test_a_file_changes_while_it_is_read(name, kind, which, shim, folder):
    """It gets shorter, or is written to, after each call of the run: an error or a whole result, never a signal."""
    scene = SCENES[name]
    if which.endswith(".data") != scene.external and which.endswith(".data"):
        pytest.skip("the scene has no data file")
    scene.learn(folder, shim)
    step = 1 if EVERYTHING else 3
    tried = errors = 0
    for at in range(1, MOST, step):
        scene.prepare(folder)
        result, struck = scene.run(folder, shim, "*", at, kind, file=folder / which)
        what = f"{name}: {kind} of {which} after call {at}: exit {result.returncode}, {result.stderr!r}"
        assert result.returncode in (0, 2), what
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, what
        after = state(folder)
        assert not [n for n in after if TEMPORARY in n], what
        changed = {which} if struck else set()
        for output in set(scene.outputs) - changed:
            if result.returncode == 2 and "batch" not in name:
                assert after.get(output) == scene.before.get(output), what
        if result.returncode == 2:
            errors += 1
            assert result.stderr.startswith("onnx-repvgg-fuse: ") and result.stderr.count("\n") == 1, what
        elif which not in scene.outputs:
            # Either it changed too late to matter, or before it was read.
            same = all(after[output] == scene.new[output] for output in scene.outputs)
            if not same and struck:
                late, _ = scene.run(folder, shim, "none", 0, "0")
                assert late.returncode == 0, what
                again = state(folder)
                assert all(again[o][0] == after[o][0] for o in scene.outputs if o.endswith(".onnx") and not scene.external), what
        if not struck:
            break
        tried += 1
    else:
        pytest.fail("the calls never ran out")
    assert errors, "no change was noticed"
    save_counts(f"a file {'gets shorter' if kind == 'cut' else 'is written to'} after a call",
                {"scene": name, "which": which, "tried": tried})


@pytest.mark.parametrize("command", [["info", "in/m.onnx"], ["dump", "in/m.onnx"], ["diff", "in/m.onnx", "in/n.onnx"],
                                     ["verify", "in/m.onnx", "in/n.onnx"]], ids=lambda c: c[0])
def test_commands_that_read(command, shim, folder):
    scene = Scene(command[0], command, [], options=())
    tried = 0
    faults = [("open", BROKEN), ("mmap", str(errno.ENOMEM)), ("read", BROKEN), ("write", FULL), ("stat", BROKEN), ("*", "cut")]
    for call, kind in faults:
        for at in range(1, MOST):
            scene.prepare(folder)
            (folder / "in" / "n.onnx").write_bytes((folder / "in" / "m.onnx").read_bytes())
            result, struck = scene.run(folder, shim, call, at, kind, folder / "in" / "m.onnx" if kind == "cut" else None)
            what = f"{command[0]}: {call} {at} {kind}: exit {result.returncode}, {result.stderr!r}"
            assert result.returncode in (0, 2), what
            assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, what
            if result.returncode == 2:
                assert result.stderr.startswith("onnx-repvgg-fuse: ") and result.stderr.count("\n") == 1, what
            if not struck:
                assert result.returncode == 0, what
                break
            tried += 1
        else:
            pytest.fail(f"{call} never ran out")
    save_counts(f"{command[0]}: a call fails, the file gets shorter", {"scene": command[0], "tried": tried})
