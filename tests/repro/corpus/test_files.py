import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro.corpus.files import FilesSource
from repro.errors import UserError

TEXTS = ["one small text", "another,\nof two lines", "ünïcode"]
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)


def write_txt(folder):
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")


def write_jsonl(folder):
    (folder / "a.jsonl").write_text(LINES + "\n")


def write_gzip(folder):
    (folder / "a.json.gz").write_bytes(gzip.compress(LINES.encode()))


def write_parquet(folder):
    pq.write_table(pa.table({"id": [1, 2, 3], "text": TEXTS}), folder / "a.parquet")


@pytest.mark.parametrize("write", [write_txt, write_jsonl, write_gzip, write_parquet])
def test_every_kind_of_file_gives_its_documents_in_order(tmp_path, write):
    write(tmp_path)
    assert [document.text for document in FilesSource((f"{tmp_path}/*",), "text").documents()] == TEXTS


def test_copies_of_one_document_are_one_group(tmp_path):
    (tmp_path / "a.txt").write_text("same")
    (tmp_path / "b.jsonl").write_text('{"text": "same"}\n{"text": "other"}\n')
    groups = [document.group for document in FilesSource((f"{tmp_path}/*",), "text").documents()]
    assert groups[0] == groups[1] != groups[2]


def refusal(path, field="text"):
    with pytest.raises(UserError) as error:
        list(FilesSource((str(path),), field).documents())
    return str(error.value)


def test_a_path_that_names_no_file_is_refused(tmp_path):
    message = refusal(tmp_path / "*.txt")
    assert "corpus.paths" in message
    assert str(tmp_path / "*.txt") in message


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    assert ".parquet" in refusal(tmp_path / "a.csv")


def test_a_bad_json_line_is_named_by_file_and_number(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": \n')
    message = refusal(tmp_path / "a.jsonl")
    assert "a.jsonl, line 2" in message
    assert "one JSON object a line" in message


@pytest.mark.parametrize("line", ['{"body": "x"}', '{"text": null}', "[1]"])
def test_a_record_without_the_text_field_is_refused(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    message = refusal(tmp_path / "a.jsonl")
    assert "corpus.text_field" in message
    assert line in message


def test_a_parquet_file_without_the_text_column_names_the_columns_it_has(tmp_path):
    write_parquet(tmp_path)
    message = refusal(tmp_path / "a.parquet", field="body")
    assert "id, text" in message
    assert '"body"' in message


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("a.json.gz", lambda data: data[:-9]),
        ("a.json.gz", lambda data: b"plain text"),
        ("a.parquet", lambda data: data[:-9]),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, damage):
    write_gzip(tmp_path)
    write_parquet(tmp_path)
    path = tmp_path / name
    path.write_bytes(damage(path.read_bytes()))
    assert str(path) in refusal(path)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    assert "UTF-8" in refusal(tmp_path / "a.txt")


def test_content_changes_with_the_bytes_and_not_with_names_or_times(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    cache = tmp_path / "cache"
    before = FilesSource((str(tmp_path / "a.txt"),), "text").content(cache)
    os.utime(tmp_path / "a.txt", (1, 1))
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert FilesSource((str(tmp_path / "b.txt"),), "text").content(cache) == before
    (tmp_path / "b.txt").write_text("TEXT")
    assert FilesSource((str(tmp_path / "b.txt"),), "text").content(cache) != before


def texts(*paths):
    return [document.text for document in FilesSource(paths, "text").documents()]


def test_a_file_is_read_once_by_however_many_patterns_and_names(tmp_path, monkeypatch):
    write_jsonl(tmp_path)
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    (tmp_path / "c.jsonl").hardlink_to(tmp_path / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    assert texts("*.jsonl", "a.jsonl", f"{tmp_path}/./[ab].jsonl", "b.jsonl", "c.jsonl") == TEXTS
    (tmp_path / "other.jsonl").write_text('{"text": "one more"}\n')
    assert texts("*.jsonl") == [*TEXTS, "one more"]


def test_home_and_variables_are_expanded_and_brackets_are_brackets(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TEXTS", str(tmp_path / "text[v2]"))
    (tmp_path / "text[v2]").mkdir()
    write_jsonl(tmp_path / "text[v2]")
    for path in ("~/text[v2]/a.jsonl", "$TEXTS/a.jsonl", "${TEXTS}/a.jsonl"):
        assert texts(path) == TEXTS
    with pytest.raises(UserError, match="NO_SUCH_VARIABLE"):
        texts("$NO_SUCH_VARIABLE/a.jsonl")


def test_a_file_changed_with_its_size_and_time_kept_is_other_content(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    before, times = FilesSource((str(path),), "text").content(tmp_path / "cache"), path.stat()
    path.write_text("TEXT")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert FilesSource((str(path),), "text").content(tmp_path / "cache") != before


def test_a_broken_note_of_a_hash_is_not_believed(tmp_path):
    write_jsonl(tmp_path)
    source = FilesSource((str(tmp_path / "a.jsonl"),), "text")
    found = source.content(tmp_path / "cache")
    [note] = (tmp_path / "cache").iterdir()
    note.write_text("../../evil")
    assert source.content(tmp_path / "cache") == found
