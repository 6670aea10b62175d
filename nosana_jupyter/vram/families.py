"""
How well-known models are built, by name, for whoever has no files of them at hand.

The numbers are those of their published configurations. A name that is not here says a size at
most, as in `7B`; how such a model is built is then what is usual for that size.
"""

from __future__ import annotations

import re
from functools import cache

from .facts import Shape

_TABLE = r"""
llama-?3\.2-1b decoder 1.236 16 2048 512 128256 131072 tied
llama-?3\.2-3b decoder 3.213 28 3072 1024 128256 131072 tied
llama-?3\.2-11b decoder 10.67 40 4096 1024 128256 131072
llama-?3\.1-8b|r1-distill-llama-8b decoder 8.03 32 4096 1024 128256 131072
llama-?3-8b|llama3-8b decoder 8.03 32 4096 1024 128256 8192
llama-?3\.[13]-70b|r1-distill-llama-70b decoder 70.55 80 8192 1024 128256 131072
llama-?3-70b decoder 70.55 80 8192 1024 128256 8192
llama-?3\.1-405b decoder 405.9 126 16384 1024 128256 131072
(llama|vicuna|alpaca|open_llama|codellama).*70b decoder 68.98 80 8192 1024 32000 4096
(llama|guanaco).*65b decoder 65.29 80 8192 8192 32000 2048
codellama.*34b decoder 33.74 48 8192 1024 32000 16384
(llama|guanaco|vicuna).*3[03]b decoder 32.53 60 6656 6656 32000 2048
(llama|vicuna|guanaco|alpaca).*13b decoder 13.02 40 5120 5120 32000 4096
(llama|vicuna|guanaco|alpaca).*7b decoder 6.74 32 4096 4096 32000 4096
tinyllama decoder 1.1 22 2048 256 32000 2048
mixtral.*8x22b decoder 140.6 56 6144 1024 32768 65536
mixtral|8x7b decoder 46.7 32 4096 1024 32000 32768
mistral-nemo decoder 12.25 40 5120 1024 131072 131072
mistral-small|mistral.*24b decoder 23.57 40 5120 1024 131072 32768
(mistral|zephyr|openhermes|openchat).*7b decoder 7.24 32 4096 1024 32000 32768
qwen3-0\.6b decoder 0.596 28 1024 1024 151936 40960 tied
qwen3-1\.7b decoder 1.72 28 2048 1024 151936 40960 tied
qwen3-4b decoder 4.02 36 2560 1024 151936 40960 tied
qwen3-8b decoder 8.19 36 4096 1024 151936 40960
qwen3-14b decoder 14.77 40 5120 1024 151936 40960
qwen3-30b-a3b decoder 30.53 48 2048 512 151936 40960
qwen3-32b decoder 32.76 64 5120 1024 151936 40960
qwen3-235b decoder 235.1 94 4096 512 151936 40960
qwen2-57b decoder 57.41 28 3584 512 151936 32768
qwen2(\.5)?.*-0\.5b decoder 0.494 24 896 128 151936 32768 tied
qwen2(\.5)?.*-1\.5b|distill-qwen-1\.5b decoder 1.544 28 1536 256 151936 32768 tied
qwen2(\.5)?.*-3b decoder 3.09 36 2048 256 151936 32768 tied
qwen2(\.5)?.*-7b|distill-qwen-7b decoder 7.62 28 3584 512 152064 32768
qwen2(\.5)?.*-14b|distill-qwen-14b decoder 14.77 48 5120 1024 152064 32768
qwen2(\.5)?.*-32b|distill-qwen-32b|qwq-32b decoder 32.76 64 5120 1024 152064 32768
qwen2(\.5)?.*-72b decoder 72.71 80 8192 1024 152064 32768
qwen1\.5-0\.5b decoder 0.62 24 1024 1024 151936 32768
qwen1\.5-4b decoder 3.95 40 2560 2560 151936 32768
qwen1\.5-32b decoder 32.5 64 5120 1024 151936 32768
qwen(1\.5)?-1[.-]8b decoder 1.84 24 2048 2048 151936 8192
qwen(1\.5)?-7b decoder 7.72 32 4096 4096 151936 8192
qwen(1\.5)?-14b decoder 14.17 40 5120 5120 151936 8192
qwen(1\.5)?-72b decoder 72.29 80 8192 8192 151936 32768
gemma-3-270m decoder 0.268 18 640 256 262144 32768 tied window=512
gemma-3-1b decoder 1 26 1152 256 262144 32768 tied window=512
gemma-3-4b decoder 4.3 34 2560 1024 262144 131072 tied window=1024
gemma-3-12b decoder 12.19 48 3840 2048 262144 131072 tied window=1024
gemma-3-27b decoder 27.43 62 5376 2048 262144 131072 tied window=1024
gemma-2-2b decoder 2.61 26 2304 1024 256000 8192 tied
gemma-2-9b decoder 9.24 42 3584 2048 256000 8192 tied
gemma-2-27b decoder 27.23 46 4608 2048 256000 8192 tied
gemma.*-2b decoder 2.51 18 2048 256 256000 8192 tied
gemma.*-7b decoder 8.54 28 3072 4096 256000 8192 tied
phi-4-mini decoder 3.84 32 3072 1024 200064 131072 tied
phi-4 decoder 14.66 40 5120 1280 100352 16384
phi-3(\.5)?-mini decoder 3.82 32 3072 3072 32064 131072
phi-3-medium decoder 13.96 40 5120 1280 32064 131072
phi-2 decoder 2.78 32 2560 2560 51200 2048
phi-1 decoder 1.42 24 2048 2048 51200 2048
smollm.*135m decoder 0.135 30 576 192 49152 8192 tied
smollm.*360m decoder 0.362 32 960 320 49152 8192 tied
smollm.*1\.7b decoder 1.71 24 2048 2048 49152 8192 tied
distilgpt2 decoder 0.082 6 768 768 50257 1024 tied
gpt2-medium decoder 0.355 24 1024 1024 50257 1024 tied
gpt2-large decoder 0.774 36 1280 1280 50257 1024 tied
gpt2-xl decoder 1.558 48 1600 1600 50257 1024 tied
^gpt2$ decoder 0.124 12 768 768 50257 1024 tied
gpt-oss-20b decoder 20.9 24 2880 512 201088 131072
gpt-oss-120b decoder 116.8 36 2880 512 201088 131072
gpt-j decoder 6.05 28 4096 4096 50400 2048
gpt-neox-20b decoder 20.55 44 6144 6144 50432 2048
falcon.*-7b decoder 7.22 32 4544 64 65024 2048
falcon.*-40b decoder 41.8 60 8192 1024 65024 2048
bloom.*7b1 decoder 7.07 30 4096 4096 250880 2048 tied
bloom.*3b decoder 3 30 2560 2560 250880 2048 tied
bloom.*560m decoder 0.559 24 1024 1024 250880 2048 tied
^bloomz?$ decoder 176.2 70 14336 14336 250880 2048 tied
octocoder|^starcoder$ decoder 15.52 40 6144 128 49152 8192 tied
chatglm2-6b|chatglm3-6b decoder 6.24 28 4096 256 65024 32768
chatglm-6b decoder 6.17 28 4096 4096 130528 2048 tied
deepseek-(v3|r1) decoder 671 61 7168 288 129280 163840
yi-6b decoder 6.06 32 4096 512 64000 4096
yi-34b decoder 34.39 60 7168 1024 64000 4096
^distil(bert|roberta) encoder 0.066 6 768 768 30522 512 tied
deberta-v3-base encoder 0.184 12 768 768 128100 512 tied
deberta-v3-large encoder 0.435 24 1024 1024 128100 512 tied
xlm-roberta-base|multilingual-e5-base encoder 0.278 12 768 768 250002 512 tied
xlm-roberta-large|bge-m3|multilingual-e5-large encoder 0.56 24 1024 1024 250002 512 tied
modernbert-base encoder 0.149 22 768 768 50368 512 tied
modernbert-large encoder 0.395 28 1024 1024 50368 512 tied
minilm-l6|l-?6-v2 encoder 0.0227 6 384 384 30522 512 tied
minilm-l12|l-?12-v2|bge-small|e5-small|gte-small encoder 0.0334 12 384 384 30522 512 tied
mpnet-base|bge-base|e5-base|gte-base encoder 0.109 12 768 768 30522 512 tied
bge-large|e5-large|gte-large encoder 0.335 24 1024 1024 30522 512 tied
(bert|roberta|electra|camembert).*-large encoder 0.335 24 1024 1024 30522 512 tied
(bert|roberta|electra|camembert) encoder 0.11 12 768 768 30522 512 tied
(mt0|mt5)-xxl seq2seq 12.92 48 4096 4096 250112 0 tied
(mt0|mt5)-xl seq2seq 3.74 48 2048 2048 250112 0 tied
(mt0|mt5)-large seq2seq 1.23 48 1024 1024 250112 0 tied
(mt0|mt5)-base seq2seq 0.58 24 768 768 250112 0 tied
(mt0|mt5)-small seq2seq 0.3 16 512 512 250112 0 tied
t0_3b|t5.*(-xl|-3b) seq2seq 2.85 48 2048 2048 32128 0 tied
t5.*(-xxl|-11b) seq2seq 11.3 48 4096 4096 32128 0 tied
t5.*-large seq2seq 0.77 48 1024 1024 32128 0 tied
t5.*-base seq2seq 0.24 24 768 768 32128 0 tied
t5.*-small seq2seq 0.07 14 512 512 32128 0 tied
bart-large|pegasus seq2seq 0.41 24 1024 1024 50265 0 tied
bart-base seq2seq 0.139 12 768 768 50265 0 tied
opus-mt|marian seq2seq 0.075 12 512 512 58101 0 tied
nllb.*600m seq2seq 0.615 24 1024 1024 256206 0 tied
nllb.*1\.3b seq2seq 1.37 48 1024 1024 256206 0 tied
nllb.*3\.3b seq2seq 3.34 48 2048 2048 256206 0 tied
distil-large-v[23]|distil-whisper.*large speech 0.756 34 1280 1280 51866 0 tied
large-v3-turbo|^turbo$|whisper-turbo speech 0.809 36 1280 1280 51866 0 tied
(whisper.*|^)large speech 1.55 64 1280 1280 51865 0 tied
(whisper.*|^)medium speech 0.769 48 1024 1024 51865 0 tied
(whisper.*|^)small speech 0.244 24 768 768 51865 0 tied
(whisper.*|^)base speech 0.074 12 512 512 51865 0 tied
(whisper.*|^)tiny speech 0.039 8 384 384 51865 0 tied
wav2vec2.*large speech 0.317 24 1024 1024 0 0 tied
wav2vec2 speech 0.095 12 768 768 0 0 tied
clip-vit-large image 0.428 36 1024 1024 0 0 tied
clip image 0.151 24 768 768 0 0 tied
vit[-_]small|deit[-_]small image 0.022 12 384 384 0 0 tied
vit[-_]base|deit[-_]base|dinov2-base image 0.086 12 768 768 0 0 tied
vit[-_]large|dinov2-large|vit[-_]l[-_] image 0.304 24 1024 1024 0 0 tied
vit[-_]huge image 0.632 32 1280 1280 0 0 tied
vit[-_]b[-_] image 0.086 12 768 768 0 0 tied
swin[-_]t image 0.028 12 768 768 0 0 tied
swin[-_]b image 0.088 24 1024 1024 0 0 tied
convnext[-_]tiny image 0.029 18 768 768 0 0 tied
convnext[-_]base image 0.089 36 1024 1024 0 0 tied
resnet[-_]?18 cnn 0.0117 18 128 128 0 0 tied
resnet[-_]?34 cnn 0.0218 34 128 128 0 0 tied
resnet[-_]?50 cnn 0.0256 50 512 512 0 0 tied
resnet[-_]?101 cnn 0.0445 101 512 512 0 0 tied
resnet[-_]?152 cnn 0.0602 152 512 512 0 0 tied
vgg[-_]?1[69] cnn 0.138 16 512 512 0 0 tied
densenet[-_]?121 cnn 0.008 121 128 128 0 0 tied
mobilenet cnn 0.0035 50 64 64 0 0 tied
efficientnet[-_]b0 cnn 0.0053 80 64 64 0 0 tied
efficientnet cnn 0.03 120 128 128 0 0 tied
inception cnn 0.027 48 256 256 0 0 tied
flux.*klein diffusion 8 24 3072 3072 0 0 tied
flux diffusion 16.87 57 3072 3072 0 0 tied
stable-diffusion-3\.5-large diffusion 13.8 38 2432 2432 0 0 tied
stable-diffusion-3 diffusion 7.7 24 1536 1536 0 0 tied
(sdxl|stable-diffusion-xl).*refiner diffusion 3.1 70 1280 1280 0 0 tied
sdxl|stable-diffusion-xl|playground-v2 diffusion 3.47 70 1280 1280 0 0 tied
stable-diffusion-2|sd-turbo diffusion 1.29 50 1280 1280 0 0 tied
stable-diffusion|sd-?v?1|dreamlike|openjourney diffusion 1.07 50 1280 1280 0 0 tied
pixart diffusion 5.46 28 1152 1152 0 0 tied
kandinsky-2 diffusion 3 50 1280 1280 0 0 tied
wan2.*14b diffusion 20 40 5120 5120 0 0 tied
wan2.*1\.3b diffusion 7.2 30 1536 1536 0 0 tied
cogvideox-5b diffusion 10.5 42 3072 3072 0 0 tied
cogvideox-2b diffusion 6.6 30 1920 1920 0 0 tied
"""
"""
A row has the pattern of a name, kind, billions of parameters, layers, width, width of keys, words,
and the longest text, in tokens; the first that fits holds.
"""

