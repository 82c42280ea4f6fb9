"""Ways to alter files, one file of a reader at a time, and the outcomes of reading them then."""

import json
import math
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from reduction import TopologyError

Content = dict[str, bytes]
OUTCOMES = ("refused", "the same", "wrong", "crashed")
TRIES = 20  # before another way is taken, where one changes nothing


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads some files of a folder, as bytes; and the same files of another one.

    parts  whether the parts of an archive belong together
    """

    folder: Path
    files: Content
    twin: Content
    read: Callable[[], bytes]
    parts: bool = True


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def longer(content: bytes, draw: random.Random) -> bytes:
    return content + draw.randbytes(draw.choice((1, 8, 512)))


def bits_flipped(content: bytes, draw: random.Random) -> bytes:
    spoilt = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
    return bytes(spoilt)


def bytes_swapped(content: bytes, draw: random.Random) -> bytes:
    size = draw.choice((1, 1, 2, 8, 64))
    a, b = sorted(draw.randrange(max(1, len(content) - size)) for _ in range(2))
    if b < a + size:
        b = min(a + size, len(content))
    first, second = content[a : a + size], content[b : b + size]
    return content[:a] + second + content[a + size : b] + first + content[b + size :]


def _block(content: bytes, draw: random.Random) -> tuple[int, int]:
    begin = draw.randrange(len(content))
    return begin, min(len(content), begin + draw.choice((1, 2, 16, 64, 400)))


def block_zeroed(content: bytes, draw: random.Random) -> bytes:
    begin, end = _block(content, draw)
    return content[:begin] + bytes(end - begin) + content[end:]


def block_repeated(content: bytes, draw: random.Random) -> bytes:
    begin, end = _block(content, draw)
    return content[:end] + content[begin:end] + content[end:]


def block_removed(content: bytes, draw: random.Random) -> bytes:
    begin, end = _block(content, draw)
    return content[:begin] + content[end:]


def block_replaced(content: bytes, draw: random.Random) -> bytes:
    begin, end = _block(content, draw)
    return content[:begin] + draw.randbytes(end - begin) + content[end:]


def number_changed(content: bytes, draw: random.Random) -> bytes:
    """A number of a JSON document, at any depth; the text stays valid."""
    document = json.loads(content)
    places = [place for place in _places(document) if type(place[0][place[1]]) in (int, float)]
    holder, key = draw.choice(places)
    number = holder[key]
    others = [number + 1, number - 1, -number, 2 * number, 0, float(number), number + 0.5]
    holder[key] = draw.choice([*others, math.nextafter(number, math.inf)])
    return json.dumps(document).encode()


def values_exchanged(content: bytes, draw: random.Random) -> bytes:
    """Two values of a JSON object, at any depth; the text stays valid."""
    document = json.loads(content)
    places = [place for place in _places(document) if len(place[0]) > 1]
    holder, _ = draw.choice(places)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    a, b = draw.sample(keys, 2)
    holder[a], holder[b] = holder[b], holder[a]
    return json.dumps(document).encode()


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and list of a JSON document, with each of its keys."""
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _places(document[key])


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(members: dict[str, bytes]) -> bytes:
    """A valid archive, with valid checksums of its own."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def member_from_twin(content: bytes, twin: bytes, draw: random.Random) -> bytes:
    members, others = _members(content), _members(twin)
    name = draw.choice(sorted(members.keys() & others.keys()))
    return _archive(members | {name: others[name]})


def members_exchanged(content: bytes, draw: random.Random) -> bytes:
    members = _members(content)
    a, b = draw.sample(sorted(members), 2)
    return _archive(members | {a: members[b], b: members[a]})


def member_removed(content: bytes, draw: random.Random) -> bytes:
    members = _members(content)
    # without its checksum a file is one written by hand, which may leave it out
    del members[draw.choice([name for name in members if name != "sha256.npy"])]
    return _archive(members)


OF_BYTES = (
    cut, longer, bits_flipped, bytes_swapped, block_zeroed, block_repeated, block_removed,
    block_replaced,
)  # fmt: skip
OF_TEXT = (number_changed, values_exchanged)
OF_ARCHIVES = (members_exchanged, member_removed)


def altered(reader: Reader, draw: random.Random) -> tuple[str, Content]:
    """In which way, and the files after it; never as they were."""
    while True:
        name = draw.choice(sorted(reader.files))
        way = draw.choice(_ways(reader, name))
        for _ in range(TRIES):
            files = way(name, draw)
            if files != reader.files:
                return way.__name__, files


def _ways(reader: Reader, name: str) -> list[Callable[[str, random.Random], Content]]:
    """What can be done to this file."""
    files, twin = reader.files, reader.twin
    of_content = [*OF_BYTES]
    if name.endswith(".json"):
        of_content += OF_TEXT
    if name.endswith(".npz") and reader.parts:
        of_content += OF_ARCHIVES
    others = [other for other in files if other != name and Path(other).suffix == Path(name).suffix]

    def changed(way: Callable[[bytes, random.Random], bytes]) -> Any:
        def change(name: str, draw: random.Random) -> Content:
            return files | {name: way(files[name], draw)}

        change.__name__ = way.__name__
        return change

    def file_removed(name: str, _draw: random.Random) -> Content:
        return {key: content for key, content in files.items() if key != name}

    def file_from_twin(name: str, _draw: random.Random) -> Content:
        return files | {name: twin[name]}

    def record_from_twin(name: str, _draw: random.Random) -> Content:
        return files | {key: twin[key] for key in _record(files, name) & twin.keys()}

    def files_exchanged(name: str, draw: random.Random) -> Content:
        other = draw.choice(others)
        return files | {name: files[other], other: files[name]}

    def records_exchanged(name: str, draw: random.Random) -> Content:
        other = draw.choice(others)
        pairs = [(key, str(Path(other).with_suffix(Path(key).suffix)))
                 for key in _record(files, name)]  # fmt: skip
        pairs = [(a, b) for a, b in pairs if b in files]
        return files | {a: files[b] for a, b in pairs} | {b: files[a] for a, b in pairs}

    def member_of_twin(name: str, draw: random.Random) -> Content:
        return files | {name: member_from_twin(files[name], twin[name], draw)}

    ways = [*map(changed, of_content), file_removed]
    if name.endswith(".npz") and reader.parts:
        ways.append(member_of_twin)
    if others:
        ways += [files_exchanged, records_exchanged]
        ways += [file_from_twin, record_from_twin] if name in twin else []
    return ways


def _record(files: Content, name: str) -> set[str]:
    """The files of the record that this file belongs to."""
    return {key for key in files if Path(key).with_suffix("") == Path(name).with_suffix("")}


def outcome(reader: Reader, files: Content, expected: bytes) -> str:
    """What became of reading altered files; the folder is then as it was before."""
    _put(reader.folder, files)
    try:
        found = reader.read()
    except (TopologyError, FileNotFoundError):
        return "refused"
    except Exception:
        return "crashed"
    finally:
        _put(reader.folder, reader.files)
    return "the same" if found == expected else "wrong"


def _put(folder: Path, files: Content) -> None:
    """Make these the folder's files."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def files_of(folder: Path) -> Content:
    """The files of a folder that hold something: the lock of a run folder is empty."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): c for path in paths if (c := path.read_bytes())}


def counted(reader: Reader, count: int, seed: int) -> Counter[tuple[str, str]]:
    """How often each outcome followed on each way of altering."""
    draw, counts = random.Random(seed), Counter[tuple[str, str]]()
    expected = reader.read()
    for _ in range(count):
        way, files = altered(reader, draw)
        counts[outcome(reader, files, expected), way] += 1
    return counts
