"""Model families: a contract and one file per family."""

from typing import Annotated

from pydantic import Field

from lilliput.models import gpt2, gpt_oss, hgrn_bit, hnet_bit, llama, mixtral, modern
from lilliput.models.contract import Preset
from lilliput.models.gpt2 import GPT2Config
from lilliput.models.gpt_oss import GPTOSSConfig
from lilliput.models.hgrn_bit import HGRNBitConfig
from lilliput.models.hnet_bit import HNetBitConfig
from lilliput.models.llama import LlamaConfig
from lilliput.models.mixtral import MixtralConfig
from lilliput.models.modern import ModernConfig

ModelConfig = Annotated[
    GPT2Config | GPTOSSConfig | HGRNBitConfig | HNetBitConfig | LlamaConfig | MixtralConfig | ModernConfig,
    Field(discriminator="family"),
]

PRESETS: dict[str, Preset] = {
    **gpt2.PRESETS,
    **gpt_oss.PRESETS,
    **hgrn_bit.PRESETS,
    **hnet_bit.PRESETS,
    **llama.PRESETS,
    **mixtral.PRESETS,
    **modern.PRESETS,
}
