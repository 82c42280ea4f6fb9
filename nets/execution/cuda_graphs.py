"""CUDA graphs: work on a CUDA device that is captured once and replayed.

To launch the kernels of networks as small as LeNet takes longer than they do; a replay is one
launch. What is not computed on the device is captured as it came out once, so only work is captured
that never synchronizes with the device and draws nothing at random.

`torch.cuda.make_graphed_callables` is not used: it captures a forward and its backward pass as two
graphs that autograd joins, while here the gradient is taken inside of the work, and it captures for
one shape before the first call, while here the shapes are those that are asked for again.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

CAPACITY = 8  # graphs that are kept; each keeps its results

Work = Callable[..., tuple[Tensor, ...]]


def synchronizes(work: Callable[[], object]) -> bool:
    """Whether work on a CUDA device waits for a result of the device, or fails."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that not everything is found
        torch.cuda.set_sync_debug_mode("error")
        try:
            work()
        except RuntimeError:
            return True
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return False


class _CapturedGraph(NamedTuple):
    """A graph, the tensors that it reads and those that it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The work's results on other inputs of the same shapes."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return tuple(output.clone() for output in self.outputs)


class CudaGraphs:
    """A cache of CUDA graphs, by the work's name and the shapes of its inputs.

    Graphs share one memory pool, but for their inputs and outputs. Work is captured when it is
    asked for a second time; where that fails, for want of memory, say, all work is done eagerly
    from then on, with the same results. A pickled cache is an empty one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graphs: dict[Any, _CapturedGraph | None] = {}
        self._pool: Any = None
        self._failed = False

    def __reduce__(self) -> Any:
        return CudaGraphs, (self._device,)

    def replay(self, name: Any, work: Work, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The work's results, tensors, on inputs on the device."""
        if self._failed:
            return work(*inputs)
        key = (name, *((tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs))
        if key not in self._graphs:
            self._graphs[key] = None
            for oldest in list(self._graphs)[:-CAPACITY]:
                del self._graphs[oldest]
            return work(*inputs)
        captured = self._graphs.pop(key) or self._capture(work, inputs)
        if captured is None:
            return work(*inputs)
        self._graphs[key] = captured  # the last, as the most recently used
        return captured.replay(inputs)

    def _capture(self, work: Work, inputs: tuple[Tensor, ...]) -> _CapturedGraph | None:
        own = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        generator = torch.cuda.default_generators[torch.empty(0, device=self._device).get_device()]
        state = generator.get_state()
        try:
            with torch.cuda.device(self._device):
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                stream = torch.cuda.Stream()
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    work(*own)  # libraries set themselves up
                torch.cuda.current_stream().wait_stream(stream)
                with torch.cuda.graph(graph, pool=self._pool, stream=stream):
                    outputs = work(*own)
        except RuntimeError:
            self._graphs.clear()
            self._failed = True
            # a capture that was broken off leaves the generator waiting for its end
            fresh = torch.Generator(self._device)
            generator.graphsafe_set_state(fresh.graphsafe_get_state())
            generator.set_state(state)
            return None
        return _CapturedGraph(graph, own, outputs)
