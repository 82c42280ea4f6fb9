"""Modules of torch, not of a loss: how they are copied, called and differentiated twice."""
