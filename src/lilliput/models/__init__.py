"""Model families: a contract and one file per family."""

from typing import Annotated

from pydantic import Field

from lilliput.models import modern
from lilliput.models.contract import Preset
from lilliput.models.modern import ModernConfig

ModelConfig = Annotated[ModernConfig, Field(discriminator="family")]

PRESETS: dict[str, Preset] = {**modern.PRESETS}
