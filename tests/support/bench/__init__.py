"""Measuring crlab beside its floor and its neighbours: payload, server and clients apart.

A static server in a process of its own sends bytes encoded beforehand; each client runs in
another process and reports its CPU seconds; the bench compares, in one run.
"""
