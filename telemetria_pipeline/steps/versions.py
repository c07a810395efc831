"""What earlier versions of boletins declared of a cycle's trips. Without Dagster."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_VERSIONS
from telemetria_pipeline.core.exact import metres, units
from telemetria_pipeline.steps.boletim_files import READERS, manifests_of
from telemetria_pipeline.storage.lake import Lake

_SAME = ["placa", "saida_utc"]


def earlier_versions(lake: Lake, trips: pd.DataFrame) -> pd.DataFrame:
    """The declared trips that a version declared with fewer km which was received before the boletim that
    declares them now: `viagem_id`, `antes_m` (int64 metres).

    The same trip is the same declared plate and departure, whatever the files are called.

    Args:
        trips: a cycle's, under contract VALIDATED_TRIPS, and their day in `data`.
    """
    first = trips["data"].min() if len(trips) else "9999"
    of_cycle = [p for p in lake.partitions(BOLETIM_VERSIONS.name) if p["ate"] >= first]
    with ThreadPoolExecutor(READERS) as readers:
        tables = readers.map(lambda partition: lake.read_table(BOLETIM_VERSIONS.name, partition), of_cycle)
        frames = [BOLETIM_VERSIONS.frame(table) for table in tables if table is not None]
    versions = pd.concat([BOLETIM_VERSIONS.empty(), *frames], ignore_index=True)
    said = versions.assign(antes_m=metres(versions["km_declarado"]))
    now = trips[trips["arquivo_id"].notna()]
    now = now.assign(placa=now["placa_declarada"].fillna(now["veiculo"]))
    now = now[[*_SAME, "viagem_id", "arquivo_id"]].assign(agora_m=units(now["km_declarado"]))
    both = now.merge(said[[*_SAME, "antes_m", "recebido_utc"]], on=_SAME)
    both = both[both["antes_m"] < both["agora_m"]]
    files = both["arquivo_id"].unique().tolist()
    received = {m.file: m.received_at for m in manifests_of(lake, files)}
    came = pd.to_datetime(both["arquivo_id"].map(received), utc=True)
    return both.loc[both["recebido_utc"] < came, ["viagem_id", "antes_m"]]
