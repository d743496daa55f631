"""Model families: a contract and one file per family."""

from typing import Annotated

from pydantic import Field

from lilliput.models import gpt2, llama, modern
from lilliput.models.contract import Preset
from lilliput.models.gpt2 import GPT2Config
from lilliput.models.llama import LlamaConfig
from lilliput.models.modern import ModernConfig

ModelConfig = Annotated[GPT2Config | LlamaConfig | ModernConfig, Field(discriminator="family")]

PRESETS: dict[str, Preset] = {**gpt2.PRESETS, **llama.PRESETS, **modern.PRESETS}
