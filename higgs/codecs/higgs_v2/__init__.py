"""The published codec of Higgs Audio v2: 24 kHz waveform ↔ 8 codes of 1024 per frame, 25 frames per second.

waveform → semantic (HuBERT) and dac (acoustic) features → quantizer → codes → quantizer → dac → waveform.
`checkpoint` reads both layouts of the published weights; `codec` is the public interface.
"""
