#!/usr/bin/env python3
"""Pack and unpack the kept corpus: models/ for the targets that read one model, pairs/ for diff and verify.

usage: python tests/fuzz/pack.py pack FOLDER ARCHIVE | unpack ARCHIVE FOLDER
"""
import io
import pathlib
import sys
import tarfile

KINDS = ["models", "pairs"]


def pack(folder, archive):
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in sorted(p for kind in KINDS for p in (folder / kind).iterdir()):
            data = path.read_bytes()
            info = tarfile.TarInfo(str(path.relative_to(folder)))  # no time, no owner: the same bytes each time
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        for member in tar:
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(member).read())


def main():
    action, source, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    {"pack": pack, "unpack": unpack}[action](source, target)


if __name__ == "__main__":
    main()