_SIZE = re.compile(r"(?:(\d+)x)?(\d+(?:[.-]\d(?!\d))?)([bm])(?![a-z0-9])")

_USUAL = (
    (0.05, 12, 512), (0.15, 12, 768), (0.4, 24, 1024), (0.8, 24, 1280), (1.6, 24, 2048),
    (3.5, 32, 2560), (8.5, 32, 4096), (15.0, 40, 5120), (22.0, 44, 6144), (35.0, 60, 6656),
    (75.0, 80, 8192), (200.0, 96, 12_288), (1e9, 126, 16_384),
)  # fmt: skip
"""How models are usually built: up to so many billion parameters, layers, width."""


def known(name: str) -> Shape | None:
    """Return how a model of a well-known name is built."""
    short = _short(name)
    return next((shape for pattern, shape in _table() if pattern.search(short)), None)


@cache
def _table() -> tuple[tuple[re.Pattern[str], Shape], ...]:
    rows = []
    for row in _TABLE.strip().splitlines():
        pattern, kind, params, layers, hidden, kv, vocab, context, *rest = row.split()
        window = next((each.partition("=")[2] for each in rest if "=" in each), "0")
        shape = Shape(
            params=float(params) * 1e9, layers=int(layers), hidden=int(hidden), kv=int(kv),
            vocab=int(vocab), context=int(context), kind=kind, tied="tied" in rest,
            window=int(window),
        )  # fmt: skip
        rows.append((re.compile(pattern), shape))
    return tuple(rows)


def by_size(name: str) -> Shape | None:
    """Return how a model is usually built whose name says its size, as in `some-7b-chat`."""
    found = _SIZE.search(_short(name))
    if found is None:
        return None
    size = float(found[2].replace("-", ".")) * (1.0 if found[3] == "b" else 1e-3)
    # Experts share what is no expert: eight of seven billion are 47, and not 56.
    whole = size * int(found[1]) * 0.83 if found[1] else size
    return usual(whole * 1e9, active=size * 1e9)


def usual(params: float, *, active: float = 0.0, kind: str = "decoder") -> Shape:
    """Return how a model of so many parameters is usually built."""
    _, layers, hidden = next(each for each in _USUAL if (active or params) <= each[0] * 1e9)
    return Shape(
        params=params, layers=layers, hidden=hidden, kv=hidden, vocab=32_000 if hidden else 0,
        context=4096, kind=kind,
    )  # fmt: skip


def _short(name: str) -> str:
    """Return what of a model's name tells its build: without its owner, in small letters."""
    return name.rstrip("/").rpartition("/")[2].lower().replace("meta-", "").replace("_", "-")
