"""The compiled loops of filtered complexes, and how all of the library's are compiled.

Kernels take arrays that their callers have checked, and write into arrays that their callers own;
they validate, print and raise nothing.

    faces        listed simplices: labels in order, facets found in a simplex tree, monotone?
    cliques      the expansion of a graph to its cliques
    rips         longest edges of all simplices on some points
    matrix       the reduction of a sparse coboundary matrix over Z/p
    bits         a set of rows whose least one is found at once
    simplices    complete complexes: positions, facets and cofacets without a list of simplices
    streams      one pass over all simplices of a dimension: monotone?
    first        the first cofacets of all simplices, in one pass
    cofacets     the next ones of a simplex, by a look at all
    forest       index 0: the minimum spanning forest
    order        filtration order
    tables       hash tables from numbers to numbers
    heap         a working column, by where its cursors stand
    cursors      reduction of short columns: cursors into coboundaries
    residues     residues of many rows at a time: bits, bytes or words
    windows      reduction of long columns, window by window
    involution   boundary columns, reduced on request where the pairs are known
    compilation  how kernels are compiled
"""
