"""Pictures that explain a run: what a model reads and when, what it looks at, how it learnt, how it is built.

``clips`` brings clips, ``reading`` says what the model makes of one, ``evidence`` and ``attention`` what it looks
at; ``diagram`` walks the model, ``curves`` the history. ``figures`` draws, ``folder`` and ``page`` write.
"""
