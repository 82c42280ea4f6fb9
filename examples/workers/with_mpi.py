"""The run with the processes of an MPI job as workers, by mpi4py.

The first process runs this script, the others are its workers. A job of which one process is killed
ends as a whole; the same command goes on with it.

    mpiexec -n 3 python -m mpi4py.futures -m examples.workers.with_mpi --out runs/mpi
"""

from mpi4py.futures import MPIPoolExecutor

from examples.workers.digits import arguments, barcode, show
from simplicial import configure_process

if __name__ == "__main__":
    out = arguments(__doc__).parse_args().out
    with MPIPoolExecutor(initializer=configure_process) as executor:
        show(barcode(out, executor), out)
