"""The codec's modules, named as in transformers' `higgs_audio_v2_tokenizer`."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from audio.frames import CODEBOOKS
from higgs.codecs.higgs_v2.dac import DacDecoder, DacEncoder
from higgs.codecs.higgs_v2.quantizer import ResidualQuantizer
from higgs.codecs.higgs_v2.semantic import SemanticEncoder, build_hubert, resample

if TYPE_CHECKING:
    from transformers import HiggsAudioV2TokenizerConfig

HUBERT_MARGIN = 160  # padding in samples at 16 kHz, so that there is one HuBERT frame per 20 ms


class CodecNetwork(nn.Module):
    """Waveform [B, 1, 960·T] → codes [B, 8, T] → waveform. float32."""

    def __init__(self, config: "HiggsAudioV2TokenizerConfig") -> None:
        super().__init__()
        acoustic: Any = config.acoustic_model_config
        semantic: Any = config.semantic_model_config
        self.rates = (config.sample_rate, config.semantic_sample_rate)
        self.semantic_stride = config.semantic_downsample_factor
        self.codebook_size = config.codebook_size
        self.acoustic_encoder = DacEncoder(
            acoustic.encoder_hidden_size, acoustic.downsampling_ratios, acoustic.hidden_size
        )
        self.acoustic_decoder = DacDecoder(
            acoustic.decoder_hidden_size, acoustic.upsampling_ratios, acoustic.hidden_size
        )
        self.semantic_model = build_hubert(semantic)
        self.encoder_semantic = SemanticEncoder(
            semantic.hidden_size,
            config.kernel_size,
            len(config.strides),
            config.unit_kernel_size,
            list(config.block_dilations),
        )
        self.fc = nn.Linear(config.hidden_size, config.hidden_size)
        self.fc2 = nn.Linear(config.hidden_size, acoustic.hidden_size)
        self.quantizer = ResidualQuantizer(
            CODEBOOKS, config.hidden_size, config.codebook_size, config.codebook_dim
        )

    def semantic_features(self, waveform: torch.Tensor) -> torch.Tensor:
        """[B, 1, 960·T] → [B, T, hidden]: the mean over HuBERT's layers, every second 20 ms frame."""
        heard = F.pad(resample(waveform[:, 0], *self.rates), (HUBERT_MARGIN, HUBERT_MARGIN))
        layers = self.semantic_model(heard, output_hidden_states=True).hidden_states
        return torch.stack(layers, dim=1).mean(1)[:, :: self.semantic_stride]

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """[B, 1, 960·T] → [B, 8, T] int64."""
        semantic = self.encoder_semantic(self.semantic_features(waveform).transpose(1, 2))
        features = torch.cat([self.acoustic_encoder(waveform), semantic], dim=1)
        return self.quantizer.encode(self.fc(features.transpose(1, 2)))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """[B, 8, T] → [B, 1, 960·T]."""
        return self.acoustic_decoder(self.acoustic_features(codes))

    def acoustic_features(self, codes: torch.Tensor) -> torch.Tensor:
        """[B, 8, T] → [B, features, T], what `acoustic_decoder` takes."""
        return self.fc2(self.quantizer.decode(codes)).transpose(1, 2)
