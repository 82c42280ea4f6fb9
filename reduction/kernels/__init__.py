"""The compiled loops of filtered complexes: all of the package that is compiled by Numba.

Kernels take arrays that their callers have checked, and write into arrays that their callers own;
they validate, print and raise nothing.

    compilation       Numba, at the first call of a kernel
    buffers           buffers that grow, records of cofacets
    radix_sort        filtration order
    union_find        index 0: the minimum spanning forest
    simplex_tree      listed simplices: labels in order, facets, monotone?; cliques of a graph
    sparse_columns    reduction of a sparse coboundary matrix
    bit_tree          a set of rows whose least one is found at once
    rows              passes over all simplices of a dimension: monotone? longest edges
    coboundary        complete complexes: positions, facets and cofacets without a list of simplices
    first_cofacets    the oldest cofacets of all simplices, in one pass
    cursors, heap     reduction of short columns: cursors into coboundaries, in a heap
    blocks, residues  reduction of long columns, block by block of residues
    boundary_columns  boundary columns reduced on request where the pairs are known
    planar            points of the plane, as bars are: a k-d tree, and matchings by it
"""
