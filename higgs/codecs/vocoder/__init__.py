"""The bundled model's codec: speech as vocoder features, eight codes of 1024 a frame.

analysis (waveform → features) → network and quantisers (features ↔ codes) → synthesis (features → waveform).
Features of one 10 ms step are pitch, voicing in four bands and a 64-band log-mel envelope up to 8 kHz.
"""
