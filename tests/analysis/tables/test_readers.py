"""Files as people have them: one table reads alike from each, and what can't be read says what it is."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.laws.registry import CHINCHILLA
from analysis.tables import readers, table
from repro.errors import UserError
from repro.store.folder import Folder
from tests.analysis.points import ROWS

TEXT = "N,D,loss\n" + "".join(f"{r['N']},{r['D']},{r['loss']}\n" for r in ROWS)
LINES = "\n".join(map(json.dumps, ROWS))
NAMES = list(ROWS[0])


def columns(**more: Any) -> dict[str, Any]:
    return {name: [row[name] for row in ROWS] for name in NAMES} | more


def german(value: float, places: int) -> str:
    return f"{value:,.{places}f}".replace(",", " ").replace(".", ",").replace(" ", ".")


FILES: dict[str, bytes] = {
    "a.csv.gz": gzip.compress(TEXT.encode()),
    "packed-without-saying.csv": gzip.compress(TEXT.encode()),
    "a.csv.bz2": bz2.compress(TEXT.encode()),
    "a.csv.xz": lzma.compress(TEXT.encode()),
    "not-packed.CSV": TEXT.encode(),
    "a.tsv": TEXT.replace(",", "\t").encode(),
    "a.txt": TEXT.replace(",", "  ").encode(),
    "pipes.csv": TEXT.replace(",", "|").encode(),
    "excel.csv": ("sep=;\n" + TEXT.replace(",", ";")).encode(),
    "bom.csv": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf16.csv": TEXT.encode("utf-16"),
    "utf16-without-mark.csv": TEXT.encode("utf-16-be"),
    "mac.csv": TEXT.replace("\n", "\r").encode(),
    "windows.csv": TEXT.replace("\n", "\r\n").encode(),
    "comments.csv": ("# mine\n\n" + TEXT + "\n,,\n  \n# the end\n").encode(),
    "quoted.csv": ('"N","D","loss"\n' + "".join(f'"{r["N"]:,.0f}","{r["D"]:,.0f}","{r["loss"]}"\n' for r in ROWS)).encode(),
    "german.csv": (
        "N;D;loss\n" + "".join(f"{german(r['N'], 1)};{german(r['D'], 0)};{german(r['loss'], 12)}\n" for r in ROWS)
    ).encode(),
    "suffixes.csv": ("N,D,loss\n" + "".join(f"{r['N'] / 1e6:g}M,{r['D'] / 1e9:g}B,{r['loss']}\n" for r in ROWS)).encode(),
    "texts.csv": TEXT.replace("loss\n", "loss,config\n").replace("\n", f",{'x' * 200_000}\n").encode(),
    "twice-but-not-asked-for.csv": "\n".join(f"{line},1,2" for line in TEXT.split()).replace(",1,2", ",x,x", 1).encode(),
    "array.json": json.dumps(ROWS, indent=1).encode(),
    "lines.json": LINES.encode(),
    "bom.jsonl": b"\xef\xbb\xbf" + LINES.encode(),
    "utf16.ndjson": LINES.encode("utf-16"),
    "a.jsonl.gz": gzip.compress(LINES.encode()),
    "lists.json": json.dumps(columns()).encode(),
    "pandas.json": json.dumps({name: {str(i): r[name] for i, r in enumerate(ROWS)} for name in NAMES}).encode(),
    "split.json": json.dumps({"columns": NAMES, "index": [], "data": [[r[n] for n in NAMES] for r in ROWS]}).encode(),
    "orient-table.json": json.dumps({"schema": {}, "data": ROWS}).encode(),
    "nested.jsonl": "\n".join(json.dumps({**r, "config": {"deep": [{}] * 3, "N": 1}}) for r in ROWS).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_one_table_reads_alike_from_every_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    found = table.read(str(tmp_path / name), [CHINCHILLA])
    assert found.flags == ()
    for column, values in (*found.columns.items(), ("loss", found.loss)):
        np.testing.assert_allclose(values, [row[column] for row in ROWS], rtol=1e-9)


def test_every_type_of_a_parquet_file_is_a_number_or_refused_with_its_row(tmp_path: Path) -> None:
    n = [row["N"] for row in ROWS]
    whole = [int(value) for value in n]
    good = {
        "decimal": pa.array([decimal.Decimal(value) for value in whole], pa.decimal128(20, 2)),
        "dictionary": pa.array(n).dictionary_encode(),
        "text": pa.array([f"{value:,}" for value in whole]).dictionary_encode(),
        "int": pa.array(whole, pa.uint32()),
        "float32": pa.array(n, pa.float32()),
        "inside": [{"of": value} for value in n],
    }
    bad = {"list": [[value] for value in n], "bool": [True] * len(n), "bytes": [b"1"] * len(n)}
    bad |= {"when": [datetime.datetime(2024, 1, 1)] * len(n), "day": [datetime.date(2024, 1, 1)] * len(n)}
    bad |= {"span": [datetime.timedelta(1)] * len(n)}
    half = pa.array(np.array([row["loss"] for row in ROWS], np.float16))
    pq.write_table(pa.table(columns(**good, **bad, half=half)), tmp_path / "kinds.parquet")
    file = str(tmp_path / "kinds.parquet")
    for name in good:
        held = "inside.of" if name == "inside" else name
        np.testing.assert_array_equal(table.read(file, [CHINCHILLA], columns={"N": held}).columns["N"], n)
    found = table.read(file, [CHINCHILLA], columns={"loss": "half"})
    np.testing.assert_allclose(found.loss, [row["loss"] for row in ROWS], rtol=1e-3)
    for name in bad:
        with pytest.raises(UserError, match="in row 1"):
            table.read(file, [CHINCHILLA], columns={"N": name})


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"PK\x03\x04...", "spreadsheet"),
        ("a.csv", b"PK\x03\x04...", "spreadsheet"),
        ("a.ods", b"x", "saved as CSV"),
        ("a.csv", b"<!DOCTYPE html>", "web page"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ("a.parquet", b"PAR1 and no more PAR1", "not a readable Parquet file"),
        ("a.parquet", b"N,D,loss\n", "not a Parquet file"),
        ("a.pkl", b"\x80\x04K\x01.", "pickle"),
        ("a.feather", b"ARROW1", "Arrow file"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd", "zstd"),
        ("a.csv.gz", gzip.compress(TEXT.encode())[:-20], "damaged"),
        ("a.csv.gz", TEXT.encode(), "unknown kind"),
        ("a", TEXT.encode(), "unknown kind"),
        ("a.csv", TEXT.encode()[9:], "without names"),
        ("a.csv", b"# nothing else\n", "empty table"),
        ("a.csv", b"\n\n", "empty table"),
        ("a.csv", TEXT.replace("loss", "caf\xe9,loss").encode("latin-1"), "0xe9 in line 1"),
        ("a.csv", TEXT.encode() + b"\0\0\0", "NUL"),
        ("a.csv", TEXT.replace("D,loss", "loss,loss").encode(), "no such column"),
        ("a.csv", TEXT.replace("D,loss", "D,loss,loss").replace("\n", ",1\n").encode(), "columns 3 and 4"),
        ("a.csv", TEXT.encode() + b"1,000,1,2\n", "4 in row 13"),
        ("a.csv", TEXT.encode() + b'"1,2,3\n', "line 14"),
        ("a.csv", b"Step,brisk-1 - val_loss,brisk-1 - val_loss__MIN\n1,3,3\n", "table of runs"),
        ("a.csv", (TEXT + "1.2B,3e9,2,5\n").encode(), "more cells"),
        ("a.csv", TEXT.replace("loss\n", "loss\nparams,tokens,nats\n").encode(), "'params' in row 1"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"a":' * 100_000, "nested too deeply"),
        ("a.json", b'[{"N": 1, "N": 2}]', "twice"),
        ("a.jsonl", LINES.encode() + b'\n{"N": 1, "D": 2, "loss": 3, "loss": 4}', "twice"),
        ("a.jsonl", LINES.encode() + b"\n{", "in line 13"),
        ("a.json", b"3", "not a table"),
        ("a.json", b"[1, 2]", "isn't an object"),
        ("a.json", b'{"N": [1, 2], "D": [1]}', "unequal length"),
        ("a.json", b'{"runs": [{"N": 1}]}', "rows inside"),
        ("a.json", b'{"config": {"N": 1}, "summary": {"loss": 2}}', "not a table"),
        ("a.jsonl", b'{"a.b": 1, "a": {"b": 2}}', "two values"),
    ],
)
def test_what_cant_be_read_says_what_it_is(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        table.read(str(tmp_path / name), [CHINCHILLA])


def test_a_packed_file_is_unpacked_so_far_and_no_farther(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST", 1 << 20)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(TEXT.encode() + b"0" * (8 << 20)))
    with pytest.raises(UserError, match="too large a table"):
        table.read(str(tmp_path / "bomb.csv.gz"), [CHINCHILLA])


def test_nested_objects_are_columns_of_dotted_names(tmp_path: Path) -> None:
    rows = [{"config": {"model": {"N": r["N"]}, "D": r["D"]}, "summary": {"loss": r["loss"]}} for r in ROWS]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = {"N": "config.model.N", "D": "config.D", "loss": "summary.loss"}
    found = table.read(str(tmp_path / "runs.jsonl"), [CHINCHILLA], columns=given)
    np.testing.assert_array_equal(found.loss, [row["loss"] for row in ROWS])


def test_a_folder_is_a_table_where_it_holds_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without runs\.parquet"):
        table.read(str(tmp_path), [CHINCHILLA])
    for data, message in ((b"", "not a readable"), (b"PAR1 PAR1", "not a readable")):
        (tmp_path / "runs.parquet").write_bytes(data)
        with pytest.raises(UserError, match=message):
            table.read(str(tmp_path), [CHINCHILLA])
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "runs.parquet")
    with pytest.raises(UserError, match="schema version"):
        table.read(str(tmp_path), [CHINCHILLA])
    stamped = pa.Table.from_pylist(ROWS).replace_schema_metadata({"schema_version": "2"})
    pq.write_table(stamped, Folder.open(tmp_path).path + "/runs.parquet")
    with pytest.raises(UserError, match="not the columns of runs"):
        table.read(str(tmp_path), [CHINCHILLA])
