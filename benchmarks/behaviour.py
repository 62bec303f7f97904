"""Records what kadr says to the outside, and compares two records.

Usage: python benchmarks/behaviour.py record OUT.json [--archive FOLDER] [--kadr COMMAND]
       python benchmarks/behaviour.py compare BEFORE.json AFTER.json

For changes of the code that must change nothing else. `record` draws photos, runs every command of
the command line over them, asks the service, and keeps answers, messages, exit codes and files; it
fails where a command is forgotten. COMMAND is how kadr is run, such as "python -m kadr"; PYTHONPATH
chooses the checkout, as nothing of kadr is imported here. What differs from run to run (paths of
the run, moments, durations, ports, random keys and ids) gets a name in capitals; figures have 6
significant digits. `compare` prints each difference, and exits 1 where there is any.
"""

import argparse
import csv
import difflib
import functools
import hashlib
import http.server
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from PIL import Image, ImageDraw

Json: TypeAlias = Any
API = "/api/v1"
EPOCH = 1_709_290_800
"""When the first drawn photo was last changed, in seconds."""
PATIENCE = 120.0
"""Seconds that a service or a followed folder gets."""
ORDERED = (["review", "appeal"], ["review", "import"])
"""What is ordered by seconds; each gets a second of its own."""
JOBS = 2
"""Commands side by side, where they don't need each other."""
SHOWN = 12
"""Differences of one name that are printed."""

RULES = """
[disclaimers]
en = "This image is unavailable in your country"
de = "Dieses Bild ist in Ihrem Land nicht verfügbar"

[policies.strict]
extends = "under-16"
hide = 0.7
review = 0.1
logs_queries = true

[policies.brief]
extends = "under-16"
vocabulary = "brief"
refuses_queries = false
review = 0.6

[policies.open]
age = 16
hides_children = false

[countries]
DE = "strict"
FR = "brief"
RU = "under-16"
US = "open"
"""

# What is run. One command a line; `<<< "text"` is its stdin, `=> FILE FILE` are files to keep.

WRONG_USE = """

--version
unknown
index
index nowhere
index photos/notes.txt
search dog
search
search dog --unknown
search dog -n 0
similar
similar photos/nowhere.jpg
duplicates
library
library problems --json
serve
serve --port 99999
serve --library l.kadr --rate often --uploads up --port 0
serve --library l.kadr --host 0.0.0.0 --uploads up --port 0
serve --library l.kadr --proxy somewhere --uploads up --port 0
audit
audit verify
audit show --library nowhere.kadr
review --json --library nowhere.kadr
review stats --policy unknown
keys
keys add
keys add --name family --scope everything
data
data check nowhere
data judges nowhere
data fetch photos
train nowhere --out model
train drawn --out pairs.csv
train drawn --out model --classifier unknown
evaluate drawn --comparison nowhere
evaluate nowhere --json -
compare nowhere --out comparison
score nowhere.csv --images photos --out scores.csv
score notpairs.csv --images photos --out scores.csv
demo --out photos --offline
"""

DATA = """
data generate drawn --images 40 --seed 3
data generate drawn --images 40 --seed 3
data generate other --images 12
data generate few --images 2
data check drawn
data check drawn --json
data judges drawn
data judges drawn --json
"""

BROKEN_DATA = """
data check broken
data check broken --json --max-broken 0.9
data check broken --max-broken 0.9 --show 1
data judges broken --max-broken 0.9 --json
train broken --out model --max-broken 0.9 --alignment fitted
evaluate broken --json - --no-cross-validate
compare broken --out nothing --max-broken 0
train drawn --out nothing --text-encoder unknown
train drawn --out nothing --experts dawid-skene
evaluate drawn --model nowhere
"""

INDEX = """
index photos
index photos
index photos --json
index --json
index --json --retry
index photos --json --library law.kadr --policy under-16
index --json --library law.kadr --policy rules.toml --country de
index --json --library law.kadr --policy rules.toml --country XX
index --json --library law.kadr --policy rules.toml --country US
index --json --library law.kadr --policy under-16
index --library law.kadr --policy broken.toml
index --library law.kadr --policy faces.toml
index --library law.kadr --policy nowhere.toml
index photos/scenes --json --library some.kadr
index photos/formats photos/школа --json --library some.kadr
index --json --library some.kadr --model nowhere
search a tree --at-least 0.00001 --copy-to copied -n 3 => copied
search a tree --at-least 0.00001 --copy-to copied -n 3 => copied
"""

SEARCH = """
search a dog near a tree
search a dog near a tree --json
search a dog near a tree --json -n 3
search a dog near a tree --json -n 3 --page 2
search a dog near a tree -n 3 --page 3
search a dog near a tree --page 99
search "красная машина на улице" --json --language ru
search "красная машина на улице" --language ru
search a red car --at-least 0.0001 --json
search a red car --at-least 0.0001 -n 4
search a red car --at-least 0.9
search a red car --at-least 2
search a red car --at-least 0.001 --paths0
search a red car --json --paths0
search a red car on a road --explain -n 3
search a red car on a road --explain -n 2 --json
search photos/beach.jpg --json
search ./photos/beach.jpg -n 3
search ./photos/nowhere.jpg
search ./photos/broken.jpg
search "dog on grass + 0.5:./photos/beach.jpg - leash" --json -n 5
search "dog on grass" + 0.5:photos/street.png - leash -n 5 --explain
search "2:snow + \\"a man\\" - 0.3:tree" --json -n 4
search "- leash"
search "dog +"
search ""
search a tree --after 2023 --json
search a tree --before 2022 --json
search a tree --after 2023-07 --before 2023-07-15 --json
search a tree --after yesterday
search a tree --in photos/formats --json
search a tree --in nowhere
search a tree --camera canon --json
search a tree --camera leica --json
search a tree --near 55.75,37.62,5 --json
search a tree --near -33.86,151.2,300 --json
search a tree --near here
search a tree --kind png --json
search a tree --kind avif --json
search a tree --kind txt
search a tree --min-size 1024 --json
search a tree --min-size 700x500 --json
search a tree --min-size big
search a tree --sheet sheet.html -n 4 => sheet.html
search a tree --sheet sheet.png -n 4 --at-least 0.0001 => sheet.png
search a tree --sheet sheet.jpg -n 4 --language ru --explain => sheet.jpg
search a tree --sheet sheet.txt
search a tree --preview -n 2
search a tree --open -n 2
search a tree --at-least 0.00001 --open -n 2
search --queries queries.txt
search --queries queries.txt --json -n 2
search --queries queries.txt --paths0 --at-least 0.00001 -n 2
search --queries - --json -n 1 <<< "a cat\\n\\nснег\\n"
search --queries - <<< ""
search --queries queries.txt --sheet sheet.html
search --queries nowhere.txt
search dog --queries queries.txt
search a dog --model nowhere
search a dog --library some.kadr --json -n 3
search a dog --library nowhere.kadr
similar photos/beach.jpg
similar photos/beach.jpg --json -n 4
similar photos/beach.jpg --json -n 4 --page 2
similar photos/scenes/00.jpg --json -n 3
similar photos/formats/field.webp --json --kind jpeg --min-size 300 -n 3
similar photos/beach.jpg --paths0 -n 2
similar photos/beach.jpg --after 2023 --before 2030 --in photos --camera nikon --json
similar photos/beach.jpg --near 55.75,37.62,500 --json
similar photos/beach.jpg --sheet similar.html -n 3 --language ru => similar.html
similar photos/beach.jpg --preview -n 1
similar drawn/test_images/scene_000003.jpg --json -n 3
similar photos/broken.jpg
similar photos/notes.txt
duplicates
duplicates --json
duplicates --paths0
duplicates --json --paths0
duplicates --library some.kadr --json
"""

