"""What people have as text files: odd bytes, other forms, too much of something. A right answer or a clear error."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro.corpus import records
from repro.corpus.files import FilesSource
from repro.errors import UserError

TWO = '{"text": "one"}\n{"text": "two ü"}\n'
ARRAY = '[\n {"text": "one"},\n {"text": "two ü", "more": [1]}\n]\n'


def texts(path: Path, field: str = "text") -> list[str]:
    return [document.text for document in FilesSource((str(path),), field).documents()]


def refusal(path: Path, field: str = "text") -> str:
    with pytest.raises(UserError) as refused:
        texts(path, field)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", TWO.encode()),
        ("a.jsonl", TWO.encode("utf-8-sig")),
        ("a.jsonl", TWO.replace("\n", "\r\n").encode()),
        ("a.jsonl", (TWO.split("\n")[0] + "\n").encode("utf-8-sig") + (TWO.split("\n")[1] + "\n").encode("utf-8-sig")),
        ("A.JSONL", TWO.encode()),
        ("a.json", TWO.encode()),
        ("a.json", b"\n\n" + TWO.encode("utf-8-sig")),
        ("a.json", ARRAY.encode("utf-8-sig")),
        ("a.json", json.dumps(json.loads(ARRAY)).encode()),
        ("a.json.gz", gzip.compress(ARRAY.encode())),
        ("a.JSON.GZ", gzip.compress(TWO.encode())[:-8] + gzip.compress(TWO.encode())[-8:]),
        ("a[v2].jsonl", TWO.encode()),
    ],
)
def test_the_same_two_texts_in_whatever_form(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "av.jsonl").write_text('{"text": "another file, that the brackets would match as a pattern"}\n')
    assert texts(tmp_path / name) == ["one", "two ü"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("ä text".encode("utf-8-sig"), "ä text"),
        (b"two\r\nlines\rand one", "two\nlines\nand one"),
        (b"", ""),
        ("﻿﻿x".encode(), "﻿x"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "A.TXT"])
def test_plain_text_is_without_its_mark_and_its_lines_end_alike(
    tmp_path: Path, name: str, data: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert texts(tmp_path / name) == [text]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz"])
def test_an_empty_file_has_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    assert texts(tmp_path / name) == []


def test_one_object_over_several_lines_is_a_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"text": "one", "id": 1}, indent=2))
    assert texts(tmp_path / "a.json") == ["one"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.json.gz"])
def test_other_encodings_are_named(tmp_path: Path, name: str, encoding: str) -> None:
    mark = "﻿" if encoding == "utf-16-be" else ""
    data = (mark + TWO).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    message = refusal(tmp_path / name)
    assert f"iconv -f {encoding[:6].upper()}" in message
    assert name in message


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", "no mark".encode("utf-16-le"), "a zero byte at 1"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0", "a zero byte at 8"),
        ("a.txt", "café".encode("latin-1"), "UTF-8"),
        ("a.jsonl", '{"text": "café"}'.encode("latin-1"), "UTF-8"),
        ("a.jsonl", b'{"text": "good"}\n{"text": 5}\n', "line 2"),
        ("a.jsonl", b'{"text": 5}\n', "not int"),
        ("a.jsonl", b'{"text": ["a", "list"]}\n', "not list"),
        ("a.jsonl", b'{"body": "x", "id": 3}\n', "'body', 'id'"),
        ("a.jsonl", b"[" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested too deeply"),
        ("a.json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"n": ' + b"9" * 5000 + b', "text": "x"}\n', "JSON that can't be read"),
        ("a.json", b'[{"text": "x"}, "bare"]', "record 2"),
        ("a.json", b'[\n{"text": "x"},\n{"text": ]', "line 3"),
        ("a.json", b"3", "a record without text"),
        ("a.jsonl", b'[{"text": "x"}]\n', "a record without text"),
        ("a.parquet", b"PAR1 and no more", "broken"),
        ("a.parquet", b"", "broken"),
        ("a.parquet", b"PARE" + bytes(100) + b"PARE", "broken"),
        ("a.jsonl.zst", b"x", "zstd -d"),
        ("a.jsonl.xz", b"x", "xz -dk"),
        ("a.txt.gz", b"x", "gunzip"),
        ("a.csv", b"x", ".parquet"),
    ],
)
def test_what_is_no_text_is_refused_by_file(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    message = refusal(tmp_path / name)
    assert said in message
    assert name in message


def test_a_field_inside_another_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"data": {"text": "x"}}\n')
    assert "a field inside another isn't looked for" in refusal(tmp_path / "a.jsonl", "data.text")


def test_a_folder_is_refused_with_the_pattern_of_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    assert f"{tmp_path}/*" in refusal(tmp_path)


# -------------------------------------------------------------------------------------------------- Parquet


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["one", "two ü", "one"], pa.large_string()),
        pa.array(["one", "two ü", "one"], pa.string()).dictionary_encode(),
        pa.array(["one", "two ü", "one"], pa.string_view()),
    ],
    ids=str,
)
@pytest.mark.parametrize("dictionaries", [True, False])
def test_text_columns_of_every_kind_are_read(tmp_path: Path, column: Any, dictionaries: bool) -> None:
    table = pa.table({"id": [1, 2, 3], "text": column})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, use_dictionary=dictionaries)
    assert texts(tmp_path / "a.parquet") == ["one", "two ü", "one"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"text": [b"one", b"two"]}), "of type binary"),
        (pa.table({"text": [1, 2]}), "of type int64"),
        (pa.table({"text": [["a"], ["b"]]}), "of type list"),
        (pa.table({"text": pa.array([None, None])}), "of type null"),
        (pa.table({"text": pa.array(["a", None])}), "a row without text"),
        (pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), "two columns of one name"),
        (pa.table({"data": [{"text": "x"}]}), "without the text column"),
    ],
    ids=str,
)
def test_columns_that_are_no_text_are_refused(tmp_path: Path, table: pa.Table, said: str) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    assert said in refusal(tmp_path / "a.parquet")


def test_an_encrypted_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x"]}), path)
    data = path.read_bytes()
    path.write_bytes(b"PARE" + data[4:-4] + b"PARE")
    assert "a.parquet" in refusal(path)


# -------------------------------------------------------------------------------------------------- too much


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "DOCUMENT", 10_000)
    monkeypatch.setattr(records, "ROW_GROUP_BYTES", 100_000)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b"x" * 10_001),
        ("a.jsonl", b'{"text": "x"}\n{"text": "' + b"x" * 10_001 + b'"}\n'),
        ("a.json.gz", gzip.compress(b" " * 10_000_000)),
        ("a.json", b"[\n" + b'{"text": "x"},\n' * 1000 + b'{"text": "x"}]'),
    ],
)
def test_more_in_one_piece_than_fits_is_refused(small: None, tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert "too large to be read" in refusal(tmp_path / name)


def test_a_row_group_too_large_is_refused_by_its_footer(small: None, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [f"{i:01000}" for i in range(200)]}), tmp_path / "a.parquet")
    assert "smaller row groups" in refusal(tmp_path / "a.parquet")


def test_a_long_text_that_many_rows_refer_to_is_not_made_once_a_row(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet", dictionary_pagesize_limit=1 << 30)
    before = pa.total_allocated_bytes()
    found = records.texts_of(tmp_path / "a.parquet", "text")
    assert len(next(found)) == len(next(found)) == 1 << 20
    assert pa.total_allocated_bytes() - before < 16 << 20
