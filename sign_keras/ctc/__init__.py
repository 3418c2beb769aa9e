"""From frames to gloss sequences: what CTC needs beside a model, in plain NumPy; only ``loss`` needs Keras.

Connectionist temporal classification (CTC; Graves et al. 2006, ICML) gives every frame one label, which is a gloss
or the *blank*; the sentence is what remains when repeated labels are merged and blanks are dropped. Terms used
here:

- *gloss id*: as in the label map, from 0. What these modules take and return.
- *label*: what a column of CTC logits stands for: 0 is the blank, ``gloss id + 1`` a gloss. V glosses make V + 1
  columns.
- *path*: one label for each frame.
- *frames*: of the logits, which may be fewer than the clip's (see ``planner``).
"""
