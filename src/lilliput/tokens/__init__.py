"""Text to ids and ids to batches: tokenizers, shards, mixture, packing, order."""

from lilliput.tokens.bpe import BPEConfig
from lilliput.tokens.bytes import BytesConfig, ByteTokenizer
from lilliput.tokens.gpt2 import GPT2Config
from lilliput.tokens.hub import HubConfig
from lilliput.tokens.kinds import TokenizerConfig, load, open_tokenizer, vocabulary

__all__ = [
    "BPEConfig",
    "ByteTokenizer",
    "BytesConfig",
    "GPT2Config",
    "HubConfig",
    "TokenizerConfig",
    "load",
    "open_tokenizer",
    "vocabulary",
]
