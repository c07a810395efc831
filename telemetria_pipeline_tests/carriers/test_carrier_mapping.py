"""Records become rows: one each, always, under our names and units."""

import time
from types import SimpleNamespace

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers.inspection import inspect, positions_only
from telemetria_pipeline.carriers.mapping import map_pages, seen_fields
from telemetria_pipeline.carriers.paths import truth
from telemetria_pipeline.carriers.profile import load_profile
from telemetria_pipeline.contracts.telemetry import MAPPED_TRIPS
from telemetria_pipeline_tests.carriers.conftest import make_profile

SIMULATOR = load_profile("simulator")
TRIP = {
    "id": "t-1", "status": "completed", "updated_at": "2026-03-10T12:00:00Z",
    "asset": {"id": "v-012", "description": "Glória|3803|GDP-4J68-DVR", "registration": None,
              "timezone": "America/Cuiaba"},
    "garage": None, "driver": {"id": "d-07", "name": "Zoé Ávila"},
    "departure": {"time": "2026-03-10T07:03:12Z", "place": "Usina", "odometer_m": 123456789},
    "arrival": {"time": "2026-03-10T04:50:32-03:00", "place": "Frente 7", "odometer_m": 123498949},
    "next_departure": None, "distance_m": 42160.0, "max_speed_kmh": 87, "driving_seconds": 2840,
    "stopped_seconds": None,
}  # fmt: skip


def page(*records, number=1, stamp=None):
    return SimpleNamespace(number=number, records=list(records), stamp=stamp or {})


def row(record, profile=SIMULATOR, **stamp):
    frame = map_pages(profile, [page(record, stamp=stamp)])
    return frame.iloc[0].where(frame.iloc[0].notna(), None).to_dict()


def trip(**changes):
    """The trip with some values replaced; `a__b` reaches inside."""
    copy = orjson.loads(orjson.dumps(TRIP))
    for name, value in changes.items():
        *parents, last = name.split("__")
        holder = copy
        for parent in parents:
            holder = holder[parent]
        holder[last] = value
    return copy


def test_a_record_is_mapped_value_by_value():
    found = row(TRIP)
    assert found == {
        "transportadora": "Transportes Simulados", "veiculo_id": "v-012", "placa_recebida": "GDP-4J68",
        "equipamento": "3803", "descricao": "Glória|3803|GDP-4J68-DVR", "garagem": "Glória",
        "motorista_id": "d-07", "motorista": "Zoé Ávila",
        "saida_utc": pd.Timestamp("2026-03-10T07:03:12Z"),
        "chegada_utc": pd.Timestamp("2026-03-10T07:50:32Z"), "proxima_saida_utc": None,
        "fuso": "America/Cuiaba", "local_saida": "Usina", "local_chegada": "Frente 7",
        "distancia_telemetria_km": 42.16, "odometro_saida_km": 123456.789, "odometro_chegada_km": 123498.949,
        "velocidade_maxima_kmh": 87.0, "tempo_conducao_s": 2840.0, "tempo_parado_s": None,
        "em_andamento": False, "id_origem": "t-1", "atualizado_utc": pd.Timestamp("2026-03-10T12:00:00Z"),
        "ilegivel": None, "pagina": 1, "registro": 1,
    }  # fmt: skip


