"""Archives built by hand, block by block, so that they can be wrong in every way."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR, GNU = b"ustar\x0000", b"ustar  \0"


def header(
    name: bytes,
    *,
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: bytes = b"0000644\0",
    link: bytes = b"",
    magic: bytes = USTAR,
    prefix: bytes = b"",
) -> bytes:
    """One header block with a right checksum. `size` as bytes is the field itself."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name[:100]
    block[100:108] = mode
    block[108:124] = b"0001000\x000001000\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = b"14000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def entry(name: bytes, content: bytes = b"", **fields: bytes) -> bytes:
    return header(name, size=len(content), **fields) + padded(content)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """An extended header. Lengths count themselves."""
    return entry(b"PaxHeader/x", b"".join(pax_record(*record) for record in records), kind=kind)


def pax_record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def tgz(*parts: bytes, end: bytes = END) -> bytes:
    return gzip.compress(b"".join(parts) + end, compresslevel=1, mtime=0)


def tgz_of(files: Mapping[str, bytes], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """As clients write it, with the standard library."""
    buffer = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=buffer, format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzip_of_repeated(begin: bytes, piece: bytes, times: int) -> bytes:
    """A gzip stream of `begin` and `times` times `piece`, made in no time: pieces after a full flush are the same."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = compressor.compress(begin) + compressor.flush(zlib.Z_FULL_FLUSH)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + body * times
