"""Which trips count, against the same rule told plainly."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim import BOLETIM_DECLARATIONS
from telemetria_pipeline.core.boletim.correction import correction_said, day_ranges
from telemetria_pipeline.core.boletim.last_word import last_word
from telemetria_pipeline_tests.core.boletim.plain_words import File, tell
from telemetria_pipeline_tests.core.boletim.rows import judged, trip, trips

SOUND = judged(*trips(1)).accepted.iloc[0].to_dict()
PLATES, DAYS = ("ABC1A23", "XYZ9B87"), ("2026-11-22", "2026-11-23", "2026-11-24")

pairs = st.tuples(st.sampled_from(PLATES), st.sampled_from(DAYS))
sent = st.builds(
    File,
    name=st.sampled_from(["a.csv", "b.csv"]),
    trips=st.dictionaries(
        pairs, st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True), min_size=1
    ),
    withdrawn=st.sampled_from([False, False, False, True]),
)


def declared(files: list[File]) -> pd.DataFrame:
    """The files' declarations, in the order of their numbers."""
    received = pd.Timestamp("2026-11-25T10:00Z")
    rows = [
        SOUND
        | {
            "placa": plate, "data": day, "km_saida": float(km), "km_chegada": km + 10.0,
            "saida_utc": pd.Timestamp(f"{day}T10:00Z"), "chegada_utc": pd.Timestamp(f"{day}T10:30Z"),
            "nome": file.name, "retirada": file.withdrawn, "arquivo_id": f"f{number:02d}",
            "recebido_utc": received + pd.Timedelta(seconds=number // 2),  # two at a time
        }
        for number, file in enumerate(files)
        for (plate, day), kms in file.trips.items()
        for km in kms
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*BOLETIM_DECLARATIONS.names, "arquivo_id"])
    return frame.astype({c.name: c.pandas_dtype for c in BOLETIM_DECLARATIONS.columns})


def found(rows: pd.DataFrame) -> set[tuple]:
    return set(zip(rows["arquivo_id"], rows["placa"], rows["data"], rows["km_saida"], strict=True))


@given(st.lists(sent, min_size=1, max_size=6), st.randoms())
def test_the_last_word_is_that_of_the_story_told_plainly(files, dice):
    rows = declared(files).sample(frac=1, random_state=dice.randint(0, 999)).reset_index(drop=True)
    for file in files:
        file.trips = {pair: [(*pair, km) for km in kms] for pair, kms in file.trips.items()}
    tell(files)
    word = last_word(rows)
    expected = {(f"f{n:02d}", *trip) for n, file in enumerate(files) for trip in file.counts}
    assert found(rows[word.counts]) == expected
    replaced = {f"f{n:02d}" for n, file in enumerate(files) if file.was_replaced}
    assert set(rows.loc[word.by >= 0, "arquivo_id"]) == replaced


def test_a_file_speaks_for_the_vehicles_and_days_that_it_holds():
    first = File("a.csv", {("ABC1A23", day): [1, 2] for day in DAYS})
    second = File("a.csv", {("ABC1A23", DAYS[0]): [3]})
    rows = declared([first, second])
    counting = rows[last_word(rows).counts]
    assert counting.groupby("data").size().to_dict() == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 2}


def test_under_another_name_nothing_is_replaced_and_the_same_trip_counts_once():
    first = File("turno a.csv", {("ABC1A23", DAYS[0]): [1, 2]})
    second = File("turno b.csv", {("ABC1A23", DAYS[0]): [2, 3]})
    rows = declared([first, second])
    assert sorted(rows.loc[last_word(rows).counts, "km_saida"]) == [1, 2, 3]


def test_days_as_a_person_says_them():
    assert day_ranges(["2026-11-15", "2026-11-10", "2026-11-11"]) == "10 a 11/11 e 15/11"
    assert day_ranges(["2026-10-31", "2026-11-01"]) == "31/10 a 01/11"
    assert day_ranges(["2026-12-31", "2027-01-01", "2027-01-03"]) == "31/12 a 01/01 e 03/01"


def test_what_a_correction_says():
    def of(plate: str, *days: int) -> list[dict]:
        return [trip(PLACA=plate, DATA=f"{day:02d}/11/2026") for day in days]

    def frame(rows: list[dict]) -> pd.DataFrame:
        return judged(*rows).accepted if rows else judged(trip()).accepted[:0]

    def said(replaced: list[dict], now: int, staying: list[dict]) -> str:
        return correction_said(frame(replaced), now, frame(staying))

    six, four = of("ABC1A23", 10, 11, 12), of("ABC1A23", 16, 17)
    assert said(six, 3, []) == "Substitui 3 viagens de 10 a 12/11 de ABC1A23."
    assert said(six, 2, four).startswith(
        "Substitui 3 viagens por 2 de 10 a 12/11 de ABC1A23; as 2 de 16 a 17/11, de envios anteriores, "
        "continuam valendo."
    )
    one = said(of("ABC1A23", 10), 1, of("XYZ9B87", 10))
    assert one.startswith("Substitui 1 viagem de 10/11 de ABC1A23; a de 10/11 de XYZ9B87, de envios anter")
    assert "continua valendo" in one
    assert "4 veículos" in said([r for n in range(4) for r in of(f"ABC1A2{n}", 10)], 4, [])