LAW = """
search a little girl --library law.kadr --policy under-16
search a little girl --library law.kadr --policy under-16 --json
search "маленькая девочка" --library law.kadr --policy under-16 --language ru --json
search a tree --library law.kadr --policy under-16 --json -n 5
search a tree --library law.kadr --policy under-16 -n 5
search a tree --library law.kadr --policy under-16 --kind jpeg --json -n 5
search a little girl --library law.kadr --policy none --json -n 3
search a kid --library law.kadr --policy rules.toml --country DE --json -n 3
search a kid --library law.kadr --policy rules.toml --country FR --json -n 3
search a kid --library law.kadr --policy rules.toml --country US --json -n 3
search a kid --library law.kadr --policy rules.toml --country ZZ --json -n 3
search a kid --library law.kadr --policy rules.toml --json -n 3
search a kid --policy rules.toml --country DE --library law.kadr --queries -
search --queries queries.txt --library law.kadr --policy under-16 --json -n 2
search photos/beach.jpg --library law.kadr --policy under-16 --json -n 3
search a tree --library law.kadr --policy under-16 --sheet law.html -n 4 => law.html
search a tree --library law.kadr --policy unknown
similar photos/beach.jpg --library law.kadr --policy under-16 --json -n 3
similar photos/beach.jpg --library law.kadr --policy rules.toml --country FR --json -n 3
duplicates --library law.kadr --policy under-16 --json
duplicates --library law.kadr --policy rules.toml --country US --json
"""

REVIEW = """
review --library law.kadr --json
review --library law.kadr --json --policy rules.toml --country FR
review --library law.kadr --policy none
review --library law.kadr --json --policy none
review stats --library law.kadr
review --library law.kadr --json stats
review --library law.kadr --who anna --why seen <<< "?\\na\\na\\nh\\ns\\nu\\na\\nф\\nq\\n"
review --library law.kadr --policy under-16 <<< "a\\nu\\n"
review decide photos/beach.jpg allow --why "a beach" --who boris --library law.kadr
review decide photos/street.png allow --why "a street" --who anna --library law.kadr
review decide photos/scenes/00.jpg allow --why "a scene" --who anna --library law.kadr
review decide photos/scenes/01.jpg allow --why "a scene" --who anna --library law.kadr
review decide photos/scenes/02.jpg allow --why "a scene" --library law.kadr
review decide photos/scenes/03.jpg hide --why "a scene" --who anna --library law.kadr
review decide photos/scenes/03.jpg allow --why "another look" --who boris --library law.kadr
review decide photos/scenes/04.jpg withdraw --why none --library law.kadr
review decide photos/scenes/02.jpg withdraw --why "in error" --who anna --library law.kadr
review decide photos/nowhere.jpg hide --why seen --library law.kadr
review decide photos/beach.jpg maybe --why seen --library law.kadr
review decide photos/beach.jpg hide --library law.kadr
review decide 0123456789abcdef hide --why seen --library law.kadr
review appeal photos/beach.jpg --why "it is my child" --who clara --library law.kadr
review appeal photos/scenes/05.jpg --why "look again" --library law.kadr
review appeal photos/nowhere.jpg --why "look again" --library law.kadr
review --library law.kadr --json
review export sheet.csv --library law.kadr => sheet.csv
review --library law.kadr export brief.csv --policy rules.toml --country FR => brief.csv
review import sheet.csv --library law.kadr
review import nowhere.csv --library law.kadr
review import pairs.csv --library law.kadr
"""

FILLED_IN = """
review import anna.csv --library law.kadr --who anna
review import anna.csv --library law.kadr --who anna --json
review import boris.csv --library law.kadr --who boris
review --library law.kadr --json import boris.csv --who boris
review stats --library law.kadr
review stats --library law.kadr --json
review stats --library law.kadr --json --policy rules.toml --country DE
review --library law.kadr --json
search a tree --library law.kadr --policy under-16 --json
search a tree --library law.kadr --policy under-16 --kind jpeg --json -n 5
search a tree --library law.kadr --policy rules.toml --country FR --json -n 5
similar photos/beach.jpg --library law.kadr --policy under-16 --json
duplicates --library law.kadr --policy under-16 --json
audit show --library law.kadr
audit show --library law.kadr --json -n 500
audit show --library law.kadr --photo photos/scenes/03.jpg
audit show --library law.kadr --photo photos/beach.jpg --json
audit show --library law.kadr --photo photos/nowhere.jpg
audit show --library law.kadr -n 2
audit --library law.kadr show -n 1
audit verify --library law.kadr
audit verify --library law.kadr --json
audit verify --library law.kadr --contains 0123
audit verify --library forged.kadr
audit verify --library forged.kadr --json
audit verify
"""

LIBRARY = """
library
library --json
library --library some.kadr --json
library problems
library problems --json
library --json problems
library verify
library verify --json
library verify --library law.kadr
library remove photos/formats --library some.kadr
library remove photos/школа --json --library some.kadr
library --library some.kadr --json remove nowhere
library remove photos/formats
library --library some.kadr
"""

KEYS = """
keys list --library law.kadr
keys list --library law.kadr --json
keys add --name family --library law.kadr
keys add --name "the office" --scope write --scope read --scope review --library law.kadr --json
keys add --name phone --scope review --library law.kadr
keys add --name phone --library law.kadr
keys add --name " " --library law.kadr
keys list --library law.kadr
keys list --library law.kadr --json
keys remove phone --library law.kadr
keys remove nobody --library law.kadr
keys remove family --library law.kadr
keys list --library law.kadr
"""

CHANGED = """
index
index --json
library verify
library --json
library problems --json
index --json --prune
index --json --retry
index --json --library some.kadr
library --json
index --json --model model
index --json --model model --reencode
search a dog near a tree --json -n 3
search a dog near a tree --json -n 3 --model model
index --json --library trained.kadr --model model photos/scenes
search a dog near a tree --json -n 3 --library trained.kadr
search a dog near a tree --explain -n 2 --library trained.kadr
similar photos/beach.jpg --json -n 3 --library trained.kadr --model model
"""

