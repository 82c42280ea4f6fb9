"""The compiled loops of the library, and the only place where anything is compiled.

Kernels take arrays that their callers have checked, and write into arrays that their callers own;
they validate, print and raise nothing.

    matrix       the reduction of a coboundary matrix over Z/p
    simplices    complete complexes: positions, facets and cofacets without a list of simplices
    streams      one pass over all simplices of a dimension: monotone? each facet's earliest cofacet
    forest       index 0: the minimum spanning forest
    order        filtration order
    tables       hash tables from numbers to numbers
    cursors      reduction of short columns: heaps of cursors into coboundaries
    windows      reduction over Z/2 of long columns: bits, window by window
    involution   boundary columns, reduced on request where the pairs are known
"""
