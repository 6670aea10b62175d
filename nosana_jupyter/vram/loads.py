"""
The models that a cell loads, and how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .calls import Call, Live, Reading, Word

_NO_MODEL = re.compile(
    r"Tokenizer|Processor|Config|Extractor|Scheduler|Vocab|Retriever|^PeftModel|Streamer|Dataset"
)
"""Classes whose `from_pretrained` brings no weights, or few."""

_TASKS = {
    "text-generation": "openai-community/gpt2",
    "text-classification": "distilbert-base-uncased-finetuned-sst-2-english",
    "sentiment-analysis": "distilbert-base-uncased-finetuned-sst-2-english",
    "summarization": "sshleifer/distilbart-cnn-12-6",
    "translation": "google-t5/t5-base",
    "fill-mask": "distilbert/distilroberta-base",
    "feature-extraction": "distilbert/distilbert-base-cased",
    "ner": "bert-large-cased-finetuned-conll03-english",
    "token-classification": "bert-large-cased-finetuned-conll03-english",
    "question-answering": "distilbert-base-cased-distilled-squad",
    "zero-shot-classification": "facebook/bart-large-mnli",
    "automatic-speech-recognition": "facebook/wav2vec2-base-960h",
    "image-classification": "google/vit-base-patch16-224",
}
"""What `pipeline` takes for a task where no model is named."""

_GGUF = re.compile(
    r"(?:^|[-._/*])(iq[1-4]_\w+|q[2-8](?:_[01k])?(?:_[sml])?|bf16|f16|f32)(?=$|[-._*])", re.I
)
_VISION = re.compile(
    r"^(resnet|resnext|wide_resnet|vgg|densenet|mobilenet|efficientnet|convnext|vit_|swin|inception|"
    r"alexnet|squeezenet|googlenet|regnet|maxvit|deeplabv3|fcn_|fasterrcnn|maskrcnn|retinanet|ssd)"
)  # fmt: skip

CUDA_WORDS = re.compile(r"^cuda(:\d+)?$")


@dataclass(eq=False, slots=True)
class Load:
    """A model that a cell loads."""

    name: str
    library: str
    """`transformers`, `diffusers`, `vllm`, `sentence`, `whisper`, `ctranslate`,
    `gguf` or `vision`."""

    call: Call
    dtype: str = ""
    """As in `float16`; `auto`: as its files have it. Empty: what is usual."""

    quant: str = ""
    """`nf4`, `int8`, `gptq`, `awq`, `fp8`, or the name of a GGUF type in small letters."""

    double: bool = False
    """Whether the scales of 4-bit weights are quantized in turn."""

    where: str = ""
    """`cuda`, `cpu` or `offload`; empty where the cell does not say."""

    unclear: bool = False
    """Whether the name is not in the text."""


def find_loads(reading: Reading) -> list[Load]:
    """Return the models that a cell loads, in order."""
    found: dict[tuple[str, str], Load] = {}
    for call in reading.calls:
        load = _load(call)
        if load is not None:
            _describe(load)
            found.setdefault((load.name, load.library), load)
    loads = list(found.values())
    for load in loads:
        for call in reading.calls:
            if call.of is load.call:
                _moved(load, call)
    return loads


def _load(call: Call) -> Load | None:
    owner, last = call.owner, call.last
    if last in ("from_pretrained", "from_quantized", "from_single_file", "load_from_checkpoint"):
        if _NO_MODEL.search(owner):
            return None
        name = call.get("pretrained_model_name_or_path", "model_name", "repo_id", "model_id", at=0)
        if owner == "Llama":
            return _gguf(call, _text(name), file=_text(call.get("filename", at=1)))
        diffusion = owner.endswith("Pipeline") or call.top == "diffusers"
        return _named(call, name, "diffusers" if diffusion else "transformers")
    if last == "pipeline" and call.top in ("pipeline", "transformers"):
        model = call.get("model", at=1)
        if isinstance(model, Call | Live):
            return None
        task = _text(call.get("task", at=0))
        return _named(call, model or _TASKS.get(task, ""), "transformers")
    if last == "LLM" and call.top in ("vllm", "LLM"):
        return _named(call, call.get("model", at=0), "vllm")
    if last in ("SentenceTransformer", "CrossEncoder"):
        return _named(call, call.get("model_name_or_path", at=0), "sentence")
    if last == "WhisperModel":
        return _named(call, call.get("model_size_or_path", at=0), "ctranslate")
    if last == "load_model" and call.top == "whisper":
        return _named(call, call.get("name", at=0), "whisper")
    if last == "Llama" and call.get("model_path", at=0) is not None:
        return _gguf(call, _text(call.get("model_path", at=0)))
    if last == "create_model" and call.top in ("timm", "create_model"):
        return _named(call, call.get("model_name", at=0), "vision")
    if _VISION.match(last) and call.top in ("torchvision", "models", last):
        return _named(call, last, "vision")
    return None


def _named(call: Call, name: Any, library: str) -> Load | None:
    if isinstance(name, Call | Live):
        return None
    text = _text(name)
    return Load(text or "a model", library, call, unclear=not text)


def _gguf(call: Call, name: str, *, file: str = "") -> Load:
    found = _GGUF.search(file or name)
    layers = call.get("n_gpu_layers")
    # Llama.cpp keeps to the processor unless it is told otherwise.
    where = "cuda" if isinstance(layers, int) and layers else "cpu"
    return Load(name, "gguf", call, quant=found[1].lower() if found else "q4_k_m", where=where)


def _describe(load: Load) -> None:
    """Take from a load's own options what they say of types and places."""
    call = load.call
    options = dict(call.kwargs)
    inner = options.get("model_kwargs")
    if isinstance(inner, dict):
        options |= inner
    dtype = _text(options.get("torch_dtype", options.get("dtype", "")), words=True)
    load.dtype = load.dtype or dtype.rpartition(".")[2]
    if options.get("variant") == "fp16" and not load.dtype:
        load.dtype = "float32"  # The files are small; what is loaded is not, without a dtype.
    if load.library == "ctranslate":
        load.dtype = _text(options.get("compute_type")) or "float16"
        load.where = _text(options.get("device")) or "cuda"
    _quantized(load, options)
    place = options.get("device_map", options.get("device"))
    if load.library == "vllm":
        load.where = "cuda"
    elif isinstance(place, int) and not isinstance(place, bool):
        load.where = "cuda" if place >= 0 else "cpu"
    elif isinstance(place, str) and load.library != "ctranslate":
        load.where = _place(place)
    elif isinstance(place, dict):
        load.where = "cuda"
    elif isinstance(place, Call) and place.last == "device" and place.args:
        load.where = _place(_text(place.args[0]))


