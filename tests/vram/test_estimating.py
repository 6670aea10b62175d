"""How much memory of a card a cell needs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.vram import Peak, Weights, estimate, models_of

LLAMA = """
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(
    "meta-llama/Meta-Llama-3-8B", torch_dtype=torch.bfloat16, device_map="auto"
)
"""

# Torch is no part of the tests: classes that are called like its own have what is looked at.
Tensor = type("Tensor", (), {"__module__": "torch", "__init__": lambda self, **all_: vars(self).update(all_)})  # fmt: skip # noqa: E501
Module = type("Module", (), {"__module__": "torch.nn.modules.module"})


def tensor(count: int, *, width: int = 4, device: str = "cpu") -> Any:
    return Tensor(nbytes=count * width, itemsize=width, requires_grad=True, device=device)


def module(count: int, *, device: str = "cpu", config: Mapping[str, object] | None = None) -> Any:
    """Return a module with a child, which holds its only weights."""
    child, parent = Module(), Module()
    vars(child).update(
        _parameters={"weight": tensor(count, device=device)}, _buffers={}, _modules={}
    )
    vars(parent).update(_parameters={}, _buffers={}, _modules={"a": child, "tied": child})
    if config:
        vars(parent)["config"] = SimpleNamespace(**config)
    return parent


def test_a_model_is_weighed_by_its_name() -> None:
    """
    Llama 3 8B in 16 bits takes about 16 GB, weights first among the reasons.
    """
    found = estimate(LLAMA)

    assert found.low < 16 < found.high < 24
    assert found.need == found.high
    assert found.reasons[0].what == "weights"
    assert found.models == models_of(LLAMA) == ("meta-llama/Meta-Llama-3-8B",)
    assert found.spreads


def test_nothing_heavy_is_imported() -> None:
    """
    The estimate needs neither NumPy nor Torch nor IPython, so that a server can ask for it.
    """
    probe = f"""
