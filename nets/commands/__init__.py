"""The commands of `loss-barcodes`: a light file each with its options, and the files that do the
work, which are imported when a command is called.
"""
