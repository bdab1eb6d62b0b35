"""The documents of one local file (plain text, JSON or Parquet), read with bounded memory."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from repro.errors import UserError

SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
DOCUMENT = 1 << 28  # limit: bytes of a text file; characters of a line, a one-value JSON file or a Parquet text
ROW_GROUP_BYTES = 2 << 30  # limit of a row group's text column, by the footer
BATCH_BYTES = 1 << 26  # approximate size of a Parquet batch
BATCH_ROWS = 1024
_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_FIRST = {
    ".zst": "zstd -d FILE",
    ".xz": "xz -dk FILE",
    ".bz2": "bunzip2 -k FILE",
    ".zip": "unzip FILE",
    ".tar": "tar xf FILE",
    ".tgz": "tar xf FILE",
    ".gz": "gunzip -k FILE",
}


def check_kind(file: Path) -> None:
    """Raises UserError if the name of `file` ends in none of SUFFIXES, ignoring case."""
    name = file.name.lower()
    if name.endswith(SUFFIXES):
        return
    first = _FIRST.get(Path(name).suffix)
    raise UserError(
        "a file of an unknown kind",
        file=file,
        key="corpus.paths",
        found=file.name,
        expected=f"a name that ends in one of: {', '.join(SUFFIXES)}" + (f"; first {first}" if first else ""),
    )


def texts_of(file: Path, text_field: str) -> Iterator[str]:
    """The texts of a file in order: one for a .txt file, else each record's field `text_field`.

    Raises:
        UserError: it can't be read, isn't of the kind that its name says, or has a document larger than DOCUMENT.
    """
    name = file.name.lower()
    try:
        if name.endswith(".txt"):
            yield _plain(file)
        elif name.endswith(".parquet"):
            yield from _parquet(file, text_field)
        else:
            yield from _json(file, name, text_field)
    except UnicodeDecodeError as error:
        raise UserError("not text in UTF-8", file=file, found=str(error), expected="UTF-8") from error
    except (pa.ArrowException, EOFError, OSError, zlib.error) as error:  # BadGzipFile is an OSError
        raise UserError(
            "a broken file", file=file, found=str(error)[:300], expected=f"a complete {file.suffix} file"
        ) from error
    except MemoryError as error:
        raise _too_large(file, str(error) or "more than the memory holds") from error


def _plain(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise _too_large(file, f"{file.stat().st_size:,} bytes")
    _refuse_other_encodings(data[:4], file)
    if (at := data.find(b"\0")) >= 0:
        raise UserError("not plain text", file=file, found=f"a zero byte at {at:,}", expected="text in UTF-8")
    with io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig") as text:  # translates \r\n to \n
        return text.read()


def _json(file: Path, name: str, text_field: str) -> Iterator[str]:
    opened: Any = gzip.open if name.endswith(".gz") else open
    with opened(file, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
        _refuse_other_encodings(raw.peek(4)[:4], file)
        lines = ((number, line) for number, line in _lines(stream, file) if line.strip())
        for place, (number, line) in enumerate(lines):
            if place == 0 and ".jsonl" not in name and _is_part(line):
                yield from _whole(line, stream, file, text_field)
                return
            where = f"{file}, line {number}"
            yield _text(_parsed(line, where, "one JSON object a line"), line, where, text_field)


def _lines(stream: TextIO, file: Path) -> Iterator[tuple[int, str]]:
    for number in itertools.count(1):
        line = stream.readline(DOCUMENT + 1)
        if not line:
            return
        if len(line) > DOCUMENT:
            raise _too_large(f"{file}, line {number}", f"a line of more than {DOCUMENT:,} characters")
        yield number, line.removeprefix("\ufeff")  # a byte-order mark inside concatenated files


def _is_part(line: str) -> bool:
    """Whether a file's first line begins an array or a value of several lines, rather than being a record."""
    if line.lstrip().startswith("["):
        return True
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return True
    except (ValueError, RecursionError):
        pass  # reported when it is read as a record
    return False


def _whole(line: str, stream: TextIO, file: Path, text_field: str) -> Iterator[str]:
    """The records of a file that holds one JSON value: an array of objects, or one object."""
    data = line + stream.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise _too_large(file, f"one JSON value of more than {DOCUMENT:,} characters, not one a line")
    found = _parsed(data, str(file), "an array of JSON objects, or one a line")
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        yield _text(record, None, f"{file}, record {number}", text_field)


