"""The second vocoder codec: 80 bands up to 12 kHz, two codebooks for timbre, no coded voicing.

The bundled model uses the first one (the parent folder) until a model for this one is better.
"""
