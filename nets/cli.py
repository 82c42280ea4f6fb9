"""The command `loss-barcodes`: its entry, which catches interrupts before it imports a library."""

from nets.commands.work.interrupts import catch_at_once, ignore_the_late


def main() -> None:
    """Run the command, with the arguments of the process, and end the process."""
    catch_at_once()
    from nets.commands.group import loss_barcodes

    try:
        loss_barcodes()
    finally:
        ignore_the_late()


if __name__ == "__main__":
    main()
