#!/usr/bin/env python3
"""The folders of src/, and passes/, against the table of src/LAYERS: what each uses, by its includes and by the
symbols of the objects just built. A file that the table does not call native is plain C11. Writes TAP.

usage: check_layers.py SOURCE_ROOT BUILD LAYERS [--nm NM] [--plant]

--plant: a forbidden include, a header of the system, a prototype copied by hand and a circle are planted in a copy,
one after the other, and each must be found.
"""
import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path


# With getopt.h, which every C library that the command is built with has, and what comes with compilers.
PLAIN = {f"{name}.h" for name in (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype "
    "getopt cpuid sanitizer/asan_interface").split()}


def read_layers(path):
    """folder -> the folders it may use, the native files, faults. What a line names must stand above it, so the table
    holds no circle."""
    layers, native, faults = {}, set(), []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("native "):
            native |= set(line.split()[1:])
            continue
        name, _, uses = line.partition(":")
        for use in uses.split():
            if use not in layers:
                faults.append(f"{path}: {name} uses {use}, which does not stand below it")
        layers[name] = set(uses.split()) | {name}
    return layers, native, faults


def sources_of(root):
    """name as an include would have it -> file"""
    files = {}
    for top, base in ((root / "src", root / "src"), (root / "passes", root)):
        for file in sorted(top.rglob("*.[ch]")):
            files[file.relative_to(base).as_posix()] = file
    return files


def folder_of(name):
    return name.split("/")[0] if "/" in name else ""


def include_arrows(files):
    for name, file in files.items():
        for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(encoding="utf-8"), re.M):
            if target in files:
                yield name, target, f"includes {target}"
            elif (file.parent / target).exists():
                yield name, None, f'includes "{target}": expected the folder in front'


def native_faults(files, native):
    """What C11 does not have, in files that are not said to be native, and files that are said to be and are not."""
    for name, file in files.items():
        text = file.read_text(encoding="utf-8")
        found = [f"includes <{header}>" for header in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M)
                 if header not in PLAIN]
        found += [f"defines {macro}" for macro in re.findall(r"^\s*#\s*define\s+(_[A-Z]\w*_SOURCE)\b", text, re.M)]
        found += [f"uses {word}" for word in sorted(set(re.findall(r"\b(?:PATH_MAX|NAME_MAX|ssize_t|off_t)\b", text)))]
        if found and name not in native:
            yield f"{name} {', '.join(found)}, and is not a native file"
        elif not found and name in native:
            yield f"{name} is said to be native, and is plain C"
    yield from (f"{name} is said to be native, and is not there" for name in sorted(native - set(files)))


def objects_of(build, files):
    """name of a .c -> its object in the library or the command"""
    named = {file.resolve(): name for name, file in files.items()}
    objects = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        folder = Path(entry["directory"])
        output = folder / entry["output"]
        name = named.get((folder / entry["file"]).resolve())
        if name and "test" not in entry["output"].split("/")[0] and output.exists():
            objects[name] = output
    return objects


