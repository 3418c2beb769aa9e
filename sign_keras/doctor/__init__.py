"""What this machine has and lacks, and what ails a training; each finding with its figure and its fix.

``packages`` and ``machine`` look at what is installed, ``training`` at a run. Light to import, and the first two do
without everything that they look for: a doctor has to work where nothing else does.
"""
