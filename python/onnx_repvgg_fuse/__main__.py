"""python -m onnx_repvgg_fuse: the command, if scripts are not on PATH."""
import os
import sys

from ._library import command_path

if __name__ == "__main__":
    command = os.fspath(command_path())
    os.execv(command, [command, *sys.argv[1:]])
