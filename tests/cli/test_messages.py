"""What a person types in the first ten minutes, and what the command answers: messages.txt, read as a whole.

`pytest tests/cli/test_messages.py --bless` writes it anew: read the difference as that person would.
"""
import os
import re
import shlex
import shutil
import subprocess

import onnx
import pytest

from tests.cli.test_foreign import FILES
from tests.support.tool import ROOT, TOOL

TABLE = ROOT / "tests" / "cli" / "messages.txt"
LINES_MOST = 3  # of standard output: the rest is for the tests of each subcommand
FOREIGN = ["lfs", "html", "xml", "json", "gzip", "zip", "torch", "old torch", "tflite", "keras", "safetensors", "npz", "onnx text", "empty"]


def prepare(folder):
    shutil.copy(ROOT / "models" / "acnet_block.onnx", folder / "net.onnx")
    shutil.copy(ROOT / "models" / "dbb_block.onnx", folder / "other.onnx")
    for name in FOREIGN:
        (folder / f"{name.replace(' ', '-')}.onnx").write_bytes(FILES[name][0])
    model = onnx.load(folder / "net.onnx")
    for node in model.graph.node:
        node.name += ".renamed"
    onnx.save(model, folder / "renamed.onnx")
    model.opset_import[0].version = 6
    onnx.save(model, folder / "old.onnx")
    (folder / "broken.onnx").write_bytes((folder / "net.onnx").read_bytes()[:-100])
    (folder / "empty").mkdir()
    (folder / "locked.onnx").symlink_to("/nowhere")


def in_words_of_glibc(text):
    """An option that getopt refuses is told in the words of the C library: here, those of musl."""
    text = re.sub(r"unrecognized option: (.)$", r"invalid option -- '\1'", text, flags=re.M)
    text = re.sub(r"unrecognized option: (..+)$", r"unrecognized option '--\1'", text, flags=re.M)
    return re.sub(r"option requires an argument: (.+)$", r"option '--\1' requires an argument", text, flags=re.M)


def answer(command, folder):
    """The command line, its exit status, what it prints."""
    words = shlex.split(command)
    assert words[0] == "onnx-repvgg-fuse"
    environment = {k: v for k, v in os.environ.items() if k not in ("LANG", "LANGUAGE")} | {"LC_ALL": "C"}
    done = subprocess.run([TOOL, *words[1:]], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    printed = done.stdout.splitlines()
    shown = printed[:LINES_MOST] + (["..."] if len(printed) > LINES_MOST else [])
    text = "\n".join([f"$ {command}", *shown, *done.stderr.splitlines(), f"[{done.returncode}]"])
    text = in_words_of_glibc(text)
    return re.sub(r"\b\d+\.\d{3} s\b", "0.000 s", text)


def test_the_table_of_messages(tmp_path, request):
    """In the order of the file: later lines may use what earlier ones wrote."""
    prepare(tmp_path)
    kept = TABLE.read_text()
    comments, *entries = re.split(r"^(?=\$ )", kept, flags=re.M)
    commands = [entry.splitlines()[0][2:] for entry in entries]
    assert len(commands) >= 40 + len(FOREIGN)
    assert {f"onnx-repvgg-fuse {name.replace(' ', '-')}.onnx out.onnx" for name in FOREIGN} <= set(commands)
    found = comments + "\n\n".join(answer(command, tmp_path) for command in commands) + "\n"
    if request.config.option.bless:
        TABLE.write_text(found)
        return
    assert found == kept


@pytest.mark.parametrize("word", ["wire type", "protobuf", "tells", "of which"])
def test_a_message_has_no_word_that_a_user_cannot_know(word):
    assert word not in TABLE.read_text()