TRAIN = """
train drawn --out model --alignment fitted --json => model/manifest.json
train drawn --out other-model --alignment fitted --policy none --test-share 0.2 --seed 7
train drawn --out concat --features concat --classifier mlp --judges crowd --json
train drawn --out tfidf --text-encoder tfidf --classifier boosting --experts median --json
train drawn --out tuned --search --expert-weight 0.3 --experts mean --judges experts --json
train drawn --out whole --test-share 0 --cache vectors.sqlite
compare drawn --out comparison --text-encoder mini --text-encoder tfidf --classifier logistic \
 --alignment fitted --no-search => comparison
compare drawn --out laws --text-encoder mini --features aligned --classifier logistic \
 --policy none --policy under-16 --judges experts --experts median --expert-weight 0.5 \
 --test-share 0.4 --seed 2 --jobs 2 --json
compare drawn --out failed --text-encoder unknown --features aligned --classifier logistic
demo --out demo --offline --images 50 --no-serve => demo/report.html
"""

MEASURE = """
evaluate drawn --model model --json -
evaluate drawn --model tfidf
evaluate drawn --model concat --json concat.json --no-cross-validate --seed 4 => concat.json
evaluate drawn --policy none --no-cross-validate --json - --cache vectors.sqlite
evaluate drawn --model whole --json -
evaluate drawn --model model --report report.html --comparison comparison => report.html
evaluate drawn --comparison comparison
score pairs.csv --images photos --out scores.csv => scores.csv
score pairs.csv --images photos --out more.csv --model model --json => more.csv
score good.csv --images photos --out good-scores.csv --json => good-scores.csv
"""

COMPARE_AGAIN = """
evaluate drawn --model model --report comparison/report.html --language ru --policy none \
 --json figures.json => comparison/report.html figures.json
compare drawn --out comparison --text-encoder mini --features aligned --classifier logistic \
 --classifier boosting --alignment fitted --no-search --json --language ru => comparison
"""

ARCHIVE = """
data check ARCHIVE --json
evaluate ARCHIVE --json -
index ARCHIVE/test_images --json --library real.kadr --policy under-16
search a dog runs on the beach --library real.kadr --json
search "люди катаются на лыжах" --library real.kadr --json
search a boy jumps --library real.kadr --policy under-16 --json
search a man on a bicycle --library real.kadr --policy under-16 --json
search a man on a bicycle --library real.kadr --explain -n 2 --json
search --queries queries.txt --library real.kadr --json -n 3
duplicates --library real.kadr --json
review stats --library real.kadr --json
review --library real.kadr --json
"""

QUERIES = """
/search?q=a dog near a tree
/search?q=a dog near a tree&n=3&at_least=0.0001
/search?q=красная машина&lang=ru&n=2
/search?q=dog %2B 0.5:snow - leash&n=3
/search?q=a little girl&n=3
/search?q=a tree&after=2023&n=3
/search?q=a tree&before=2022&n=3
/search?q=a tree&folder=photos/formats
/search?q=a tree&camera=canon
/search?q=a tree&near=55.75,37.62,5
/search?q=a tree&kind=png
/search?q=a tree&min_size=700x500
/search?q=a tree&folder=nowhere
/search?q=a tree&after=yesterday
/search?q=a tree&kind=txt
/search?q=a tree&n=0
/search?q=a tree&cursor=nothing
/search?q=- leash
/search?q=
/search
/photos?n=4
/photos?n=500&kind=jpeg
/photos?folder=photos/scenes&n=3
/photos?camera=canon&country=DE
/library
/library?lang=ru
/review
/review?n=2
/openapi.json
/nowhere
"""

PER_PHOTO = """
/photos/{}/facts
/photos/{}
/photos/{}?size=320
/photos/{}?size=5
/similar/{}
/similar/{}?n=2&kind=jpeg
/photos/{}/explain?q=a dog near a tree
/photos/{}/explain?q=dog - cat
/photos/{}/explain?q=a little girl
/review/{}/picture?size=100
"""


def main() -> None:
    """Record, or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    recording = commands.add_parser("record", help="run kadr, and write what it says")
    recording.add_argument("out", type=Path)
    recording.add_argument("--archive", type=Path, help="folder of the real archive")
    recording.add_argument("--kadr", default=shlex.quote(str(Path(sys.executable).parent / "kadr")))
    comparing = commands.add_parser("compare", help="print each difference of two records")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        record(options.out, shlex.split(options.kadr), options.archive)
    else:
        before, after = (json.loads(p.read_text()) for p in (options.before, options.after))
        sys.exit(1 if print_differences(before, after) else 0)


# Recording.


def record(out: Path, command: Sequence[str], archive: Path | None) -> None:
    """Run everything, and write what was said."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="behaviour-") as folder:
        kadr = Kadr(Path(folder).resolve(), command)
        tree = kadr.walk()
        run_commands(kadr)
        run_services(kadr)
        run_changes(kadr)
        if archive is not None:
            (kadr.scratch / "ARCHIVE").symlink_to(archive.resolve())
            kadr.run_all(ARCHIVE)
        told = kadr.normalised({"ARCHIVE": str(archive.resolve())} if archive else {})
    forgotten = [" ".join(words) for words in tree if words not in kadr.covered]
    if forgotten:
        raise SystemExit(f"No run of: {', '.join(forgotten)}")
    out.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    for words, options in tree.items():
        if unused := sorted(options - kadr.covered[words] - {"--help"}):
            print(f"never used: kadr {' '.join(words)} {' '.join(unused)}", file=sys.stderr)
    print(f"{len(told):,} answers in {out}; {time.monotonic() - started:.0f} s", file=sys.stderr)


