"""The second codec of vocoder features: 80 bands up to 12 kHz, two codebooks of timbre, no coded voicing.

The model that ships speaks through the first one (the folder above) until this one's is better.
"""
