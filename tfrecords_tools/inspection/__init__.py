"""Looking at a folder of records: is it sound, is it good, and do its splits keep apart what they should?

``verify`` reads every record once and decodes every frame once; observers follow it. ``measures`` gives each
clip its row of numbers, ``sheets`` draws some clips, ``signatures`` makes what clips are compared by. Out of
these ``audit`` finds leakage between splits and ``report`` writes a page.
"""
