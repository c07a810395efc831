"""The peer: dlt's own `rest_api` source into Parquet on a local folder, as its documentation has it.

    python benchmarks/dlt_peer.py --url URL --out FOLDER --start 2026-03-10T03:00:00Z --hours 24

Set for speed, each setting kept because it made dlt faster: one chain of requests for the whole range, a
process a core to normalise in (files of 50,000 rows, so that there is something to share), its working files
not compressed. Bigger buffers than its default made it slower and three times as large, so it has its own.
"""

import argparse
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from server import TOKEN


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--hours", type=int, required=True)
    args = parser.parse_args()
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "NORMALIZE__WORKERS": str(os.cpu_count()),
        "DATA_WRITER__FILE_MAX_ITEMS": "50000",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    # dlt reads its settings from the environment on import.
    import dlt
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
    from dlt.sources.rest_api import rest_api_source

    began = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{args.url}/v1/",
                "auth": {"type": "bearer", "token": TOKEN},
                "paginator": JSONResponseCursorPaginator(
                    cursor_path="pagination.next_cursor", cursor_param="cursor"
                ),
            },
            "resources": [
                {
                    "name": "trips",
                    "endpoint": {
                        "path": "trips",
                        "data_selector": "data",
                        "params": {
                            "from": args.start.isoformat(),
                            "to": (args.start + timedelta(hours=args.hours)).isoformat(),
                            "limit": 1000,
                        },
                    },
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(args.out / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(args.out / "lake").resolve().as_uri()),
        dataset_name="bench",
    )
    pipeline.run(source, loader_file_format="parquet", write_disposition="append")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
