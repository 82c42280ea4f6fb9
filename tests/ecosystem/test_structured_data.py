"""Data and outputs of transformers and PyG: dicts, structured outputs, graphs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from nets import NetworkLoss
from reduction import DataError
from tests.nets.networks import at, bound, numbers, points_near, seeded

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

N = 40
TOKENS = (numbers(N, 6, seed=1).abs() * 9).long().clamp(0, 19)
MASK = torch.arange(6) < (2 + torch.arange(N) % 5)[:, None]
LABELS = torch.arange(N) % 3


class Sentences(Dataset[Any]):
    """Items as `datasets` gives them with_format("torch"), or as lists, to be padded."""

    def __init__(self, padded: bool) -> None:
        self.padded = padded

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> dict[str, Any]:
        if self.padded:
            return {"input_ids": TOKENS[i], "attention_mask": MASK[i].long(), "labels": LABELS[i]}
        return {"input_ids": TOKENS[i][MASK[i]].tolist(), "labels": int(LABELS[i])}


def padded_to_longest(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    """As transformers' DataCollatorWithPadding does."""
    longest = max(len(item["input_ids"]) for item in items)
    rows = [item["input_ids"] for item in items]
    return {
        "input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
        "attention_mask": torch.tensor(
            [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
        ),
        "labels": torch.tensor([item["labels"] for item in items]),
    }


def bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    options: dict[str, Any] = {"num_labels": 3, "attn_implementation": "eager"}
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        **options,
    )
    return BertForSequenceClassification(config)


def of_logits(outputs: Any, labels: Tensor) -> Tensor:
    return cross_entropy(outputs.logits, labels)


@pytest.mark.parametrize(
    "data",
    [
        ({"input_ids": TOKENS, "attention_mask": MASK.long()}, LABELS),
        (Sentences(padded=True), "labels"),
        (DataLoader(Sentences(padded=True), batch_size=7, shuffle=True), "labels"),
        (DataLoader(Sentences(padded=False), collate_fn=padded_to_longest), "labels"),
    ],
)
def test_a_transformer_takes_dicts_and_gives_structured_outputs(data: tuple[Any, ...]) -> None:
    model = seeded(bert)
    points = points_near(model, 2)
    loss = NetworkLoss(model, *data, loss_fn=of_logits)
    plain = []
    for point in points:
        network = at(model, point).eval()
        outputs = network(input_ids=TOKENS, attention_mask=MASK.long())
        plain.append(cross_entropy(outputs.logits, LABELS).item())
    assert loss(points).tolist() == pytest.approx(plain, rel=0, abs=bound(torch.float32))
    _, gradients = loss.values_and_gradients(points)
    assert gradients.norm() > 0


def test_the_outputs_of_a_transformer_ask_for_a_loss_function_that_takes_them() -> None:
    with pytest.raises(DataError, match="gives a SequenceClassifierOutput, and loss_fn fails"):
        NetworkLoss(seeded(bert), {"input_ids": TOKENS}, LABELS)
    with pytest.raises(DataError, match="name the key of the targets"):
        NetworkLoss(seeded(bert), Sentences(padded=True), loss_fn=of_logits)


EDGES = torch.stack([torch.arange(N), (torch.arange(N) * 7 + 3) % N])
FEATURES = numbers(N, 4, seed=2)


def graph_network() -> nn.Module:
    from torch_geometric.nn import GCNConv

    class OfNodes(nn.Module):
        """Its inputs are numbers of nodes; the graph is a buffer."""

        edges: Tensor
        features: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.layer = GCNConv(4, 3)
            self.register_buffer("edges", EDGES)
            self.register_buffer("features", FEATURES)

        def forward(self, nodes: Tensor) -> Tensor:
            return self.layer(self.features, self.edges)[nodes]

    return OfNodes()


def test_a_graph_in_buffers_has_nodes_as_examples() -> None:
    nodes, model = torch.arange(N)[::3], seeded(graph_network)
    points = points_near(model, 2)
    loss = NetworkLoss(model, nodes, LABELS[::3], batching="loop")
    plain = [cross_entropy(at(model, point)(nodes), LABELS[::3]).item() for point in points]
    assert loss(points).tolist() == pytest.approx(plain, rel=0, abs=bound(torch.float32))


def test_graphs_that_are_no_tensors_are_refused_with_what_to_do() -> None:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader as GraphLoader

    graph = Data(x=FEATURES, edge_index=EDGES, y=LABELS)
    model = seeded(graph_network)
    with pytest.raises(DataError, match="collating them fails") as caught:
        NetworkLoss(model, [graph, graph])
    assert "graph" in str(caught.value)
    with pytest.raises(DataError, match="a batch is a DataBatch") as caught:
        NetworkLoss(model, GraphLoader([graph, graph]))
    assert "graph" in str(caught.value)
    with pytest.raises(DataError, match="the edges of a graph for one, goes into a buffer"):
        NetworkLoss(model, (FEATURES, EDGES), LABELS)