def assert_under_contract(frame):
    assert list(frame.columns) == MAPPED_TRIPS.names
    assert {n: str(t) for n, t in frame.dtypes.items()} == {
        c.name: c.pandas_dtype for c in MAPPED_TRIPS.columns
    }
    pa.Table.from_pandas(frame, pa.schema([(c.name, c.type) for c in MAPPED_TRIPS.columns]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LEAVES = ["id", "status", "updated_at", "garage", "next_departure", "distance_m", "max_speed_kmh"]
ODD_TRIP = st.builds(
    lambda changes: {**TRIP, **changes},
    st.dictionaries(st.sampled_from([*LEAVES, "asset", "driver", "departure", "arrival"]), JSON)
    | st.dictionaries(
        st.sampled_from(["asset", "driver", "departure", "arrival"]),
        st.dictionaries(st.sampled_from(["id", "time", "odometer_m", "name", "timezone"]), JSON),
    ),
)


@given(
    st.lists(st.lists(JSON | ODD_TRIP, max_size=4), max_size=3),
    st.sampled_from(["simulator", "traccar", "samsara", "motive"]),
)
def test_one_row_for_every_record_whatever_it_is(pages, name):
    frame = map_pages(load_profile(name), [page(*r, number=i) for i, r in enumerate(pages, 5)])
    assert_under_contract(frame)
    assert list(zip(frame["pagina"], frame["registro"], strict=True)) == [
        (i, j) for i, records in enumerate(pages, 5) for j in range(1, len(records) + 1)
    ]
    records = [record for records in pages for record in records]
    for text, record in zip(frame["ilegivel"], records, strict=True):
        if not isinstance(record, dict):
            assert text.startswith("registro=")


@pytest.mark.parametrize("value", [901234, "901234"])
def test_what_comes_in_hundreds_of_metres_is_multiplied(value):
    fields = {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e"}
    odometer = {"path": "o", "unit": "m", "factor": 100}
    profile = make_profile(fields={**fields, "odometro_saida_km": odometer})
    assert row({"o": value}, profile)["odometro_saida_km"] == pytest.approx(90123.4, abs=1e-9)


def test_no_records_give_an_empty_table_under_contract():
    for pages in ([], [page()], [page(), page(number=2)]):
        frame = map_pages(SIMULATOR, pages)
        assert_under_contract(frame)
        assert len(frame) == 0


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("not a trip", "registro=not a trip"), (None, "registro=None"), ([TRIP], "registro=(array)"),
        (True, "registro=true"), (7, "registro=7"), ("x" * 99, "registro=" + "x" * 60),
    ],
)  # fmt: skip
def test_a_record_that_is_no_object_is_a_row_too(record, said):
    found = row(record)
    assert found["ilegivel"] == said and found["veiculo_id"] is None and found["em_andamento"] is False


@pytest.mark.parametrize(
    ("changes", "column", "said"),
    [
        ({"distance_m": "abc"}, "distancia_telemetria_km", "distancia_telemetria_km=abc"),
        ({"distance_m": True}, "distancia_telemetria_km", "distancia_telemetria_km=true"),
        ({"distance_m": {"driver": "Zoé"}}, "distancia_telemetria_km", "distancia_telemetria_km=(object)"),
        ({"departure__odometer_m": [1]}, "odometro_saida_km", "odometro_saida_km=(array)"),
        ({"departure__time": 9223372036854775807}, "saida_utc", "saida_utc=9223372036854775807"),
        ({"departure__time": "0001-01-01T00:00:00Z"}, "saida_utc", "saida_utc=0001-01-01T00:00:00Z"),
        ({"departure__time": "2026-03-10T07:03:12"}, "saida_utc", "saida_utc=2026-03-10T07:03:12"),
        ({"departure__time": "a; b\nc"}, "saida_utc", "saida_utc=a, b c"),
        ({"asset__id": {"a": 1}}, "veiculo_id", "veiculo_id=(object)"),
        ({"asset__id": False}, "veiculo_id", "veiculo_id=false"),
        ({"asset__id": 123456789012345678901234567890.0}, "veiculo_id", "veiculo_id=1.2345678901234568e+29"),
        ({"asset__timezone": "America/Sao_Paolo"}, "fuso", "fuso=America/Sao_Paolo"),
        ({"asset__timezone": "../../etc/passwd"}, "fuso", "fuso=../../etc/passwd"),
        ({"asset__timezone": "America"}, "fuso", "fuso=America"),
        ({"driver__id": ["Zoé"]}, "motorista_id", "motorista_id=***"),
        ({"driver__name": {"first": "Zoé"}}, "motorista", "motorista=***"),
    ],
)
def test_a_value_that_cannot_be_read_is_missing_and_named(changes, column, said):
    found = row(trip(**changes))
    assert found[column] is None
    assert found["ilegivel"] == said


def test_several_unreadable_values_are_all_named():
    found = row(trip(distance_m="abc", max_speed_kmh="fast", garage="G"))
    assert found["ilegivel"] == "distancia_telemetria_km=abc; velocidade_maxima_kmh=fast"
    assert found["garagem"] == "G" and found["veiculo_id"] == "v-012"


def test_numbers_serve_as_ids_and_blanks_are_missing():
    assert row(trip(asset__id=7))["veiculo_id"] == "7"
    assert row(trip(asset__id=7.0))["veiculo_id"] == "7"
    assert row(trip(departure__place="  "))["local_saida"] is None
    assert row(trip(departure__place=""))["ilegivel"] is None


def test_missing_objects_are_missing_values_and_no_trouble():
    found = row({"id": "t-9"})
    assert found["ilegivel"] is None and found["motorista"] is None and found["saida_utc"] is None
    assert row(trip(driver=None))["motorista_id"] is None
    assert row(trip(driver="Zoé"))["motorista_id"] is None


def test_the_zone_is_the_records_or_the_profiles():
    assert row(trip(asset__timezone=None))["fuso"] == "America/Sao_Paulo"
    local = make_profile(
        fields={"fuso": "z", "atualizado_utc": "u"}, times={"format": "iso_local", "zone": "America/Manaus"}
    )
    at = {"v": "1", "s": "2026-03-10T07:00:00", "e": "2026-03-10T08:00:00Z"}
    assert row(at, local)["saida_utc"] == pd.Timestamp("2026-03-10T11:00:00Z")
    assert row(at, local)["chegada_utc"] == pd.Timestamp("2026-03-10T08:00:00Z")
    assert row({**at, "z": "America/Sao_Paulo"}, local)["saida_utc"] == pd.Timestamp("2026-03-10T10:00:00Z")
    unknown = row({**at, "z": "Nowhere/Land"}, local)
    assert unknown["saida_utc"] is None
    assert unknown["ilegivel"] == "fuso=Nowhere/Land; saida_utc=2026-03-10T07:00:00"


def test_what_runs_has_no_arrival():
    running = row(trip(status="running"))
    assert running["em_andamento"] is True and running["chegada_utc"] is None
    assert row(trip(arrival=None))["em_andamento"] is False  # the status says otherwise
    by_arrival = make_profile(sentinels={"chegada_utc": ["9999"]})
    at = {"v": "1", "s": "2026-03-10T07:00:00Z"}
    for end, runs in [(None, True), ("9999", True), ("2026-03-10T08:00:00Z", False), ("garbage", False)]:
        assert row({**at, "e": end}, by_arrival)["em_andamento"] is runs
    for flag, runs in [(True, True), (False, False), (None, False), (1, True), (0, False)]:
        flagged = make_profile(running="active")
        assert row({**at, "e": None, "active": flag}, flagged)["em_andamento"] is runs
    compared = make_profile(running="kind == `3`")
    assert row({**at, "kind": 3}, compared)["em_andamento"] is True


def test_sentinels_mean_none_and_are_not_unreadable():
    profile = make_profile(
        fields={"motorista_id": "d", "odometro_saida_km": "o"},
        sentinels={"motorista_id": [0, "UnknownDriverId"], "odometro_saida_km": [0, "n/a"]},
    )
    for driver in (0, 0.0, "UnknownDriverId"):
        found = row({"d": driver, "o": 0}, profile)
        assert found["motorista_id"] is None and found["odometro_saida_km"] is None
        assert found["ilegivel"] is None
    assert row({"d": "0", "o": "n/a"}, profile)["motorista_id"] == "0"
    assert row({"d": {}, "o": []}, profile)["ilegivel"] == "motorista_id=***; odometro_saida_km=(array)"


def test_the_description_fills_only_what_the_record_does_not_give():
    given = row(trip(asset__registration="XYZ9A88", garage="Outra"))
    assert (given["placa_recebida"], given["garagem"], given["equipamento"]) == ("XYZ9A88", "Outra", "3803")
    other = row(trip(asset__description="ônibus reserva"))
    assert other["placa_recebida"] is None and other["ilegivel"] is None
    assert row(trip(asset__description=None))["placa_recebida"] is None


def test_the_stamp_gives_what_the_record_omits():
    found = row(trip(asset__id=None), veiculo_id="v-9", garagem="G", descricao="unused")
    assert (found["veiculo_id"], found["garagem"]) == ("v-9", "G")
    assert row(TRIP, veiculo_id="v-9")["veiculo_id"] == "v-012"
    frame = map_pages(
        SIMULATOR, [page({}, stamp={"veiculo_id": "a"}), page({}, {}, stamp={"veiculo_id": "b"})]
    )
    assert list(frame["veiculo_id"]) == ["a", "b", "b"]


def test_paths_of_every_kind():
    profile = make_profile(
        fields={
            "motorista": ["d.first", "d.last", '"Apelido do Motorista"'],
            "garagem": "places[0].name",
            "local_saida": "to_string(sum(legs[].km))",
            "local_chegada": "join(' ', [a, b])",
            "distancia_telemetria_km": {"path": "km", "decimal": ","},
        }
    )
    found = row(
        {"d": {"first": "Ana"}, "Apelido do Motorista": "Aninha", "places": [{"name": "G"}], "km": "1.234,5",
         "legs": [{"km": 2}, {"km": 3}], "a": "x"}, profile
    )  # fmt: skip
    assert found["motorista"] == "Ana Aninha" and found["garagem"] == "G" and found["local_saida"] == "5"
    assert found["local_chegada"] is None and found["distancia_telemetria_km"] == 1234.5


def test_fields_seen():
    seen = seen_fields([TRIP, {"new": {"deep": {"deeper": 1}}}, "text", None, {"list": [{"a": 1}]}])
    assert {"asset", "asset.id", "driver.name", "new", "new.deep", "list"} <= seen
    assert not {"new.deep.deeper", "list.a"} & seen


def test_inspection_shows_each_value_on_its_way():
    records = [trip(distance_m="abc"), trip(asset__description={"name": "Zoé"}), "x", TRIP]
    entries = inspect(SIMULATOR, page(*records, stamp={"garagem": "G"}), 3)
    assert {e["record"] for e in entries} == {1, 2, 3}
    by = {(e["record"], e["column"]): e for e in entries}
    saida = by[1, "saida_utc"]
    assert (saida["path"], saida["received"]) == ("departure.time", "2026-03-10T07:03:12Z")
    assert saida["mapped"] == "2026-03-10T07:03:12Z"
    assert by[1, "distancia_telemetria_km"]["note"] == "cannot be read"
    assert by[1, "garagem"]["note"] == "from the vehicles' list"
    assert by[1, "placa_recebida"]["note"] == "from the description"
    assert by[1, "proxima_saida_utc"]["note"] == "missing in the record"
    assert by[1, "em_andamento"]["mapped"] is False
    assert by[1, "motorista"]["received"] == by[1, "motorista"]["mapped"]
    assert orjson.dumps(entries)


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([{"v": 1, "s": "2026-03-10T10:00:00Z", "lat": -21.1, "lng": -47.9}], True),
        ([{"v": 1, "s": "2026-03-10T10:00:00Z", "position": {"latitude": 1, "longitude": 2}}], True),
        ([{"v": 1, "s": "2026-03-10T10:00:00Z", "e": "2026-03-10T10:20:00Z", "lat": 1, "lon": 2}], False),
        ([{"v": 1, "s": "2026-03-10T10:00:00Z"}], False),
        ([], False),
    ],
)
def test_positions_are_told_from_trips(records, told):
    said = positions_only(make_profile(), page(*records))
    assert bool(said) is told and (not told or "positions only" in said)