def _parsed(data: str, where: str, expected: str) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        if error.lineno > 1:
            where = f"{where}, line {error.lineno}"
        raise UserError(
            "not valid JSON", file=where, found=f"{data.strip()[:80]!r} ({error})", expected=expected
        ) from error
    except (ValueError, RecursionError) as error:  # a number with thousands of digits; deep nesting
        found = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError("JSON that can't be read", file=where, found=found, expected=expected) from error


def _text(record: Any, line: str | None, where: str, text_field: str) -> str:
    text = record.get(text_field) if isinstance(record, dict) else None
    if isinstance(text, str):
        return text
    expected = f'text in "{text_field}"'
    if isinstance(record, dict) and text_field not in record:
        expected += f"; the fields are {', '.join(map(repr, list(record)[:20]))}"
        if text_field.split(".")[0] in record:
            expected += ", and a field inside another isn't looked for"
    elif text is not None:
        expected += f", not {type(text).__name__}"
    found = f"{(json.dumps(record) if line is None else line.strip())[:80]!r}"
    raise UserError("a record without text", file=where, key="corpus.text_field", found=found, expected=expected)


def _parquet(file: Path, text_field: str) -> Iterator[str]:
    with pq.ParquetFile(file) as table:
        rows = _check_column(table, file, text_field)
        metadata = table.metadata
        encodings = {
            encoding
            for group in range(metadata.num_row_groups)
            for encoding in _column(metadata, group, text_field).encodings
        }
    # Keep dictionaries encoded: otherwise a long text that many rows refer to is copied for each row of a batch.
    kept = [text_field] if encodings & {"PLAIN_DICTIONARY", "RLE_DICTIONARY"} else None
    with pq.ParquetFile(file, read_dictionary=kept) as table:
        for batch in table.iter_batches(batch_size=rows, columns=[text_field]):
            for value in batch.column(0):
                text = value.as_py()
                if not isinstance(text, str):
                    raise UserError(
                        "a row without text",
                        file=file,
                        key="corpus.text_field",
                        found=repr(text)[:80],
                        expected=f'text in "{text_field}"',
                    )
                if len(text) > DOCUMENT:
                    raise _too_large(file, f"a text of {len(text):,} characters")
                yield text


def _check_column(table: pq.ParquetFile, file: Path, text_field: str) -> int:
    """Raises UserError unless column `text_field` holds text of bounded size; returns how many rows to read at once."""
    schema = table.schema_arrow
    if schema.names.count(text_field) != 1:
        raise UserError(
            "a table without the text column" if text_field not in schema.names else "two columns of one name",
            file=file,
            key="corpus.text_field",
            found=", ".join(schema.names),
            expected=f'a column "{text_field}"',
        )
    kind = schema.field(text_field).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)):
        raise UserError(
            "a column that isn't text",
            file=file,
            key="corpus.text_field",
            found=f'"{text_field}" of type {kind}',
            expected="strings: cast the column and write the file again",
        )
    sizes = [_column(table.metadata, i, text_field).total_uncompressed_size for i in range(table.num_row_groups)]
    if sizes and not 0 <= min(sizes) <= max(sizes) <= ROW_GROUP_BYTES:
        raise UserError(
            "a row group too large to be read",
            file=file,
            key="corpus.paths",
            found=f"{max(sizes):,} bytes of text in one",
            expected=f"at most {ROW_GROUP_BYTES:,}: write the file with smaller row groups",
        )
    each = sum(sizes) // max(1, table.metadata.num_rows)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, each)))


def _column(metadata: pq.FileMetaData, group: int, name: str) -> Any:
    columns = (metadata.row_group(group).column(i) for i in range(metadata.num_columns))
    return next(column for column in columns if column.path_in_schema == name)


def _refuse_other_encodings(first: bytes, file: Path) -> None:
    for mark, encoding in _MARKS.items():
        if first.startswith(mark):
            raise UserError(
                f"text in {encoding}", file=file, found=f"the mark {mark.hex(' ')}",
                expected=f"UTF-8: iconv -f {encoding} -t UTF-8 FILE",
            )  # fmt: skip


def _too_large(file: object, found: str) -> UserError:
    return UserError(
        "a document too large to be read",
        file=file,
        found=found,
        expected=f"at most {DOCUMENT:,} bytes or characters: cut it into several files, or into JSON lines",
    )