import sys
from nosana_jupyter.vram import estimate
estimate({LLAMA!r})
print([name for name in ("numpy", "torch", "IPython", "pandas") if name in sys.modules])
"""
    told = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.strip() == "[]"


def test_it_is_fast() -> None:
    """
    A cell of thirty lines takes milliseconds, measured beside reading its syntax alone.
    """
    code = LLAMA + "x = [y * 2 for y in range(10)]\n" * 22
    estimate(code)

    def took(work: Any) -> float:
        least = 9.0
        for _ in range(5):
            began = time.process_time()
            work(code)
            least = min(least, time.process_time() - began)
        return least

    assert took(estimate) < 0.02 or took(estimate) < 30 * took(
        lambda text: compile(text, "", "exec")
    )


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nx = np.ones(10)",
        "import torch\nx = torch.ones(10)",
        "%time sum(range(10))\n!ls",
        'import torch\nx = torch.zeros(4, device="cpu")',
        'from transformers import AutoTokenizer\nt = AutoTokenizer.from_pretrained("gpt2")',
        'from transformers import pipeline\np = pipeline("ner", device=-1)',
    ],
)
def test_a_cell_that_uses_no_card_needs_none(code: str) -> None:
    """
    What computes on no card needs none: it goes to the cheapest market.
    """
    found = estimate(code)

    assert not found.gpu
    assert found.need == 0
    assert found.text == "needs no GPU memory"


def test_what_is_half_written_is_no_error() -> None:
    """
    A cell that is being typed has an estimate, which is not certain.
    """
    assert not estimate("for x in").certain
    assert not estimate("def f(:").gpu


@given(st.text(max_size=200))
def test_any_text_can_be_estimated(code: str) -> None:
    """
    Whatever stands in a cell, the estimate does not fail, and its range is one.
    """
    found = estimate(code)

    assert 0 <= found.low <= found.high or found.said


def test_what_the_user_says_wins() -> None:
    """
    The cell's own first line is believed, and the estimate stands beside it.
    """
    found = estimate(f"%%nosana --vram 40GB --timeout 5m{LLAMA}")

    assert found.need == 40
    assert found.reasons[0].source == "said"
    assert found.high < 20


def test_names_come_from_the_notebook() -> None:
    """
    A model's name, its type and a configuration that earlier cells have bound are used.
    """
    code = "model = Auto.from_pretrained(name, torch_dtype=kind, device_map='cuda')"
    kind = type("dtype", (), {"__module__": "torch", "__str__": lambda _: "torch.float16"})()
    space = {"name": "Qwen/Qwen2.5-7B-Instruct", "kind": kind}

    found = estimate(code, namespace=space)

    assert found.models == ("Qwen/Qwen2.5-7B-Instruct",)
    assert 14 < found.low < 15.5
    assert "float16" in found.reasons[0].sentence


def test_functions_of_the_notebook_are_read() -> None:
    """
    A function that an earlier cell defined is looked into, where the cell calls it.
    """
    import linecache

    source = f"def load():\n    import torch{LLAMA.replace(chr(10), chr(10) + '    ')}\n"
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), space)

    assert estimate("load()", namespace=space).low > 14
    assert not estimate("load()").gpu


def test_live_modules_are_counted_once() -> None:
    """
    A module's own dictionaries are walked; weights that are tied count once.
    """
    space = {"net": module(1 << 28)}
    moved = estimate('net.to("cuda")(x)', namespace=space)
    trained = estimate(
        "net.cuda()\nopt = torch.optim.AdamW(net.parameters())\nloss(net).backward()",
        namespace=space,
    )

    assert [each.gib for each in moved.reasons if each.source == "live object"] == [1.0]
    # Weights, gradients, and two numbers of Adam for each.
    assert 4.0 <= trained.low < 5.0
    assert not estimate("net(x)", namespace=space).gpu
    assert estimate("net(x)", namespace={"net": module(1 << 28, device="cuda:0")}).low > 1.0


def test_a_live_model_knows_its_build() -> None:
    """
    The configuration of a live model tells what its cache takes.
    """
    config = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
              "num_key_value_heads": 8, "vocab_size": 128_256}  # fmt: skip
    code = "model.cuda()\nout = model.generate(tokens, max_length=8192)"

    found = estimate(code, namespace={"model": module(1 << 28, config=config)})

    cache = next(each for each in found.reasons if each.what == "KV cache")
    assert 0.9 < cache.gib < 1.3


def test_live_arrays_count_where_they_are_sent() -> None:
    """
    An array counts that the cell puts on a card, and not one that stays where it is.
    """
    import numpy as np

    space = {"data": np.zeros((1 << 14, 1 << 13), dtype="float32"), "rest": np.zeros(1 << 26)}
    sent = estimate('x = torch.from_numpy(data).to("cuda")\nrest.sum()', namespace=space)

    assert [each.what for each in sent.reasons if each.source == "live object"] == ["data"]
    assert estimate("import cupy\ny = cupy.asarray(data)", namespace=space).low > 0.3


def test_nothing_of_the_user_is_called() -> None:
    """
    To look at an object runs none of its own code.
    """

    class Trap:
        def __getattribute__(self, name: str) -> Any:
            if name != "__dict__" and not name.startswith("__class"):
                raise AssertionError(name)
            return object.__getattribute__(self, name)

    code = 'trap.to("cuda")\nnet(trap)\nAuto.from_pretrained("x/y-7b", quantization_config=trap)'

    assert estimate(code, namespace={"trap": Trap()}).gpu


def test_arrays_that_a_cell_makes() -> None:
    """
    Sizes that stand in the text are multiplied out.
    """
    code = 'import torch\nn = 2**14\na = torch.randn(n, 2 * n, device="cuda")\nb = a @ a.T'
    found = estimate(code)

    assert found.low == pytest.approx(2.25, abs=0.1)
    assert found.high > 4


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [
        ("torch_dtype=torch.float32", 29, 34),
        ("torch_dtype=torch.bfloat16", 14.5, 18),
        ("load_in_8bit=True", 7.8, 12),
        ("quantization_config=BitsAndBytesConfig(load_in_4bit=True)", 5, 8.5),
    ],
)
def test_types_and_bits(options: str, least: float, most: float) -> None:
    """
    Weights take what their type takes; of 4 bits, tables of words keep their 16.
    """
    name = '"meta-llama/Meta-Llama-3-8B", device_map=0'
    code = f"import torch\nm = AutoModelForCausalLM.from_pretrained({name}, {options})"
    found = estimate(code)

    assert least < found.low
    assert found.high < most


def test_lora_takes_less_than_training_all() -> None:
    """
    With LoRA only what it adds has gradients; an optimiser of 8 bits keeps less.
    """
    whole = LLAMA + "Trainer(model=model, args=TrainingArguments(bf16=True)).train()"
    small = whole.replace("bf16=True", 'bf16=True, optim="paged_adamw_8bit"')
    lora = LLAMA + (
        "from peft import LoraConfig, get_peft_model\n"
        "model = get_peft_model(model, LoraConfig(r=16))\n"
        "Trainer(model=model, args=TrainingArguments(bf16=True)).train()"
    )

    assert estimate(whole).low > estimate(small).low > estimate(lora).low > 15


@pytest.mark.parametrize(
    "code",
    [
        'Llama.from_pretrained(repo_id="a/Meta-Llama-3-8B-GGUF", filename="*Q4_K_M.gguf", {})',
        'Llama(model_path="models/llama-3-8b.Q4_K_M.gguf", {})',
    ],
)
def test_gguf_types_are_in_the_name_of_the_file(code: str) -> None:
    """
    Bits come from the file's name, the size from its model's; without layers on the card, none is.
    """
    found = estimate(
        f"from llama_cpp import Llama\nm = {code.format('n_gpu_layers=-1, n_ctx=8192')}"
    )
    beside = estimate(f"from llama_cpp import Llama\nm = {code.format('n_ctx=8192')}")

    assert found.low > 4.5
    assert found.high < 9
    assert found.certain
    assert not beside.gpu


def test_vllm_makes_room_for_the_longest_text() -> None:
    """
    Without max_model_len vLLM wants room for all that a model can, and the reason says so.
    """
    code = 'from vllm import LLM\nllm = LLM("meta-llama/Llama-3.1-8B-Instruct")'
    whole = estimate(code)
    short = estimate(code.replace('")', '", max_model_len=8192)'))

    assert whole.high - short.high > 15
    assert "max_model_len=8192" in " ".join(each.sentence for each in whole.reasons)
    assert whole.greedy


def test_a_model_that_nothing_moves_is_told() -> None:
    """
    Where nothing puts a model on the card, the range begins at nothing and a note says why.
    """
    code = "import torchvision\nnet = torchvision.models.resnet50()\nnet(x)"
    found = estimate(code)

    assert found.low < 0.3
    assert not found.certain
    assert "to(" in found.notes[0]


def test_files_are_believed_before_names() -> None:
    """
    What a model's files hold wins over what its name says.
    """
    files = Weights(params=1 << 30, size=1 << 31, dtype="bfloat16", source="the cache")
    found = estimate(
        'AutoModel.from_pretrained("me/mine-70b", torch_dtype="auto", device_map=0)',
        weights={"me/mine-70b": files}.get,
    )

    assert found.reasons[0].source == "weights"
    assert found.reasons[0].gib == 2.0
    assert "read from the cache" in found.reasons[0].sentence


def test_an_unknown_model_is_not_certain() -> None:
    """
    A model of which nobody knows the size is named, and a size in a name is a guess.
    """
    nothing = estimate('AutoModel.from_pretrained("me/mine", device_map=0)')
    guessed = estimate('AutoModel.from_pretrained("me/mine-13b", device_map=0)')

    assert not nothing.certain
    assert "me/mine" in nothing.notes[0]
    assert not guessed.certain
    assert guessed.low > 20


def test_what_was_seen_wins_over_what_was_computed() -> None:
    """
    A peak that was measured is the next estimate; one that did not fit raises it.
    """
    seen = estimate(LLAMA, peak=Peak(gib=21.0, runs=2, card="RTX 4090"))
    short = estimate(LLAMA, peak=Peak(gib=23.6, failed=True, card="RTX 4090"))

    assert (seen.low, seen.certain) == (21.0, True)
    assert 21 < seen.need < 24
    assert seen.reasons[0].source == "learned"
    assert "RTX 4090" in seen.reasons[0].sentence
    assert short.need > 29
    assert not short.certain


def test_who_takes_a_whole_card_teaches_nothing() -> None:
    """
    What vLLM took of a large card is no reason to ask for one again.
    """
    code = 'from vllm import LLM\nllm = LLM("Qwen/Qwen2.5-0.5B", max_model_len=2048)'

    assert estimate(code, peak=Peak(gib=72.0)).need < 8


def test_fingerprints_tell_cells_apart() -> None:
    """
    Blank lines, comments and the magic line change nothing; code and models do.
    """
    same = estimate(f"%%nosana --vram 8\n# a comment\n\n{LLAMA}")

    assert same.fingerprint == estimate(LLAMA).fingerprint
    assert estimate(LLAMA.replace("8B", "70B")).fingerprint != same.fingerprint
    assert (
        estimate("Auto.from_pretrained(name)", namespace={"name": "a/b"}).fingerprint
        != estimate("Auto.from_pretrained(name)", namespace={"name": "a/c"}).fingerprint
    )


def test_cuda_comes_from_the_wheels() -> None:
    """
    The CUDA of the wheels that are used here is what the host's driver has to know.
    """
    tagged = estimate(LLAMA, versions={"torch": "2.6.0+cu124"})
    plain = estimate(LLAMA, versions={"torch": "2.8.0"})
    flash = estimate(
        LLAMA.replace("device_map", 'attn_implementation="flash_attention_2", device_map')
    )

    assert (tagged.cuda, tagged.below) == ("12.4", "12.0")
    assert (plain.cuda, plain.below) == ("12.8", "")
    assert flash.capability == "8.0"
