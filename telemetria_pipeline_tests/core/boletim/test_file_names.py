"""What a sender calls a file never leads anywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.boletim.inbox import file_id
from telemetria_pipeline.storage import Lake, StorageError


@given(st.text(max_size=80), st.text(max_size=20))
def test_a_file_s_id_is_one_segment_of_a_path(key, version):
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", file_id(key, version))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\..\\b.ini", "a\n../b.csv", "=1+1.csv"]
)
def test_hostile_names_lead_nowhere(name, tmp_path):
    lake = Lake.open(f"file:{tmp_path}/lake")
    lake.put_raw(f"raw_boletins/arquivo={file_id(name, '1')}/original.csv", b"x")
    for path in (f"../{name}", f"archive/../../{name}"):
        with pytest.raises(StorageError):
            lake.store.put(path, b"x")
    assert {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")} == {"lake"}
