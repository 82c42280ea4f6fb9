"""Work on a CUDA device that is recorded once and done again from the recording: CUDA graphs.

To launch the kernels of networks as small as LeNet takes longer than they do; a recording is one
launch. What is not computed on the device is recorded as it came out once, so only work is for
recordings that waits for nothing that the device computes, and draws nothing at random.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

MOST = 8  # recordings that are kept; each keeps its results

Work = Callable[..., tuple[Tensor, ...]]


def waits(work: Callable[[], object]) -> bool:
    """Whether work on a CUDA device waits for what the device computes, or fails."""
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


class _Recording(NamedTuple):
    """A graph, the tensors that it reads and those that it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def again(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The work's results on other inputs of the same shapes."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return tuple(output.clone() for output in self.outputs)


class Recordings:
    """Those of one network, by the work's name and the shapes of what it is given.

    They share their memory, but for what they read and write. What is asked for a second time is
    recorded; where that fails, as for want of memory, all work is done as it is asked for from then
    on, with the same results.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: dict[Any, _Recording | None] = {}
        self._memory: Any = None
        self._failed = False

    def replay(self, name: Any, work: Work, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The work's results, tensors, on inputs on the device."""
        if self._failed:
            return work(*inputs)
        key = (name, *((tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs))
        if key not in self._kept:
            self._kept[key] = None
            for oldest in list(self._kept)[:-MOST]:
                del self._kept[oldest]
            return work(*inputs)
        recording = self._kept.pop(key) or self._record(work, inputs)
        if recording is None:
            return work(*inputs)
        self._kept[key] = recording  # the last, as the latest that was asked for
        return recording.again(inputs)

    def _record(self, work: Work, inputs: tuple[Tensor, ...]) -> _Recording | None:
        own = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        generator = torch.cuda.default_generators[torch.empty(0, device=self._device).get_device()]
        state = generator.get_state()
        try:
            with torch.cuda.device(self._device):
                self._memory = self._memory or torch.cuda.graph_pool_handle()
                stream = torch.cuda.Stream()
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    work(*own)  # libraries set themselves up
                torch.cuda.current_stream().wait_stream(stream)
                with torch.cuda.graph(graph, pool=self._memory, stream=stream):
                    outputs = work(*own)
        except RuntimeError:
            self._kept.clear()
            self._failed = True
            # a recording that was broken off leaves the generator waiting for its end
            fresh = torch.Generator(self._device)
            generator.graphsafe_set_state(fresh.graphsafe_get_state())
            generator.set_state(state)
            return None
        return _Recording(graph, own, outputs)