def _quantized(load: Load, options: Mapping[str, Any]) -> None:
    config = options.get("quantization_config")
    sources = [options]
    if isinstance(config, Call):
        sources.append(config.kwargs)
        if config.last in ("GPTQConfig", "AwqConfig"):
            load.quant = "gptq" if config.last == "GPTQConfig" else "awq"
    elif isinstance(config, Live):
        known = getattr(config.value, "__dict__", {})
        sources.append({key.lstrip("_"): value for key, value in known.items()})
    for each in sources:
        if each.get("load_in_4bit") is True:
            load.quant = "nf4"
            load.double = each.get("bnb_4bit_use_double_quant") is True
        elif each.get("load_in_8bit") is True:
            load.quant = "int8"
    if load.call.owner.startswith("Fast") and options.get("load_in_4bit", True) is True:
        load.quant, load.where = "nf4", "cuda"  # Unsloth's default.
    if load.call.owner.startswith("Fast"):
        load.where = "cuda"
    said = _text(options.get("quantization"))
    name = load.name.lower()
    if load.quant or load.library == "gguf":
        return
    if said in ("awq", "gptq", "fp8", "bitsandbytes", "awq_marlin", "gptq_marlin"):
        load.quant = {"bitsandbytes": "nf4"}.get(said, said.partition("_")[0])
    elif "bnb-4bit" in name:
        load.quant = "nf4"
    elif "awq" in name:
        load.quant = "awq"
    elif "gptq" in name or re.search(r"int[48]\b", name):
        load.quant = "gptq8" if re.search(r"int8|8-?bit", name) else "gptq"
    elif re.search(r"\bfp8\b", name):
        load.quant = "fp8"


def spreads(load: Load) -> bool:
    """Say whether a model may lie on several cards."""
    place = load.call.kwargs.get("device_map")
    parallel = load.call.kwargs.get("tensor_parallel_size")
    several = isinstance(parallel, int) and parallel > 1
    return place in ("auto", "balanced", "balanced_low_0", "sequential") or several


def _moved(load: Load, call: Call) -> None:
    """Take note of what a cell does to a model that it has loaded."""
    if call.last in ("half", "bfloat16"):
        load.dtype = "float16"
    if call.last == "cuda":
        load.where = "cuda"
    if call.last == "to":
        for each in (*call.args, *call.kwargs.values()):
            text = _text(each, words=True).rpartition(".")[2]
            if text.startswith(("float", "bfloat", "half")):
                load.dtype = text
            elif isinstance(each, str | Call):
                inner = each.args[0] if isinstance(each, Call) and each.args else text
                load.where = _place(_text(inner))
    if call.last in ("enable_model_cpu_offload", "enable_sequential_cpu_offload"):
        load.where = "offload" if "model" in call.last else "trickle"


def _place(text: str) -> str:
    """Return where a device is. A variable is taken for a card: what else would be rented."""
    return "cpu" if text.startswith(("cpu", "mps", "meta")) else "cuda"


def _text(value: Any, *, words: bool = False) -> str:
    """Return a string of the cell; of a dotted name only where such are meant, too."""
    if isinstance(value, Word):
        return str(value) if words else ""
    return value if isinstance(value, str) else ""


def texts(values: Iterator[Any]) -> Iterator[str]:
    """Give those of some values that are strings of the cell."""
    return (text for value in values if (text := _text(value)))
