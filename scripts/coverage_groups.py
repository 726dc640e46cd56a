"""Lines and branches of gcovr's JSON summary, a file a line, then by groups."""
import json
import re
import sys

GROUPS = {
    "loader": r"src/(file|wire|load|graph|tensor|operator|shape|constant)\.c",
    "algebra": r"src/(affine\w*|lift\w*|lower|region)\.c",
    "emitter": r"src/(emit|edit|write)\.c",
    "passes": r"passes/\w+\.c",
    "everything": r".*",
}


def line(name, files):
    def part(kind):
        covered = sum(file[f"{kind}_covered"] for file in files)
        total = sum(file[f"{kind}_total"] for file in files)
        return f"{covered:6}/{total:<6}{100 * covered / total if total else 100:6.1f} %"
    print(f"{name:28} lines {part('line')}   branches {part('branch')}")


with open(sys.argv[1], encoding="utf-8") as stream:
    files = json.load(stream)["files"]
for file in files:
    line(file["filename"], [file])
print()
for group, pattern in GROUPS.items():
    line(group, [file for file in files if re.fullmatch(pattern, file["filename"])])
