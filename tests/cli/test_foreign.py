"""Files that people take for ONNX models are named, by every subcommand, with what to do."""
import bz2
import gzip
import io
import lzma
import pickle
import re
import struct
import subprocess
import tarfile
import zipfile

import numpy as np
import onnx
import onnx.printer
import pytest
from google.protobuf import text_format

from tests.support.tool import ROOT, TOOL

MODEL = (ROOT / "models" / "qarepvgg_block.onnx").read_bytes()


def zipped(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 64)
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"), io.BytesIO())
    return out.getvalue()


def saved(function, *arguments):
    out = io.BytesIO()
    function(out, *arguments)
    return out.getvalue()


def pickled(protocol):
    return pickle.dumps(119547037146038801333356, protocol) + pickle.dumps({"state_dict": [1.5] * 40}, protocol)


FILES = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1641540\n", "Git LFS pointer.*git lfs pull"),
    "html": (b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "HTML page.*download"),
    "html, small": (b"<html lang=en>", "HTML page"),
    "xml": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "XML file.*error page"),
    "json": (b'{"message": "Not Found"}', "JSON file"),
    "gzip": (gzip.compress(MODEL), "gzip archive.*gunzip"),
    "bzip2": (bz2.compress(MODEL), "bzip2 archive"),
    "xz": (lzma.compress(MODEL), "xz archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x10" + MODEL[:16], "Zstandard archive"),
    "tar": (tarred(), "tar archive"),
    "zip": (zipped("model.onnx"), "zip archive.*unzip"),
    "torch": (zipped("archive/data.pkl", "archive/data/0"), "PyTorch checkpoint.*torch.onnx.export"),
    "old torch": (pickled(2), "pickle.*torch.onnx.export"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "TFLite model.*tf2onnx"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(64), "ONNX Runtime's own format"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5.*tf2onnx"),
    "safetensors": (struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}      ' + bytes(4), "safetensors"),
    "npy": (saved(np.save, np.ones(4)), "NumPy array"),
    "npz": (saved(np.savez, np.ones(4)), "NumPy archive"),
    "onnx text": (onnx.printer.to_text(onnx.ModelProto.FromString(MODEL)).encode(), "ONNX in text form.*onnx.parser"),
    "protobuf text": (text_format.MessageToString(onnx.ModelProto.FromString(MODEL)).encode(), "ONNX in text form"),
    "empty": (b"", "is empty"),
}
COMMANDS = {"fuse": ["bad", "out"], "info": ["info", "bad"], "dump": ["dump", "bad"], "diff": ["diff", "bad", "good"],
            "verify": ["verify", "good", "bad"]}


def run(arguments, folder):
    return subprocess.run([TOOL, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_model_is_named(name, tmp_path):
    data, said = FILES[name]
    (tmp_path / "bad").write_bytes(data)
    (tmp_path / "good").write_bytes(MODEL)
    for arguments in COMMANDS.values():
        result = run(arguments, tmp_path)
        assert result.returncode == 2 and result.stderr.count("\n") == 1 and not result.stdout
        assert re.search(rf"^onnx-repvgg-fuse: bad: (not an ONNX model but .*)?{said}", result.stderr), result.stderr


def test_external_data_that_was_not_fetched(tmp_path):
    onnx.save(onnx.ModelProto.FromString(MODEL), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").write_bytes(FILES["lfs"][0])
    result = run(["m.onnx", "out"], tmp_path)
    assert result.returncode == 2 and re.search("external data 'm.data' is a Git LFS pointer, .*: run git lfs pull", result.stderr)


def test_a_model_is_what_it_reads_as(tmp_path):
    """The first bytes are asked only of what does not read: a doc string in front may say what it likes."""
    doc = b"<html>ir_version"
    (tmp_path / "bad").write_bytes(b"\x32" + bytes([len(doc)]) + doc + MODEL)
    assert run(["bad", "out"], tmp_path).returncode == 0


def test_damage_is_told_as_damage(tmp_path):
    (tmp_path / "bad").write_bytes(MODEL[:-10])
    assert "the file is cut short or is not an ONNX model" in run(["info", "bad"], tmp_path).stderr
