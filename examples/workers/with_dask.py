"""The run with Dask's workers: two processes of this machine, or those of a scheduler.

Dask gives a chunk whose worker died to another one.

    python -m examples.workers.with_dask --out runs/dask [--scheduler tcp://host:8786]
"""

from distributed import Client

from examples.workers.digits import arguments, barcode, show
from simplicial import configure_process


def connected(scheduler: str | None) -> Client:
    """A client of a scheduler that runs, or of a new one here, which ends with the client."""
    if scheduler is not None:
        return Client(scheduler)
    # One thread each, since threads would share one model.
    return Client(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument(
        "--scheduler", help="address of one that runs; else two workers begin on this machine"
    )
    given = parser.parse_args()
    with connected(given.scheduler) as client:
        client.run(configure_process)
        show(barcode(given.out, client.get_executor()), given.out)