def symbol_arrows(objects, nm):
    defined, wanted = {}, defaultdict(set)
    named = {str(path): name for name, path in objects.items()}
    listed = subprocess.run([nm, "-P", "-A", *named], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        path, _, rest = line.rpartition(": ")
        symbol, kind = rest.split()[:2]
        if kind in "TDBRWVCi":
            defined.setdefault(symbol, named[path])
        elif kind == "U":
            wanted[named[path]].add(symbol)
    for name in sorted(wanted):
        for symbol in sorted(wanted[name]):
            if symbol in defined and defined[symbol] != name:
                yield name, defined[symbol], f"needs {symbol} of {defined[symbol]}"


def circles(arrows):
    after, found, done = defaultdict(set), [], set()
    for source, target in arrows:
        after[source].add(target)

    def visit(name, way):
        if name in way:
            found.append(" -> ".join(way[way.index(name):] + [name]))
        elif name not in done:
            for target in sorted(after[name]):
                visit(target, way + [name])
            done.add(name)

    for name in sorted(after):
        visit(name, [])
    return found


def faults_of(root, build, table, nm, other=None):
    """other: objects that stand for those of the build"""
    layers, native, faults = read_layers(table)
    files = sources_of(root)
    faults += native_faults(files, native)
    objects = objects_of(build, sources_of(Path(build_root(build, root))))
    objects.update(other or {})
    arrows = []
    for source, target, text in [*include_arrows(files), *symbol_arrows(objects, nm)]:
        if target is None:
            faults.append(f"{source} {text}")
            continue
        arrows.append((source, target))
        if folder_of(source) not in layers:
            if folder_of(source):
                faults.append(f"{source}: its folder is not in {table}")
        elif folder_of(target) and folder_of(target) not in layers[folder_of(source)]:
            faults.append(f"{source} {text}, and {folder_of(source)} may not use {folder_of(target)}")
    faults += [f"a circle: {circle}" for circle in circles(arrows)]
    missing = [name for name in files
               if name.endswith(".c") and name not in objects and name.count("/") == 1 and not is_variant(name)]
    faults += [f"{name}: not built, so its symbols were not seen" for name in missing]
    return faults


def is_variant(name):
    """One of several files for one purpose, of which a build takes one: sandbox_linux.c, sandbox_none.c."""
    return name[:-2].endswith(("_posix", "_linux", "_windows", "_plain", "_none"))


def build_root(build, root):
    """Where the sources were that the objects were built of."""
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    for entry in entries:
        path = (Path(entry["directory"]) / entry["file"]).resolve().as_posix()
        if path.endswith("/src/base/text.c"):
            return path[:-len("/src/base/text.c")]
    return root


def compile_text(build, source, output):
    """source compiled as base/text.c was"""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        if entry["file"].endswith("src/base/text.c"):
            words = shlex.split(entry["command"])
            kept = [w for w in words[:words.index("-o")] if not w.startswith("-M") and not w.endswith((".d", ".o"))]
            subprocess.run([*kept, "-o", str(output), "-c", str(source)], check=True, cwd=entry["directory"])
            return
    sys.exit("base/text.c is not in compile_commands.json")


def planted(root, build, table, nm):
    """name, whether it was found, what was found"""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "tree"

        def fresh():
            shutil.rmtree(copy, ignore_errors=True)
            for top in ("src", "passes"):
                shutil.copytree(root / top, copy / top)

        fresh()
        with open(copy / "src/base/text.c", "a", encoding="utf-8") as stream:
            stream.write('#include "fuse/plan.h"\n')
        faults = faults_of(copy, build, table, nm)
        yield "a forbidden include", any("base/text.c includes fuse/plan.h" in f for f in faults), faults

        fresh()
        with open(copy / "src/base/text.c", "a", encoding="utf-8") as stream:
            stream.write("#include <unistd.h>\n")
        faults = faults_of(copy, build, table, nm)
        yield "a header of the system", any("base/text.c includes <unistd.h>" in f for f in faults), faults

        fresh()
        source, output = Path(scratch) / "planted.c", Path(scratch) / "planted.o"
        source.write_text("int lower(int);\nint planted(int);\nint planted(int x)\n{\n    return lower(x);\n}\n", encoding="utf-8")
        compile_text(build, source, output)
        faults = faults_of(copy, build, table, nm, {"base/planted.c": output})
        yield "a prototype copied by hand", any("needs lower of fuse/lower.c" in f for f in faults), faults

        fresh()
        text = (copy / "src/model/tensor.h").read_text(encoding="utf-8")
        (copy / "src/model/tensor.h").write_text(text.replace("#endif", '#include "model/graph.h"\n#endif'), encoding="utf-8")
        faults = faults_of(copy, build, table, nm)
        yield "a circle", any("a circle" in f and "model/tensor.h" in f for f in faults), faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source_root", type=Path)
    parser.add_argument("build", type=Path)
    parser.add_argument("layers")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--plant", action="store_true")
    arguments = parser.parse_args()
    root, build = arguments.source_root.resolve(), arguments.build.resolve()
    if arguments.plant:
        results = [(name, found, faults) for name, found, faults in planted(root, build, arguments.layers, arguments.nm)]
    else:
        faults = faults_of(root, build, arguments.layers, arguments.nm)
        results = [("no folder uses what stands above it, no files go in a circle, and the rest is plain C11", not faults, faults)]
    print(f"1..{len(results)}")
    for number, (name, good, faults) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
        if not good:
            for fault in faults or ["nothing was found"]:
                print(f"# {fault}")
    sys.exit(0 if all(good for _, good, _ in results) else 1)


if __name__ == "__main__":
    main()
