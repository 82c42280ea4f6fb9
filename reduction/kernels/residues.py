"""Blocks of a column: residues modulo p of ROWS rows that follow each other.

A *block* is an array of residues: over Z/2 a bit for each row, 64 in a word, so that sums are
exclusive or; below SMALL a byte for each row, many of which are added at once; otherwise 32 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.bit_tree import lowest_bit
from reduction.kernels.compilation import Int, njit_step

Block = NDArray[Any]
ROWS = 2048
SMALL = 128  # twice a residue fits into a byte
ONE = np.uint64(1)
HALF = np.uint64(32)


def empty_blocks(count: int, p: int) -> Block:
    """(count, words): unset blocks."""
    if p == 2:
        return np.empty((count, ROWS // 64), np.uint64)
    return np.empty((count, ROWS), np.uint8 if p < SMALL else np.uint32)


@njit_step
def find_residue(row: Int, block: Block, p: Int) -> Int:
    """The residue of a row."""
    if p == 2:
        return np.int64((np.uint64(block[row >> 6]) >> np.uint64(row & 63)) & ONE)
    return np.int64(block[row])


@njit_step
def add_residue(multiple: Int, row: Int, block: Block, p: Int) -> None:
    """Add to a row a number 0..p-1."""
    if p == 2:
        block[row >> 6] ^= ONE << np.uint64(row & 63)
    else:
        block[row] = (np.int64(block[row]) + multiple) % p


@njit_step
def add_bytes(others: Block, block: Block, p: Int) -> None:
    """Add a block to another, p < SMALL; all that is computed is bytes."""
    prime = np.uint8(p)
    for k in range(ROWS):
        total = np.uint8(block[k] + others[k])
        block[k] = np.uint8(total - prime) if total >= prime else total


@njit_step
def add_multiple_of_bytes(
    multiple: Int, others: Block, block: Block, buffer: Block, p: Int
) -> None:
    """Add a multiple of a block to another, p < SMALL: doubled, bit by bit of the multiple."""
    if multiple == 1:
        add_bytes(others, block, p)
        return
    prime, bit = np.uint8(p), np.int64(1)
    while 2 * bit <= multiple:
        bit *= 2
    for k in range(ROWS):
        buffer[k] = others[k]
    while bit > 1:
        bit >>= 1
        for k in range(ROWS):
            total = np.uint8(buffer[k] + buffer[k])
            buffer[k] = np.uint8(total - prime) if total >= prime else total
        if multiple & bit:
            add_bytes(others, buffer, p)
    add_bytes(buffer, block, p)


@njit_step
def add_multiple(multiple: Int, others: Block, block: Block, buffer: Block, p: Int) -> None:
    """Add the multiple 1..p-1 of a block to another.

    A product's quotient by a large p is found by a multiplication, too small by 1 at most (Shoup;
    see Harvey 2014, "Faster arithmetic for number-theoretic transforms", section 2).
    """
    if p == 2:
        for k in range(ROWS // 64):
            block[k] ^= others[k]
    elif p < SMALL:
        add_multiple_of_bytes(multiple, others, block, buffer, p)
    else:
        factor, prime = np.uint64(multiple), np.uint64(p)
        quotient = (factor << HALF) // prime
        for k in range(ROWS):
            other = np.uint64(others[k])
            rest = factor * other - (quotient * other >> HALF) * prime
            total = np.uint64(block[k]) + rest
            total = total - prime if total >= prime else total
            block[k] = np.uint32(total - prime if total >= prime else total)


@njit_step
def clear_before(row: Int, block: Block, p: Int) -> None:
    """Write 0 to all rows before one; ROWS: to all."""
    word = row >> 6 if p == 2 else row
    for k in range(word):
        block[k] = 0
    if p == 2 and word < block.size:
        bit = np.uint64(row & 63)
        block[word] = np.uint64(block[word]) >> bit << bit


@njit_step
def find_row(row: Int, block: Block, p: Int) -> Int:
    """The first row whose residue is not 0, where none is before `row`; ROWS if all are."""
    word = row >> 6 if p == 2 else row
    while word < block.size and not block[word]:
        word += 1
    if p == 2 and word < block.size:
        return 64 * word + lowest_bit(np.uint64(block[word]))
    return 64 * word if p == 2 else word
