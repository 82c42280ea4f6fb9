"""`loss-barcodes run`: its options."""

from pathlib import Path
from typing import Any

import click

from nets.commands.options import GroupedCommand, NamedPath, shared_options
from nets.commands.work.interrupts import interruptible, kept_in, nothing_kept
from nets.commands.work.phases import echo_result, loading
from nets.names import BATCH_NORMS, BATCHINGS, DATA_SETS, MODELS, OBJECTIVES, PRECISIONS


def _widths(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """Widths of hidden layers: None if not given, () for "none"."""
    if text is None:
        return None
    try:
        return () if text == "none" else tuple(int(width) for width in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} are no widths of hidden layers: give whole numbers, as 64,32, or none"
        ) from None


def _efforts(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """Efforts; None if not given."""
    if text is None:
        return None
    try:
        return tuple(float(effort) for effort in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} are no efforts: give ascending numbers above 0, as 1,2,4,8"
        ) from None


class _DataSet(click.Choice[str]):
    """A name of a data set, or "module:function"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if ":" in value else super().convert(value, param, ctx)
        except click.BadParameter as error:
            wrong = error.message.removesuffix(".")
            self.fail(f"{wrong}: give one of them, or module:function", param, ctx)


GROUPS = {
    "Data": ("data", "data_dir", "download", "stream", "subset", "image_size"),
    "Network and loss": (
        "model", "hidden", "depth", "width", "shortcuts", "factory", "init", "loss", "weights",
        "objective", "batch_norm", "batching",
    ),
    "Minima": ("minima", "checkpoint", "checkpoint_key", "align", "polish", "polish_tolerance"),
    "Training of minima and simplices": (
        "epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "precision", "seed",
    ),
    "Simplices": ("max_dim", "optimizer", "sides", "segments", "steps"),
    "Maxima and barcodes": (
        "resolution", "tolerance", "refinement_budget", "sampled", "certify", "field",
    ),
    "Effort and its limits": ("effort", "tolerance_of_bars", "max_gradients", "max_seconds"),
    "Machine": ("device", "workers", "threads", "batch", "memory"),
    "Output": ("out", "dry_run", "quiet", "as_json"),
}  # fmt: skip


@click.command(
    cls=GroupedCommand,
    groups=GROUPS,
    short_help="Train networks, and compute the barcodes of their loss.",
)
@click.option(
    "--data",
    type=_DataSet(DATA_SETS),
    metavar="NAME",
    default="digits",
    show_default=True,
    help=f"Images, {', '.join(DATA_SETS)}; or your own data: module:function, which returns (train,"
    " test), each a Dataset, a DataLoader or (inputs, targets), test None without one; or"
    " nets.ImageData.",
)
@click.option(
    "--data-dir",
    type=NamedPath(),
    help="Folder of FashionMNIST's or CIFAR-10's files.",
)
@click.option("--download", is_flag=True, help="Download FashionMNIST or CIFAR-10 first.")
@click.option(
    "--stream",
    is_flag=True,
    help="A Dataset of your own stays where it is: examples are fetched as they are used.",
)
@click.option("--subset", type=int, help="Only the first N training examples.")
@click.option("--image-size", type=int, help="Images resized to N x N pixels.")
@click.option(
    "--model",
    type=click.Choice(MODELS),
    help="Network; lenet takes images of 12 x 12 pixels or more, so not the digits."
    "  [default: mlp]",
)
@click.option(
    "--hidden",
    metavar="WIDTHS",
    callback=_widths,
    help="Widths of mlp's hidden layers, as 64,32; none: softmax regression.  [default: 32]",
)
@click.option("--depth", type=int, help="Layers of resnet, 6 n + 2.  [default: 20]")
@click.option("--width", type=int, help="Factor of resnet's 16, 32 and 64 filters.  [default: 1]")
@click.option(
    "--shortcuts/--no-shortcuts",
    default=None,
    help="resnet as it is, or NS, without them.  [default: with]",
)
@click.option(
    "--factory",
    metavar="MODULE:NAME",
    help="Your own network: module:function, which returns a freshly initialised nn.Module; or"
    " module:network.",
)
@click.option(
    "--init",
    metavar="MODULE:NAME",
    help="module:function, which returns a freshly initialised network, to train minima from."
    "  [default: the factory; without one, each module's reset_parameters]",
)
@click.option(
    "--loss",
    metavar="MODULE:NAME",
    help="module:function of outputs and targets, as torch.nn.functional:mse_loss."
    "  [default: cross entropy]",
)
@click.option(
    "--weights",
    metavar="MODULE:NAME",
    help="module:function of targets, the weights of examples in a loss that is a weighted mean."
    "  [default: torch's losses' own; else equal]",
)
@click.option(
    "--batching",
    type=click.Choice(BATCHINGS),
    help="Networks all at once, or one after another.  [default: by a rule on the network]",
)
@click.option(
    "--checkpoint",
    type=NamedPath(),
    multiple=True,
    metavar="PATH...",
    help="Files of networks that are trained already, of torch.save or *.safetensors: the minima.",
)
@click.option(
    "--checkpoint-key",
    help="Which network, where a file holds several, as state_dict_ema: the dotted path to it.",
)
@click.argument("more", nargs=-1, type=NamedPath(), metavar="")
@click.option("--minima", type=int, help="Networks to train.  [default: 6]")
@click.option(
    "--align",
    is_flag=True,
    help="Permute hidden units, so that all minima come near the first.",
)
@click.option(
    "--max-dim", default=2, show_default=True, help="2: edges and triangles; 3: and so on."
)
@click.option(
    "--epochs", type=int, help="Epochs for each minimum, edge, triangle.  [default: the recipe's]"
)
@click.option("--batch-size", type=int, help="Images in a mini-batch.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Learning rate of SGD.  [default: the recipe's]")
@click.option("--momentum", type=float, help="Momentum of SGD.  [default: the recipe's]")
@click.option(
    "--weight-decay",
    type=float,
    help="Factor of the penalty, half the squared norm of the weights.  [default: the recipe's]",
)
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default="plain",
    show_default=True,
    help="plain: values are the loss alone, the penalty is in Algorithm 1's training only."
    " penalised: the penalty belongs to the loss, in training and in all values alike.",
)
@click.option(
    "--polish",
    is_flag=True,
    help="Lower minima, checkpoints too, by L-BFGS on the loss until their gradients are small.",
)
@click.option(
    "--polish-tolerance",
    type=float,
    help="Norm of a gradient that is small.  [default: 1.5e-8 in float64, 3.5e-4 in float32]",
)
@click.option(
    "--optimizer",
    type=click.Choice(["algorithm1", "elastic", "minimax"]),
    default="algorithm1",
    show_default=True,
    help="The paper's; nudged elastic simplices on the exact loss; or stochastic minimax, on"
    " mini-batches too, by the same recipe but for the learning rate, which it finds itself.",
)
@click.option(
    "--segments",
    type=int,
    help="Segments of an edgewise map.  [default: the paper's map; elastic: 12; minimax: 8]",
)
@click.option(
    "--effort",
    metavar="EFFORTS",
    callback=_efforts,
    help="Build the complex again with these multiples of the optimizer's gradients, as 1,2,4,8, of"
    " which 1 is the run itself, and compare W_inf.",
)
@click.option("--certify", is_flag=True, help="Look for critical points at the ends of bars.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="full",
    show_default=True,
    help="Arithmetic of training; losses are always computed in full.",
)
@click.option(
    "--batch-norm",
    type=click.Choice(BATCH_NORMS),
    default="recomputed",
    show_default=True,
    help="Running statistics: of the training images at every point, or the first checkpoint's.",
)
@click.option(
    "--workers",
    type=int,
    help="Processes that train chunks of simplices and find their maxima.  [default: this one]",
)
@click.option(
    "--threads",
    type=int,
    help="Threads of each process; other numbers may change last bits."
    "  [default: one for each core, 1 with --workers]",
)
@click.option(
    "--batch",
    type=int,
    help="Simplices that are finished, and stored, together; the result does not depend on it."
    "  [default: up to 16]",
)
@click.option(
    "--memory",
    default=2.0,
    show_default=True,
    help="Gigabytes for this process, and for each worker: batches of networks fill what is left.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count what the run takes, time a little of it, and end: nothing is trained or written.",
)
@click.option("--out", type=NamedPath(), required=True, help="Folder for the result.")
@shared_options
def run(
    dry_run: bool,
    as_json: bool,
    checkpoint: tuple[Path, ...],
    more: tuple[Path, ...],
    **options: Any,
) -> None:
    """Train networks, join them by edges and triangles, and compute the barcodes of their loss.

    The recipe of mlp is for the digits, that of lenet is the paper's, that of resnet Li et al.'s
    (300 epochs). Writes barcodes, complex, pictures and a record of every setting to the folder
    --out.

    \b
    loss-barcodes run --data digits --minima 6 --max-dim 2 --out runs/digits
    loss-barcodes run --data fashion-mnist --model lenet --minima 3 --out lenet
    loss-barcodes run --checkpoint a.pt b.pt c.pt \\
        --factory my_module:make_model --out runs/own

    With --epochs 0 nothing is trained between the minima: the plane through any three networks.

    Finished simplices are kept in --out as they end: the same command goes on where it stopped.
    """
    if more and not checkpoint:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")
    out: Path = options["out"]
    kept = nothing_kept if dry_run else lambda: kept_in(out)
    with interruptible(kept) as loaded:
        loading(quiet=options["quiet"])
        from nets.commands.work.network_run import compute
        from nets.commands.work.settings import NetworkSettings

        loaded()
        # of `--checkpoint a.pt b.pt c.pt` click takes b.pt and c.pt for arguments
        settings = NetworkSettings(checkpoints=(*checkpoint, *more), **options)
        echo_result(
            lambda: compute(settings, dry_run=dry_run), as_json=as_json, quiet=settings.quiet
        )