class Kadr:
    """A folder, kadr run in it, and what it said there."""

    def __init__(self, scratch: Path, command: Sequence[str]) -> None:
        self.scratch = scratch
        self.said: dict[str, Json] = {}
        self.covered: dict[tuple[str, ...], set[str]] = {}
        self._command = list(command)
        self._program = "kadr"
        self._tree: dict[tuple[str, ...], set[str]] = {}
        self._environment = environment(scratch)

    def walk(self) -> dict[tuple[str, ...], set[str]]:
        """Every command and its options, found by asking for help; the help is kept too."""
        root = self._execute(["--help"])
        found = re.search(r"Usage: (.+?) \[OPTIONS\]", root.stdout)
        if not found:
            raise SystemExit(f"This isn't kadr: {shlex.join(self._command)}\n{root.stderr}")
        self._program = found[1]
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            words = waiting.pop(0)
            text = "\n".join(self.run(shlex.join([*words, "--help"])))
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", boxes(text, "│ +[*]? *--")))
            self._tree[words] = options
            waiting += [(*words, name) for name in subcommands(text)]
        return self._tree

    def run_all(self, table: str, *, jobs: int = 1) -> None:
        """Run the commands of a table; those that don't need each other, some at a time."""

        def run(row: str) -> tuple[str, Json]:
            line, _, files = row.partition(" => ")
            line, _, stdin = line.partition(" <<< ")
            return self._told(line, {}, files.split(), json.loads(stdin) if stdin else "")

        with ThreadPoolExecutor(jobs) as pool:
            for name, told in pool.map(run, table[1:].removesuffix("\n").split("\n")):
                self.keep(name, told)

    def run(self, line: str, **settings: str) -> Json:
        """Run a command with these environment variables, and keep what it said; its stdout."""
        name, told = self._told(line, settings)
        self.keep(name, told)
        return told["stdout"]

    def start(self, line: str, **streams: Any) -> "subprocess.Popen[str]":
        """Begin a command that goes on until it is stopped."""
        words = shlex.split(line)
        self.cover(words)
        return subprocess.Popen(
            [*self._command, *words], cwd=self.scratch, env=self._environment, text=True,
            encoding="utf-8", **streams,
        )  # fmt: skip

    def cover(self, words: Sequence[str]) -> None:
        """Note that a command was run, and with which options; a call for help is no run."""
        if "--help" in words:
            return
        plain = tuple(word for word in words if not word.startswith("-"))
        for known in self._tree:
            if plain[: len(known)] == known or (known and is_in(known, plain) and len(known) > 1):
                self.covered.setdefault(known, set()).update(w for w in words if w[:2] == "--")

    def keep(self, name: str, told: Json) -> None:
        """Keep what was said under a name; a second of the name gets a number."""
        number, free = 1, name
        while free in self.said:
            number += 1
            free = f"{name} ({number})"
        self.said[free] = told

    def normalised(self, places: Mapping[str, str]) -> Json:
        """What was said, without what differs from run to run."""
        logs = self.scratch.rglob("*.audit.jsonl")
        hashes = {e["hash"] for log in logs for e in map(json.loads, log.read_text().splitlines())}
        text = json.dumps(self.said)
        keys = set(re.findall(r"kadr_([0-9a-f]{8})_", text))
        named = dict.fromkeys(sorted(hashes), "HASH") | dict.fromkeys(sorted(keys), "KEY_ID")
        named |= {path: name for name, path in places.items()} | {str(self.scratch): "SCRATCH"}
        return normalised(self.said, Names(named, self._program))

    def _told(
        self, line: str, settings: Mapping[str, str], files: Sequence[str] = (), stdin: str = ""
    ) -> tuple[str, Json]:
        """A run's name and what it says; of `files`, what is in them afterwards."""
        words = shlex.split(line)
        self.cover(words)
        if words[:2] in ORDERED:
            time.sleep(1.05 - time.time() % 1)
        done = self._execute(words, stdin, settings)
        told: dict[str, Json] = {
            "exit": done.returncode,
            "stdout": parsed(done.stdout),
            "stderr": lines(done.stderr),
        }
        if files:
            told["files"] = {name: self._kept(self.scratch / name) for name in files}
        given = [f"{name}={value}" for name, value in settings.items()]
        return " ".join([*given, "kadr", line]), told

    def _execute(
        self, words: Sequence[str], stdin: str = "", settings: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._command, *words],
            cwd=self.scratch,
            env={**self._environment, **(settings or {})},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def _kept(self, path: Path) -> Json:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.is_file())
            return {str(p.relative_to(path)): self._kept(p) for p in below}
        if not path.exists():
            return None
        content = path.read_bytes()
        if path.suffix in {".png", ".jpg"}:
            return fingerprint(content)
        text = re.sub(r"data:image/[\w+]+;base64,([A-Za-z0-9+/=]+)", hashed, content.decode())
        if path.suffix == ".csv":
            return list(csv.DictReader(io.StringIO(text)))
        return parsed(text)


