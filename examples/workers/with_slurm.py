"""The run as a job of Slurm, by submitit.

submitit puts a job back into the queue when it is preempted or its time is over, and the job goes
on from what is stored: `Checkpointable` calls it again with the same folder.

    python -m examples.workers.with_slurm --out runs/slurm
    python -m examples.workers.with_slurm --out runs/slurm --cluster local
"""

from pathlib import Path

from submitit import AutoExecutor
from submitit.helpers import Checkpointable

from examples.workers.digits import arguments, barcode, show
from reduction import Barcode


class Run(Checkpointable):
    """The run, as a job."""

    def __call__(self, folder: Path) -> Barcode:
        """Begin it, or go on."""
        return barcode(folder)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument(
        "--cluster",
        choices=["slurm", "local"],
        default="slurm",
        help="local: a process of this machine in place of a job (slurm)",
    )
    given = parser.parse_args()
    executor = AutoExecutor(folder=given.out / "jobs", cluster=given.cluster)
    executor.update_parameters(timeout_min=60, cpus_per_task=1)
    job = executor.submit(Run(), given.out.absolute())
    print(f"job {job.job_id}, its log: {job.paths.stderr}")
    show(job.result(), given.out)
