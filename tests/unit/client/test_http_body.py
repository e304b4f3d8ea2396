"""Bodies end where their framing says, and inflate within limits."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.client import http_body as body_module
from crlab.client.http_body import ChunkedBody, Gzip, LengthBody, coding_of, framing_of
from crlab.errors import TransportError


def chunked(pieces):
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\nT: x\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.lists(st.integers(1, 9)))
def test_chunks_are_put_together_however_they_arrive(pieces, cuts):
    """Byte by byte, or all at once."""
    data, framing, out, at = chunked(pieces), ChunkedBody(), b"", 0
    for cut in [*cuts, len(data)]:
        out += framing.feed(data[at : at + cut])
        at += cut
    assert out == b"".join(pieces)
    assert framing.is_complete
    assert not framing.surplus
    framing.end()


def test_surplus_bytes_are_noticed():
    """A connection with bytes after the answer is not used again."""
    framing = ChunkedBody()
    framing.feed(chunked([b"a"]) + b"HTTP/1.1 200 OK")
    assert framing.surplus
    length = LengthBody(2)
    assert length.feed(b"abc") == b"ab"
    assert length.surplus


@pytest.mark.parametrize(
    "data",
    [b"x\r\n", b"-1\r\n", b"\r\n", b"1\r\nab\r\n", b"f" * 17 + b"\r\n", b"1" * 5000, b"+5\r\n"],
)
def test_a_broken_chunk_is_an_error(data):
    """Corpus P: sizes that are not, chunks longer than they say."""
    with pytest.raises(TransportError, match=r"not HTTP/1\.1"):
        ChunkedBody().feed(data)


def test_endless_trailers_are_an_error():
    """S18."""
    with pytest.raises(TransportError, match="too many trailers"):
        ChunkedBody().feed(b"0\r\n" + b"T: x\r\n" * 10_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"transfer-encoding": "chunked", "content-length": "3"},
        {"transfer-encoding": "gzip, chunked"},
        {"content-length": "3, 4"},
        {"content-length": "-1"},
        {"content-length": "٣"},
        {"content-length": "9" * 30},
    ],
)
def test_contradicting_headers_are_an_error(headers):
    """Corpus P: what two readers would frame differently is framed by none."""
    with pytest.raises(TransportError):
        framing_of(200, "GET", headers)


def test_a_cut_body_is_never_whole():
    """Faults 4, 5: by length and by chunks."""
    for framing in (LengthBody(5), ChunkedBody()):
        framing.feed(b"3\r\nabc"[: 4 if isinstance(framing, LengthBody) else 6])
        with pytest.raises(TransportError, match="cut"):
            framing.end()


def test_answers_without_a_body_have_none():
    """204, 304 and HEAD, whatever their headers say."""
    for status, method in ((204, "GET"), (304, "GET"), (200, "HEAD")):
        assert framing_of(status, method, {"content-length": "5"}).is_complete


def inflate(data, step=1000):
    coding, out = Gzip(), b""
    for at in range(0, len(data), step):
        out += coding.feed(data[at : at + step])
        while coding.has_more:
            out += coding.feed(b"")
    coding.end()
    return out


def test_gzip_is_inflated_a_piece_at_a_time():
    """No piece is larger than 1 MiB, whatever it inflates to."""
    text = bytes(range(256)) * 20_000
    assert inflate(gzip.compress(text)) == text


def test_a_truncated_gzip_is_an_error():
    """Fault 20."""
    with pytest.raises(TransportError, match="truncated"):
        inflate(gzip.compress(b"x" * 5000)[:-9])


def test_what_is_not_gzip_is_an_error():
    """Fault 20."""
    with pytest.raises(TransportError, match="not gzip"):
        inflate(b"plainly not")


def test_a_gzip_bomb_is_stopped(monkeypatch):
    """Fault 20, S18: 1:1000 is stopped long before it is inflated."""
    monkeypatch.setattr(body_module, "RATIO_GRACE_BYTES", 1 << 20)
    bomb = gzip.compress(bytes(64 << 20))
    with pytest.raises(TransportError, match="inflates to more than"):
        inflate(bomb)


def test_a_coding_that_was_not_asked_for_is_an_error():
    """br and zstd are refused rather than handed on."""
    with pytest.raises(TransportError, match="unasked"):
        coding_of({"content-encoding": "br"})
