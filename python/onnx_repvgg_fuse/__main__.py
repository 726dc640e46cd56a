"""python -m onnx_repvgg_fuse: the command, if scripts are not on PATH."""
import os
import subprocess
import sys

from ._library import command_path

if __name__ == "__main__":
    command = os.fspath(command_path())
    if os.name == "nt":  # where execv would not wait for the end
        sys.exit(subprocess.call([command, *sys.argv[1:]]))
    os.execv(command, [command, *sys.argv[1:]])