@pytest.mark.parametrize(
    ("description", "plate", "note"),
    [
        ("Onibus 3803 GDP-4J68", "GDP-4J68", "from the description"),
        ("Frota 4512 QWE1R23", "QWE1R23", "from the description"),
        ("GDP 4J68 reserva", "GDP 4J68", "from the description"),
        ("GDP-4J68 (gdp4j68)", "GDP-4J68", "from the description"),
        ("Van 1020", None, "no plate for sure in 'Van 1020'"),
        ("Onibus 3803", None, "no plate for sure in 'Onibus 3803'"),
        ("XGDP-4J68", None, "no plate for sure in 'XGDP-4J68'"),
        ("GDP-4J68-99", None, "no plate for sure in 'GDP-4J68-99'"),
        ("GDP-4J6O", None, "no plate for sure in 'GDP-4J6O'"),
        ("ABC-1234 QWE1R23", None, "no plate for sure in 'ABC-1234 QWE1R23'"),
    ],
)
# The first is what a profile may still say that was copied from an earlier traccar.yaml.
@pytest.mark.parametrize("pattern", ["[A-Za-z]{3}[- ]?[0-9][A-Za-z0-9][0-9]{2}", ".+", None])
def test_a_plate_is_found_in_a_text_and_never_guessed(pattern, description, plate, note):
    shipped = load_profile("traccar").description_pattern
    profile = make_profile(
        fields={"descricao": "d", "veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e"},
        description_pattern=f"(?P<placa_recebida>{pattern})" if pattern else shipped,
    )
    entries = {e["column"]: e for e in inspect(profile, page({"d": description}), 1)}
    assert (entries["placa_recebida"]["mapped"], entries["placa_recebida"]["note"]) == (plate, note)


