"""The commands of `loss-barcodes`, one file each, and the options that they share."""
