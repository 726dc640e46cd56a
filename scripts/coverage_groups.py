"""Lines and branches of gcovr's JSON summary, a file a line, then by groups. Fails when a group's branches are below the floor.

usage: coverage_groups.py [--groups] [--floor PERCENT] SUMMARY
"""
import argparse
import json
import re
import sys

# The groups with a floor first.
GROUPS = {
    "loader": r"src/(io/(file|open_posix)|model/(wire|load|external|graph|tensor\w*|operator\w*))\.c",
    "algebra": r"src/(affine/\w+|infer/operand|fuse/(step|extent|channel|product|border|lift|trace|lower\w*|region))\.c",
    "emitter": r"src/(write/\w+|model/edit)\.c",
    "inference": r"src/infer/(constant|window|learn|axes|shape|call)\.c",
    "passes": r"passes/\w+\.c",
    "everything": r".*",
}
HELD = list(GROUPS)[:3]


def percent(kind, files):
    total = sum(file[f"{kind}_total"] for file in files)
    return 100 * sum(file[f"{kind}_covered"] for file in files) / total if total else 100


def line(name, files):
    def part(kind):
        covered = sum(file[f"{kind}_covered"] for file in files)
        total = sum(file[f"{kind}_total"] for file in files)
        return f"{covered:6}/{total:<6}{percent(kind, files):6.1f} %"
    print(f"{name:28} lines {part('line')}   branches {part('branch')}")


parser = argparse.ArgumentParser()
parser.add_argument("--groups", action="store_true", help="the groups only")
parser.add_argument("--floor", type=float, default=0)
parser.add_argument("summary")
arguments = parser.parse_args()
with open(arguments.summary, encoding="utf-8") as stream:
    files = json.load(stream)["files"]
if not arguments.groups:
    for file in files:
        line(file["filename"], [file])
    print()
low = []
for group, pattern in GROUPS.items():
    members = [file for file in files if re.fullmatch(pattern, file["filename"])]
    line(group, members)
    if group in HELD and percent("branch", members) < arguments.floor:
        low.append(group)
if low:
    sys.exit(f"branches below {arguments.floor:g} %: {', '.join(low)}")
