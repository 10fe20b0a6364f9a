"""Upload bodies as a hostile client makes them: honest ones, damaged in every layer there is.

An archive inside a multipart body inside a stream of pieces; each case damages one layer or several, chosen by the
case's own random numbers, so that a case can be run again by its number.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.package_factory import Link, Member, archive, manifest, members, package

BOUNDARY = b"a-boundary"
REQUIREMENTS = {"engine_version": 1, "python_version": "3.11", "default_groups": ["main"], "groups": {"main": []}}


@dataclass(frozen=True)
class Upload:
    """What is sent: the body in pieces, and headers, which may lie."""

    kind: str
    pieces: Sequence[bytes]
    headers: dict[str, str]


def make_upload(number: int) -> Upload:
    """The upload of this number, always the same."""
    random = Random(number)
    kind = random.choice(("deployments", "configurations"))
    parts = _parts(random, kind)
    body, headers = _body(random, parts)
    return Upload(kind, _pieces(random, body), headers)


def _tree(random: Random, kind: str) -> dict[str, bytes | Link]:
    if kind == "configurations":
        return {"config.toml": random.randbytes(random.randint(0, 200)), "prod.secrets.toml": b"a = 1\n"}
    names = random.sample(["shop.py", "a/b/c.py", "data.bin", "ö/ü.txt", "x" * 90], random.randint(1, 5))
    return {name: random.randbytes(random.choice((0, 1, 700, 40_000))) for name in names}


def _archive(random: Random, kind: str) -> bytes:
    honest = package(_tree(random, kind))
    return honest if random.random() < 0.3 else random.choice(_ARCHIVES)(random, honest)


def _flipped(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 4)):
        if damaged:
            damaged[random.randrange(len(damaged))] = random.randrange(256)
    return bytes(damaged)


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randint(0, len(data))]


def _zip(random: Random, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("files/bomb", bytes(random.randint(1, 3_000_000)))
    return buffer.getvalue()


def _hostile_members(random: Random, _: bytes) -> bytes:
    bad = random.choice(
        (
            Member("files/../../etc/passwd", b"x"),
            Member("/etc/passwd", b"x"),
            Member("files/link", kind="2", linkname="../../../etc/passwd"),
            Member("files/device", kind="3"),
            Member("files/fifo", kind="6"),
            Member("files/hard", kind="1", linkname="files/a"),
            Member("files/huge", b"x", size=8_589_934_591),
            Member("files/sparse", b"x", kind="S"),
            Member("files/a", b"twice"),
            Member("files/" + "d/" * 40 + "deep", b"x"),
            Member("files/\udcff".encode("utf-8", "surrogateescape"), b"x"),
            Member("files/nul\0name", b"x"),
            Member("files/pax", b"x", pax={"path": b"files/" + b"p" * random.randint(1, 9000)}),
            Member("files/pax", b"x", pax={"size": b"99999999999999999999"}),
        )
    )
    entries = [*members({"a": b"once"}), bad, manifest({"a": b"once"})]
    random.shuffle(entries)
    return archive(entries)


def _bomb(random: Random, _: bytes) -> bytes:
    zeros = bytes(random.randint(2_000_000, 5_000_000))
    return random.choice(
        (
            lambda: archive([Member("files/bomb", zeros), manifest({"bomb": zeros})]),
            lambda: archive([*members({"a": b""}), manifest({"a": b""})], after=zeros),
            lambda: gzip.compress(gzip.compress(zeros)),
            lambda: archive([Member("manifest.yaml", b"- " * 1_000_000)]),
            lambda: archive([Member(f"files/{number}", b"") for number in range(3000)]),
        )
    )()


def _lying_manifest(random: Random, _: bytes) -> bytes:
    text = json.dumps({"engine_version": random.choice((1, 2, "1", None)), "files": random.choice(([], {}, [1], "x"))})
    return archive([*members({"a": b"x"}), Member("manifest.yaml", text.encode())])


_ARCHIVES: tuple[Callable[[Random, bytes], bytes], ...] = (
    lambda _, honest: honest,
    _flipped,
    _cut,
    _zip,
    _hostile_members,
    _bomb,
    _lying_manifest,
    lambda random, _: random.randbytes(random.randint(0, 5000)),
    lambda random, honest: honest + random.randbytes(random.randint(1, 50)),
    lambda _, honest: honest * 2,
    lambda random, honest: gzip.compress(_flipped(random, gzip.decompress(honest))),
    lambda random, honest: gzip.compress(_cut(random, gzip.decompress(honest))),
    lambda random, _: bytes(random.randint(1_000_000, 3_000_000)),
)

_REQUIREMENTS: tuple[Callable[[Random], bytes], ...] = (
    *(lambda _: json.dumps(REQUIREMENTS).encode() for _ in range(8)),
    lambda random: _flipped(random, json.dumps(REQUIREMENTS).encode()),
    lambda random: _cut(random, json.dumps(REQUIREMENTS).encode()),
    lambda _: b"[" * 100_000,
    lambda _: b'{"a":' * 50_000,
    lambda _: json.dumps({**REQUIREMENTS, "groups": {"main": [1]}}).encode(),
    lambda _: json.dumps({**REQUIREMENTS, "groups": {"main": ["not a ; requirement ("]}}).encode(),
    lambda _: json.dumps({**REQUIREMENTS, "python_version": "3.11; rm -rf /"}).encode(),
    lambda _: json.dumps({**REQUIREMENTS, "groups": {f"g{n}": [] for n in range(2000)}}).encode(),
    lambda _: b'{"engine_version": 1e999, "groups": {"\\ud800": []}}',
    lambda random: random.randbytes(200),
    lambda _: b" " * 5_000_000,
)


def _parts(random: Random, kind: str) -> list[tuple[bytes, bytes]]:
    """Disposition header and content of each part."""
    archive_name = b"files" if kind == "deployments" else b"file"
    parts = [(b'form-data; name="%s"; filename="a.tar.gz"' % archive_name, _archive(random, kind))]
    if kind == "deployments":
        parts.append((b'form-data; name="requirements"; filename="r"', random.choice(_REQUIREMENTS)(random)))
    match random.randrange(20):
        case 0:
            parts.pop(random.randrange(len(parts)))
        case 1:
            parts.append(random.choice(parts))
        case 2:
            parts.append((b'form-data; name="more"; filename="m"', b"x"))
        case 3:
            parts += [(b'form-data; name="p%d"' % number, b"") for number in range(500)]
        case 4:
            parts[0] = (random.choice((b"", b"form-data", b"form-data; name=", b"\xff\xfe; name=\x00")), parts[0][1])
        case 5:
            parts[0] = (b"form-data; filename*=UTF-8''%00; name*=utf-8''files; name=\"../../etc\"", parts[0][1])
        case 6:
            parts[0] = (parts[0][0] + b"; x=" + b"y" * random.randint(1, 100_000), parts[0][1])
        case 7:
            random.shuffle(parts)
    return parts


def _body(random: Random, parts: list[tuple[bytes, bytes]]) -> tuple[bytes, dict[str, str]]:
    joined = b"".join(
        b"--" + BOUNDARY + b"\r\nContent-Disposition: " + head + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    body, content_type = joined + b"--" + BOUNDARY + b"--\r\n", f"multipart/form-data; boundary={BOUNDARY.decode()}"
    match random.randrange(24):
        case 0:
            body = _cut(random, body)
        case 1:
            body = _flipped(random, body)
        case 2:
            body = joined  # without an end
        case 3:
            body += random.randbytes(random.randint(1, 3000))
        case 4:
            body = body.replace(b"\r\n", b"\n")
        case 5:
            content_type = random.choice(
                (
                    "application/json",
                    "multipart/form-data",
                    "multipart/form-data; boundary=",
                    "multipart/form-data; boundary=other",
                    "multipart/form-data; boundary=" + "b" * 5000,
                    "multipart/mixed; boundary=a-boundary",
                    "text/plain; " + "x=y; " * 1000,
                )
            )
        case 6:
            body = b""
    headers = {"Content-Type": content_type}
    if random.random() < 0.5:
        headers["Content-Length"] = str(random.choice((len(body), len(body), len(body), 0, 10**12)))
    return body, headers


def _pieces(random: Random, body: bytes) -> list[bytes]:
    """The body as the network may cut it."""
    size = random.choice((len(body) or 1, 65_536, 1000, max(len(body) // 7, 1)))
    if random.random() < 0.1:
        body, size = body[:300], 1
    return [body[start : start + size] for start in range(0, len(body), size)]