def test_inspection_names_the_key_for_a_number_that_reads_two_ways():
    profile = make_profile(fields={"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e",
                                   "distancia_telemetria_km": "km"})  # fmt: skip
    entries = {e["column"]: e for e in inspect(profile, page({"km": "1,234 km"}), 1)}
    said = "one number or another: set fields.distancia_telemetria_km.decimal to '.' or ','"
    assert entries["distancia_telemetria_km"]["note"] == said


def test_a_flag_that_comes_as_text_means_what_it_says():
    assert [truth(v) for v in ("false", "0", " N ", "não", "", 0, False)] == [False] * 7
    assert [truth(v) for v in ("true", "1", "S", "running", 1, True)] == [True] * 6
    assert truth(None) is None


def test_the_mapping_is_quick():
    # 8 microseconds a record is the aim, measured alone; this only catches a fall back to one at a time.
    records = [trip(id=f"t-{i}", asset__id=f"v-{i % 40}") for i in range(5000)]
    records[7]["departure"]["time"] = "garbage"
    pages = [page(*records[i : i + 1000], number=i) for i in range(0, 5000, 1000)]
    map_pages(SIMULATOR, pages)
    began = time.process_time()
    frame = map_pages(SIMULATOR, pages)
    assert time.process_time() - began < 5000 * 40e-6
    assert len(frame) == 5000 and frame["ilegivel"].notna().sum() == 1
    assert np.isclose(frame["distancia_telemetria_km"].sum(), 5000 * 42.16)