def environment(scratch: Path) -> dict[str, str]:
    """Nothing of whoever runs this, but where programs and modules are."""
    foreign = {"DISPLAY", "WAYLAND_DISPLAY", "FORCE_COLOR", "SSH_CONNECTION", "TERM_PROGRAM"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not re.match(r"(?i)kadr_|.*_proxy$|lc_|xdg_data", name)
    }
    viewers = scratch / "bin"
    viewers.mkdir()
    viewer = viewers / "xdg-open"
    viewer.write_text("#!/bin/sh\nexit 0\n")
    viewer.chmod(0o755)
    return kept | {
        "PATH": f"{viewers}:{kept.get('PATH', '')}",
        "XDG_DATA_HOME": str(scratch / "data"),
        "KADR_CACHE": str(scratch / "cache.sqlite"),
        "COLUMNS": "100", "LINES": "40", "TERM": "dumb", "LANG": "C.UTF-8", "TZ": "UTC",
        "LOGNAME": "somebody", "USER": "somebody", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def is_in(few: Sequence[str], many: Sequence[str]) -> bool:
    """Whether words are in others, in their order; the first is the first of both."""
    rest = iter(many[1:])
    return bool(many) and few[0] == many[0] and all(word in rest for word in few[1:])


def boxes(text: str, row: str) -> str:
    """The rows of a help's boxes that begin like this."""
    return "\n".join(line for line in text.splitlines() if re.match(row, line))


def subcommands(text: str) -> list[str]:
    """Names of commands in a group's help."""
    if "COMMAND [ARGS]" not in text:
        return []
    panels = re.split(r"╭─ ", text)[1:]
    chosen = [panel for panel in panels if not panel.startswith(("Options", "Arguments"))]
    return [name for panel in chosen for name in re.findall(r"(?m)^│ ([a-z][a-z-]*) ", panel)]


# What is run over.


def run_commands(kadr: Kadr) -> None:
    """Every command, over drawn photos."""
    make_files(kadr.scratch)
    kadr.run_all(WRONG_USE, jobs=JOBS)
    kadr.run_all(DATA)
    break_archive(kadr.scratch)
    kadr.run_all(BROKEN_DATA, jobs=JOBS)
    fetch(kadr)
    make_photos(kadr.scratch)
    kadr.run_all(INDEX)
    kadr.run("index photos/scenes --json", KADR_LIBRARY="elsewhere.kadr", KADR_POLICY="under-16")
    kadr.run("search a tree --json -n 1", KADR_LIBRARY="law.kadr", KADR_POLICY="rules.toml",
             KADR_COUNTRY="US")  # fmt: skip
    kadr.run_all(SEARCH, jobs=JOBS)
    kadr.run_all(LAW)
    kadr.run_all(REVIEW)
    digest = hashlib.sha256((kadr.scratch / "photos/formats/field.webp").read_bytes()).hexdigest()
    kadr.run(f"review decide {digest} hide --why seen --who boris --library law.kadr")
    fill_in(kadr.scratch)
    forge(kadr.scratch)
    kadr.run_all(FILLED_IN)
    kadr.run_all(LIBRARY)
    kadr.run_all(TRAIN, jobs=JOBS)
    kadr.run_all(MEASURE, jobs=JOBS)
    kadr.run_all(COMPARE_AGAIN)


def run_changes(kadr: Kadr) -> None:
    """Indexing after photos have changed, and while they do."""
    change_photos(kadr.scratch)
    kadr.run_all(CHANGED)
    watch(kadr)


def make_files(scratch: Path) -> None:
    """Policies, queries, pairs."""
    texts = {
        "rules.toml": RULES,
        "faces.toml": '[policies.faces]\nextends = "under-16"\nfaces = "always"\n',
        "broken.toml": '[policies.broken]\nextends = "under-16"\nhide = 3\n',
        "queries.txt": "a dog runs on grass\n\nлюди катаются на лыжах\na boy\nsnow - tree\n",
        "pairs.csv": "image,text,note\nbeach.jpg,A beach with water .,one\n"
        "nowhere.jpg,A dog .,two\nbroken.jpg,A dog .,three\nstreet.png,Красная машина .,four\n",
        "good.csv": "image,text\nbeach.jpg,A beach .\nscenes/00.jpg,A dog near a tree .\n",
        "notpairs.csv": "photo,words\nbeach.jpg,A beach .\n",
        "photos/notes.txt": "No photo.\n",
    }
    for name, text in texts.items():
        path = scratch / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def break_archive(scratch: Path) -> None:
    """A copy of the drawn archive with rows and a photo that are wrong."""
    broken = scratch / "broken"
    shutil.copytree(scratch / "drawn", broken)
    with (broken / "train_dataset.csv").open("a") as rows:
        rows.write("nowhere.jpg,nowhere.jpg#0,A dog .\nscene_000001.jpg,,\n")
    with (broken / "ExpertAnnotations.tsv").open("a") as rows:
        rows.write("scene_000001.jpg\tscene_000002.jpg#0\t1\t9\tx\n")
    with (broken / "CrowdAnnotations.tsv").open("a") as rows:
        rows.write("scene_000001.jpg\tscene_000002.jpg#0\t2.5\t1\t-1\nshort\n")
    (broken / "train_images" / "scene_000002.jpg").write_bytes(b"no photo")


def make_photos(scratch: Path) -> None:
    """A small library: drawn scenes, and what goes wrong in folders of photos."""
    photos = scratch / "photos"
    scenes = sorted((scratch / "drawn" / "train_images").glob("*.jpg"))
    for number, scene in enumerate(scenes[:14]):
        place(photos / "scenes" / f"{number:02}.jpg").write_bytes(scene.read_bytes())
    first = photos / "scenes" / "00.jpg"
    place(photos / "copies" / "again.jpg").write_bytes(first.read_bytes())
    with Image.open(photos / "scenes" / "01.jpg") as scene_drawn:
        scene_drawn.resize((200, 150)).save(photos / "copies" / "smaller.jpg", quality=85)
    moscow = exif("2023:07:14 12:30:00", "Canon", "EOS 5D", (55, 45, 0), (37, 37, 12))
    draw(1).save(photos / "beach.jpg", exif=moscow)
    sydney = exif("2021:01:02 03:04:05", "NIKON CORPORATION", "NIKON D90", (-33, 51, 30), (151, 12))
    draw(2, (800, 600)).save(place(photos / "Sydney 2021" / "harbour.jpg"), exif=sydney)
    titled = exif("2022:05:06 07:08:09", "Canon", "PowerShot")
    titled[0x010E] = "A boy on a swing"
    draw(3).save(photos / "title.jpg", exif=titled)
    upside = Image.Exif()
    upside[0x0112] = 6
    draw(4, (400, 200)).save(photos / "turned.jpg", exif=upside)
    draw(5, (1280, 1024)).save(photos / "street.png")
    draw(6).save(place(photos / "school" / "children" / "yard.jpg"))
    draw(7).save(place(photos / "школа" / "дети на лыжах.jpg"))
    draw(8).save(place(photos / ".hidden" / "unseen.jpg"))
    for number, kind in enumerate(("webp", "gif", "bmp", "tif", "avif"), start=10):
        draw(number).save(place(photos / "formats" / f"field.{kind}"))
    (photos / "broken.jpg").write_bytes(first.read_bytes()[:3000])
    (photos / "empty.png").touch()
    settle(photos)


def change_photos(scratch: Path) -> None:
    """Rename, delete, mend, add and spoil some."""
    photos = scratch / "photos"
    (photos / "beach.jpg").rename(photos / "shore.jpg")
    shutil.copy2(photos / "shore.jpg", photos / "beach.jpg")
    (photos / "street.png").rename(photos / "formats" / "street.png")
    (photos / "turned.jpg").unlink()
    shutil.rmtree(photos / "школа")
    draw(20).save(photos / "broken.jpg")
    draw(21).save(photos / "new.jpg")
    (photos / "title.jpg").write_bytes(b"spoilt")
    settle(photos, EPOCH + 10**6)


def place(path: Path) -> Path:
    """A path whose folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def settle(folder: Path, moment: int = EPOCH) -> None:
    """Give every file a time of its own that doesn't depend on now."""
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        os.utime(path, (moment + 86_400 * number,) * 2)


def draw(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A picture: sky, ground, things."""
    dice = random.Random(seed)

    def paint() -> tuple[int, int, int]:
        return dice.randrange(256), dice.randrange(256), dice.randrange(256)

    picture = Image.new("RGB", size, paint())
    pen, (width, height) = ImageDraw.Draw(picture), size
    pen.rectangle((0, height * 2 // 3, width, height), fill=paint())
    for _ in range(12):
        x, y, side = dice.randrange(width), dice.randrange(height), dice.randrange(10, 120)
        shape = dice.choice((pen.rectangle, pen.ellipse))
        shape((x, y, x + side, y + side * 2 // 3), fill=paint())
    return picture


def exif(
    taken: str, make: str, model: str, latitude: Sequence[int] = (), longitude: Sequence[int] = ()
) -> Image.Exif:
    """What a camera writes into a photo; degrees, minutes and seconds, negative for S and W."""
    told = Image.Exif()
    told[0x010F], told[0x0110] = make, model
    told[0x8769] = {0x9003: taken}
    if latitude:
        north, east = ("S" if latitude[0] < 0 else "N"), ("W" if longitude[0] < 0 else "E")
        told[0x8825] = {1: north, 2: degrees(latitude), 3: east, 4: degrees(longitude)}
    return told


def degrees(parts: Sequence[int]) -> tuple[float, float, float]:
    """Degrees, minutes and seconds, as EXIF has them."""
    first, second, third = (*map(abs, parts), 0, 0)[:3]
    return float(first), float(second), float(third)


def fill_in(scratch: Path) -> None:
    """Two reviewers' sheets that agree, differ, and are wrong in places."""
    rows = list(csv.DictReader(io.StringIO((scratch / "sheet.csv").read_text("utf-8-sig"))))
    anna = [row | {"verdict": ("allow", "hide", "")[n % 3]} for n, row in enumerate(rows)]
    boris = [row | {"verdict": ("allow", "maybe", "hide")[n % 3]} for n, row in enumerate(rows)]
    boris += [boris[0] | {"verdict": "hide"}, boris[0] | {next(iter(boris[0])): "0" * 64}]
    for name, filled in (("anna", anna), ("boris", boris)):
        with (scratch / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:
            sheet = csv.DictWriter(file, list(rows[0]))
            sheet.writeheader()
            sheet.writerows(row | {"why": f"{name} saw it"} for row in filled)


def forge(scratch: Path) -> None:
    """A copy of a library whose log was changed."""
    for path in scratch.glob("law.kadr*"):
        shutil.copy2(path, scratch / path.name.replace("law", "forged"))
    log = scratch / "forged.kadr.audit.jsonl"
    changed = log.read_text().splitlines(keepends=True)
    del changed[2]
    log.write_text("".join(changed).replace("anna", "hanna"))


# What goes on until it is stopped.


def fetch(kadr: Kadr) -> None:
    """`kadr data fetch`, from this machine."""
    web = kadr.scratch / "web"
    web.mkdir()
    (web / "page.html").write_text("<p>No archive.")
    for name, source in (("archive.zip", "other"), ("photos.zip", "other/test_images")):
        with zipfile.ZipFile(web / name, "w") as packed:
            for path in sorted((kadr.scratch / source).rglob("*")):
                packed.write(path, Path("inside", path.relative_to(kadr.scratch / source)))
    with serving(web) as address:
        for name in ("archive.zip", "archive.zip", "photos.zip", "page.html", "nowhere.zip"):
            folder = "fetched" if name == "archive.zip" else f"fetched-{name}"
            kadr.run(f"data fetch {folder} --url {address}/{name}")
    kadr.run(f"data fetch fetched-later --url {address}/archive.zip")
    kadr.run("data fetch fetched-later --url archive.zip")
    kadr.run("data check fetched --json")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder that is served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def watch(kadr: Kadr) -> None:
    """`kadr index --watch`, while a photo comes; Ctrl-C ends it."""
    line = "index photos --json --watch --library watched.kadr"
    out, log = kadr.scratch / "watch.out", kadr.scratch / "watch.log"
    with (
        out.open("w") as stdout, log.open("w") as stderr,
        kadr.start(line, stdout=stdout, stderr=stderr) as process,
    ):  # fmt: skip
        try:
            until(process, lambda: "Following" in log.read_text())
            draw(30).save(kadr.scratch / "come.jpg")
            (kadr.scratch / "come.jpg").rename(kadr.scratch / "photos" / "come.jpg")
            until(process, lambda: out.read_text().count("\n}\n") > 1)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    told = [json.loads(part + "}") for part in out.read_text().split("\n}\n")[:-1]]
    said = {"exit": process.returncode, "stdout": told, "stderr": lines(log.read_text())}
    kadr.keep(f"kadr {line}", said)


def until(process: "subprocess.Popen[str]", true: Callable[[], object]) -> None:
    """Wait until something is true."""
    ends = time.monotonic() + PATIENCE
    while not true():
        if process.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"This ended, or takes too long: {process.args!r}")
        time.sleep(0.05)


def run_services(kadr: Kadr) -> None:
    """The service: without a law and open, with a law, with keys and laws by country."""
    photos = ask_openly(kadr)
    ask_under_a_law(kadr, photos)
    kadr.run_all(KEYS)
    ask_with_keys(kadr, photos)


class Client:
    """Asks a service, and keeps what it answers."""

    def __init__(self, kadr: Kadr, name: str, http: httpx.Client) -> None:
        self._kadr, self._name, self._http = kadr, name, http

    def get_all(self, paths: str, photo: int = 0) -> None:
        """Ask for each path of a table, of this photo."""
        for path in paths.split("\n"):
            if path:
                self.ask("GET", API + path.format(photo))

    def ask(self, method: str, path: str, *, note: str = "", **more: Any) -> httpx.Response:
        """Send a request, and keep its answer under method, path and note."""
        answer = self._http.request(method, path, **more)
        headers = dict(answer.headers)
        if answer.status_code == 429:
            headers["retry-after"] = "SECONDS"
        if path == "/metrics":
            headers.pop("content-length")  # as long as the times in it
        told = {"status": answer.status_code, "headers": headers, "body": body(answer)}
        self._kadr.keep(f"service {self._name}: {method} {path}{note and f' ({note})'}", told)
        return answer

    def pages(self, path: str) -> None:
        """Ask for a page and the two after it."""
        answer = self.ask("GET", path)
        for number in (2, 3):
            cursor = answer.json()["next"]
            if cursor is not None:
                answer = self.ask(
                    "GET", path, note=f"page {number}", params=parameters(path, cursor)
                )


def parameters(path: str, cursor: str) -> dict[str, str]:
    """A path's parameters, and a cursor."""
    return dict(httpx.URL(path).params.items()) | {"cursor": cursor}


def body(answer: httpx.Response) -> Json:
    """What an answer holds: JSON, lines of text, or the fingerprint of bytes."""
    media = answer.headers.get("content-type", "")
    if "json" in media and answer.content:
        return answer.json()
    return lines(answer.text) if media.startswith("text/plain") else fingerprint(answer.content)


@contextmanager
def service(kadr: Kadr, name: str, options: str) -> Iterator[Client]:
    """A service that runs; how it ends and what it logs is kept."""
    line = f"serve --library law.kadr --port 0 {options}"
    log = kadr.scratch / "serve.log"
    with log.open("w") as stderr, kadr.start(line, stderr=stderr) as process:
        try:
            until(process, lambda: re.search(r" at http://127\.0\.0\.1:\d+/\n", log.read_text()))
            found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
            assert found
            with httpx.Client(base_url=found[0], trust_env=False, timeout=PATIENCE) as http:
                yield Client(kadr, name, http)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    told = [json.loads(row) if row.startswith("{") else row for row in lines(log.read_text())]
    for row in told:
        if isinstance(row, dict) and row.get("route") == "/metrics":
            row["bytes"] = "BYTES"  # as many as the times in it have
    kadr.keep(f"kadr {line}", {"exit": process.returncode, "stderr": told})


def ask_openly(kadr: Kadr) -> dict[str, int]:
    """All that anybody may ask on the own machine; the photos' numbers by name."""
    with service(kadr, "open", "--policy none --uploads up --log-queries --verbose") as client:
        for path in ("/health", "/ready", "/", "/nowhere", "/docs"):
            page = client.ask("GET", path)
            for name in sorted(set(re.findall(r"[\"'](/?web/[\w.-]+)", page.text))):
                client.ask("GET", "/" + name.removeprefix("/"))
        listing = client.ask("GET", f"{API}/photos?n=200").json()
        photos = {photo["name"]: photo["id"] for photo in listing["photos"]}
        client.get_all(QUERIES)
        client.pages(f"{API}/search?q=a red car&n=4")
        client.pages(f"{API}/photos?n=7")
        client.pages(f"{API}/similar/{photos['beach.jpg']}?n=3")
        client.get_all(PER_PHOTO, photos["beach.jpg"])
        client.get_all(PER_PHOTO, 9999)
        ask_for_parts(client, photos["beach.jpg"])
        send_queries(client, kadr.scratch, photos["beach.jpg"])
        send_photos(client, kadr.scratch, photos["beach.jpg"])
        client.ask("DELETE", f"{API}/search")
        client.ask("HEAD", f"{API}/library")
        client.ask("GET", f"{API}/library", note="foreign name", headers={"host": "a.example"})
        away = {"origin": "http://a.example"}
        client.ask("POST", f"{API}/review/1", note="foreign page", headers=away, json={})
        client.ask("POST", f"{API}/review/1", note="policy none", json={"decision": "withdraw"})
        client.ask("GET", "/metrics")
    return photos


def ask_for_parts(client: Client, photo: int) -> None:
    """Ranges and tags."""
    path = f"{API}/photos/{photo}"
    tag = client.ask("GET", path, note="tag").headers.get("etag", "")
    for name, value in (
        ("range", "bytes=10-99"), ("range", "bytes=-50"), ("range", "bytes=99999999-"),
        ("range", "bytes=5-1"), ("if-none-match", tag), ("if-none-match", '"another"'),
    ):  # fmt: skip
        client.ask("GET", path, note=f"{name}: {value}", headers={name: value})


def send_queries(client: Client, scratch: Path, photo: int) -> None:
    """Sums of texts, photos and pictures; scores of pictures."""
    beach = (scratch / "photos" / "beach.jpg").read_bytes()
    sent = {"pictures": ("beach.jpg", beach)}
    sums: tuple[tuple[str, Json], ...] = (
        ("text", {"parts": [{"text": "a dog near a tree"}], "n": 3}),
        ("sum", {"parts": [{"text": "snow"}, {"photo": photo, "weight": -0.5}], "n": 3}),
        ("filtered", {"parts": [{"photo": photo}], "filters": {"kind": "jpeg"}, "n": 3}),
        ("no such photo", {"parts": [{"photo": 9999}]}),
        ("subtracts", {"parts": [{"text": "snow", "weight": -1}]}),
        ("empty", {"parts": []}),
        ("unknown", {"parts": [{"text": "snow", "colour": 1}]}),
        ("no picture", {"parts": [{"picture": 2}]}),
        ("picture", {"parts": [{"picture": 0}, {"text": "water", "weight": 0.5}], "n": 3}),
    )
    for note, query in sums:
        files = sent if "picture" in note else None
        data = {"query": json.dumps(query)}
        client.ask("POST", f"{API}/search", note=note, data=data, files=files)
    client.ask("POST", f"{API}/search", note="no JSON", data={"query": "snow"})
    texts = {"texts": ["a beach", "снег на горе"]}
    for note, content in (("beach", beach), ("no picture", b"nothing")):
        client.ask(
            "POST", f"{API}/score", note=note, data=texts, files={"picture": ("x.jpg", content)}
        )
    client.ask("POST", f"{API}/score", note="no texts", files={"picture": ("x.jpg", beach)})


def send_photos(client: Client, scratch: Path, photo: int) -> None:
    """Uploads, and what becomes of them."""
    buffer = io.BytesIO()
    draw(40).save(buffer, "PNG")
    known = (scratch / "photos" / "beach.jpg").read_bytes()
    parts = [("photos", (f"{n}.png", c)) for n, c in enumerate((buffer.getvalue(), b"none", known))]
    answer = client.ask("POST", f"{API}/photos", note="three", files=parts)
    number = answer.json()["added"][0]["id"]
    client.ask("GET", f"{API}/photos/{number}/facts", note="added")
    client.ask("DELETE", f"{API}/photos/{number}", note="added")
    client.ask("DELETE", f"{API}/photos/{number}", note="deleted")
    client.ask("DELETE", f"{API}/photos/{photo}", note="not added")
    client.ask("POST", f"{API}/photos", note="nothing")


def ask_under_a_law(kadr: Kadr, photos: Mapping[str, int]) -> None:
    """What is hidden, and how reviewers see it."""
    beach = (kadr.scratch / "photos" / "beach.jpg").read_bytes()
    with service(kadr, "under-16", "--browse --blocked-by https://law.example/") as client:
        client.get_all(QUERIES)
        client.pages(f"{API}/search?q=a red car&n=4")
        client.pages(f"{API}/photos?n=3")
        for name in ("beach.jpg", "title.jpg", "yard.jpg", "again.jpg"):
            client.get_all(PER_PHOTO, photos[name])
        client.ask("GET", f"{API}/photos/{photos['yard.jpg']}", headers={"accept-language": "ru"})
        for name in ("beach.jpg", "title.jpg"):
            content = (kadr.scratch / "photos" / name).read_bytes()
            sent = {"picture": (name, content)}
            client.ask("POST", f"{API}/score", note=name, data={"texts": ["a tree"]}, files=sent)
        client.ask("POST", f"{API}/photos", note="no uploads", files={"photos": ("x.jpg", beach)})
        asked = [
            ("allow", "seen"),
            ("hide", "no"),
            ("withdraw", ""),
            ("withdraw", ""),
            ("none", ""),
        ]
        for decision, why in asked:
            said = {"decision": decision, "why": why}
            path = f"{API}/review/{photos['title.jpg']}"
            client.ask("POST", path, note=f"{decision} {why}", json=said)
            client.ask("GET", f"{API}/photos/{photos['title.jpg']}/facts", note=f"{decision} {why}")
        client.ask("POST", f"{API}/review/9999", json={"decision": "hide"})
        client.ask("GET", f"{API}/review?n=1", note="afterwards")
        client.ask("GET", "/metrics")


def ask_with_keys(kadr: Kadr, photos: Mapping[str, int]) -> None:
    """Keys, scopes, countries, limits."""
    add = 'keys add --name "a reviewer" --scope review --scope read --library law.kadr --json'
    told = kadr.run(add)
    options = (
        "--policy rules.toml --country-parameter --name a.example --rate off --waiting 2"
        " --max-bytes 20000 --max-pixels 10000 --seconds 5 --uploads up --model model"
    )
    small = (kadr.scratch / "photos" / "turned.jpg").read_bytes()
    key = {"authorization": f"Bearer {told['key']}"}
    hidden, path = photos["yard.jpg"], f"{API}/search?q=a kid&n=2"
    with service(kadr, "keys", options) as client:
        client.ask("GET", f"{API}/library", note="no key")
        client.ask("GET", f"{API}/library", note="no key of it", headers={"authorization": "x y"})
        client.ask("GET", f"{API}/library", note="unknown", headers={"authorization": "Bearer y"})
        client.ask("GET", f"{API}/library", note="key", headers=key)
        client.ask("GET", f"{API}/library", note="name", headers=key | {"host": "a.example"})
        for country in ("DE", "FR", "RU", "US", "XX"):
            client.ask("GET", f"{path}&country={country}", headers=key)
            client.ask("GET", f"{API}/photos/{hidden}/facts?country={country}", headers=key)
            client.ask("GET", f"{API}/review?n=1&country={country}", headers=key)
        for note, content in (("large", bytes(30_000)), ("small", small)):
            sent = {"picture": ("x.jpg", content)}
            texts = {"texts": ["a tree"]}
            client.ask("POST", f"{API}/score", note=note, data=texts, files=sent, headers=key)
        client.ask("POST", f"{API}/photos", headers=key, files={"photos": ("x.jpg", small)})
        client.ask("POST", f"{API}/session", note="none", json={"key": "kadr_no"})
        client.ask("POST", f"{API}/session", json={"key": told["key"]})
        client.ask("GET", f"{API}/library", note="cookie")
        client.ask("DELETE", f"{API}/session")
        client.ask("GET", f"{API}/library", note="no cookie")
    options = (
        "--policy rules.toml --country-header CF-IPCountry --proxy 127.0.0.0/8 --host 127.0.0.1"
        " --anonymous read --anonymous review --rate off"
    )
    with service(kadr, "proxy", options) as client:
        for country in ("US", "DE", ""):
            headers = {"cf-ipcountry": country, "x-forwarded-for": "10.1.2.3"}
            client.ask("GET", path, note=country, headers=headers)
        client.ask("DELETE", f"{API}/photos/{hidden}")
        client.ask("GET", f"{API}/review?n=1")
    with service(kadr, "France", "--policy rules.toml --country fr --rate 2/hour") as client:
        client.ask("GET", path, headers=key)
        client.ask("GET", f"{path}&country=US", headers=key)
        client.ask("GET", path, note="too many", headers=key)


# What differs from run to run.

KEY = re.compile(r"kadr_[0-9a-f]{8}_[\w-]{43}")
PATTERNS = (
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)", "MOMENT"),
    (r"(?<=127\.0\.0\.1:)\d+", "PORT"),
    (r"(?<=cursor=)[\w-]{20}\b", "CURSOR"),
    (r"\b\d+\.\d s( \(\d+ photos/s\))?$", "SECONDS"),
    (r"(?<= pairs in )\d+ s(?=: )", "SECONDS"),
    (r"(?<=Wait )\d+(?= s\.)", "SECONDS"),
    (r"(?<= process \[)\d+(?=\])", "PROCESS"),
    (r"(?<=expires=)[^;]+", "DATE"),
    (r"^(kadr_request_seconds_(?:bucket|sum)\{.*\}) \S+$", r"\1 SECONDS"),
    (r"^(\w+_created(?:\{.*\})?) \S+$", r"\1 MOMENT"),
    # The last two columns of a comparison: how long training and scoring took.
    (r'^(<tr class="(?:best|same|worse)">.*)(?:<td>[^<]+</td>){2}</tr>$', r"\1SECONDS</tr>"),
    (r"^(\| \d+ .*\\\].*)(?: \| [\d.,]+){2} \|$", r"\1 | SECONDS |"),
)
VOLATILE = {"seconds", "microseconds", "ms", "timestamp", "request_id", "x-request-id", "date"}
"""Names of figures and ids that are others in each run."""
FIGURE = re.compile(r"-?\d+\.\d{6,}(?:[eE][+-]?\d+)?")


class Names:
    """Puts names where a text tells of this run."""

    def __init__(self, named: Mapping[str, str], program: str) -> None:
        longest = sorted(named, key=len, reverse=True)
        self._named = named
        self._all = re.compile("|".join(map(re.escape, longest)))
        self._program = re.compile(rf"(?<=Usage: ){re.escape(program)}(?= )|"
                                   rf"(?<=Try '){re.escape(program)}(?= )")  # fmt: skip

    def __call__(self, text: str) -> str:
        """The text with names."""
        text = self._program.sub("kadr", KEY.sub("KEY", text))
        text = self._all.sub(lambda found: self._named[found[0]], text)
        for pattern, name in PATTERNS:
            text = re.sub(pattern, name, text)
        return FIGURE.sub(lambda found: f"{float(found[0]):.6g}", text)


def normalised(value: Json, names: Names, key: str = "") -> Json:
    """A value without what differs from run to run."""
    if isinstance(value, dict):
        return {names(name): normalised(item, names, name) for name, item in value.items()}
    if isinstance(value, list):
        return [normalised(item, names) for item in value]
    if key in VOLATILE and not isinstance(value, bool | None):
        return key.upper()
    if key == "next" and isinstance(value, str):
        return "CURSOR"
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return names(value) if isinstance(value, str) else value


def parsed(text: str) -> Json:
    """A text as JSON, where it is; else its lines."""
    if text[:1] in {"{", "["}:
        try:
            return json.loads(text, parse_constant=str)
        except ValueError:
            pass
    return lines(text)


def lines(text: str) -> list[str]:
    """The lines of a text; an empty one at the end tells that the last one is ended."""
    return text.split("\n") if text else []


def fingerprint(content: bytes) -> Json:
    """What tells bytes from others."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def hashed(found: "re.Match[str]") -> str:
    """A picture inside a page, as its hash."""
    return f"sha256:{hashlib.sha256(found[1].encode()).hexdigest()}"


# Comparing.


def print_differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> int:
    """Print where two records differ, by name; how many names that are."""
    count = 0
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            found = [f"only {'before' if name in before else 'after'}"]
        else:
            found = list(differences(before[name], after[name]))
        if found:
            count += 1
            print(name)
            for line in found[:SHOWN]:
                print(f"  {line}")
            if len(found) > SHOWN:
                print(f"  … and {len(found) - SHOWN} more")
    print(f"{count:,} of {len({*before, *after}):,} answers differ")
    return count


def differences(before: Json, after: Json, where: str = "") -> Iterator[str]:
    """Where two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            place = f"{where}.{name}" if where else name
            if name in before and name in after:
                yield from differences(before[name], after[name], place)
            else:
                said = before[name] if name in before else after[name]
                yield f"{place}: only {'before' if name in before else 'after'}: {short(said)}"
        if before.keys() == after.keys() and list(before) != list(after):
            yield f"{where}: another order: {short(list(before))} -> {short(list(after))}"
    elif isinstance(before, list) and isinstance(after, list):
        yield from differing_lists(before, after, where)
    elif before != after or type(before) is not type(after):
        yield f"{where}: {short(before)} -> {short(after)}"


def differing_lists(before: Sequence[Json], after: Sequence[Json], where: str) -> Iterator[str]:
    """Where two lists differ: lines of text as a diff, others place by place."""
    if before != after and all(isinstance(item, str) for item in (*before, *after)):
        for line in difflib.unified_diff(before, after, n=0, lineterm=""):
            if not line.startswith(("---", "+++", "@@")):
                yield f"{where}: {short(line)}"
        return
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from differences(one, other, f"{where}[{number}]")
    if len(before) != len(after):
        yield f"{where}: {len(before)} items -> {len(after)}"


def short(value: Json) -> str:
    """A value on one line, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


if __name__ == "__main__":
    main()
