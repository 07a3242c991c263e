"""The bundled model's codec: vocoder features, coded as eight codes of 1024 per frame.

analysis (waveform → features) → network with quantisers (features ↔ codes) → synthesis (features → waveform).
The features of a 10 ms step are pitch, voicing in four bands, and a 64-band log-mel envelope up to 8 kHz.
"""
