"""fuse_many, and progress for tqdm."""
import pathlib

import pytest

from onnx_repvgg_fuse import FileError, ModelError, OptionError, Result, bar, fuse, fuse_many
from tests.python.conftest import MODELS


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store" / "deep").mkdir(parents=True)
    for name, place in (("acnet_block", "a.onnx"), ("if_body", "deep/b.onnx")):
        (tmp_path / "store" / place).write_bytes((MODELS / f"{name}.onnx").read_bytes())
    (tmp_path / "store" / "bad.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "store" / "notes.txt").write_text("no model")
    return tmp_path / "store"


def test_a_folder_keeps_its_shape(store, tmp_path):
    out = tmp_path / "out"
    done = fuse_many(store, out)
    assert [str(path.relative_to(store)) for path in done] == ["a.onnx", "bad.onnx", "deep/b.onnx"]
    assert isinstance(done[store / "bad.onnx"], ModelError) and "git lfs pull" in str(done[store / "bad.onnx"])
    for place in ("a.onnx", "deep/b.onnx"):
        result = done[store / place]
        assert isinstance(result, Result) and result.report.changed and result.model == out / place
        assert result.model.read_bytes() == fuse((store / place).read_bytes()).model
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.onnx")) == ["a.onnx", "deep/b.onnx"]


def test_twice_does_the_same_as_once(store):
    first, second = (fuse_many(store, store / "out", jobs=2) for _ in range(2))
    assert list(first) == list(second) and len(first) == 3
    again = fuse_many(store / "out", store / "out")
    assert len(again) == 2 and not any(result.report.changed for result in again.values())


def test_what_would_get_lost(store, tmp_path):
    with pytest.raises(OptionError, match="would both become"):
        fuse_many([store / "a.onnx", MODELS / "if_body.onnx", store / "deep" / ".." / "a.onnx"], tmp_path / "out")
    with pytest.raises(OptionError, match="one of the models itself"):
        fuse_many([store / "a.onnx", store / "deep" / "a.onnx"], store / "deep")
    with pytest.raises(OptionError, match="max_growth"):
        fuse_many(store, tmp_path / "out", max_growth=0)
    assert isinstance(fuse_many(store / "absent.onnx", tmp_path / "out")[store / "absent.onnx"], FileError)


def test_progress_of_many(store, tmp_path):
    seen = []

    def wrap(iterable, total):
        for item in iterable:
            seen.append(total)
            yield item

    assert len(fuse_many(store, tmp_path / "out", progress=wrap)) == 3 and seen == [3, 3, 3]


class Drawn:
    def __init__(self, total, **more):
        self.total, self.n, self.shown, self.closed = total, 0, [], 0
        Drawn.last = self

    def set_description(self, text, refresh):
        self.text = text

    def refresh(self):
        self.shown.append((self.text, self.n))

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("progress", [bar(Drawn), Drawn], ids=["bar", "class"])
def test_bar(small, tmp_path, progress):
    fuse(small, tmp_path / "o.onnx", progress=progress)
    drawn = Drawn.last
    assert drawn.closed == 1 and drawn.shown[-1] == ("finishing", 1.0) and drawn.total == 1.0
    assert all(0 <= fraction <= 1 for _, fraction in drawn.shown)
    assert {"reading", "planning"} <= {step for step, _ in drawn.shown}


def test_tqdm_takes_both(small, tmp_path, capsys):
    tqdm = pytest.importorskip("tqdm").tqdm
    fuse(small, tmp_path / "o.onnx", progress=bar(tqdm))
    assert "finishing" in capsys.readouterr().err
    assert len(fuse_many([pathlib.Path(small)], tmp_path / "out", progress=tqdm)) == 1
