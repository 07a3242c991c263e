"""The recipe of the second bundled model: natural teachers, phones in the text, a codec to 12 kHz.

Runs beside the first recipe (the folder above), which makes what ships, until its model is better.
"""
