"""
A server as OpenAI's on the processor: llama.cpp's own, with a tiny model that is made on the spot.

Its weights are random, but for one direction that keeps it to whole words. It needs `xllamacpp` and
`gguf`, listens on port 8000, and requires the key that `LLAMA_API_KEY` says. `TINY_MODEL` names a
file where the model is, or stays.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

WORDS = """
a answer any as at big blue by cell come day far for from go good green host in is it its job kind
light little long many market model morning much name near network new night no node of old on one
open other over paid question quiet rain red river round sea second short slow small sky so some
soon star still stone sun that the then there this time to token true warm water we well wide wind
with word work world year yes young
""".split()

WIDTH, LAYERS, HEADS, CONTEXT = 64, 2, 4, 512


def write(path: Path) -> None:
    """Write the model, as a GGUF file."""
    import gguf
    import numpy as np

    random = np.random.default_rng(7)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(WORDS)
    tokens += [f"\u2581{word}" for word in WORDS]
    count = len(tokens)
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(2 * WIDTH)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(count)
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([-float(number) for number in range(count)])
    out.add_token_types(kinds)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")

    def some(name: str, *shape: int) -> None:
        out.add_tensor(name, (random.standard_normal(shape) * 0.2).astype(np.float32))

    def ones(name: str) -> None:
        out.add_tensor(name, np.ones(WIDTH, np.float32))

    # The first direction is the same in all states: in it, what is no word is far away.
    inner = (random.standard_normal((count, WIDTH)) * 0.5).astype(np.float32)
    inner[:, 0] = 12
    outer = (random.standard_normal((count, WIDTH)) * 0.5).astype(np.float32)
    outer[:, 0] = 0
    outer[: count - len(WORDS), 0] = -60
    out.add_tensor("token_embd.weight", inner)
    out.add_tensor("output.weight", outer)
    ones("output_norm.weight")
    for layer in range(LAYERS):
        ones(f"blk.{layer}.attn_norm.weight")
        ones(f"blk.{layer}.ffn_norm.weight")
        for each in ("attn_q", "attn_k", "attn_v", "attn_output"):
            some(f"blk.{layer}.{each}.weight", WIDTH, WIDTH)
        some(f"blk.{layer}.ffn_gate.weight", 2 * WIDTH, WIDTH)
        some(f"blk.{layer}.ffn_up.weight", 2 * WIDTH, WIDTH)
        some(f"blk.{layer}.ffn_down.weight", WIDTH, 2 * WIDTH)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main() -> None:
    """Serve the model."""
    import xllamacpp

    path = Path(os.environ.get("TINY_MODEL") or Path(tempfile.mkdtemp(), "tiny.gguf"))
    if not path.exists():
        write(path)
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(path)
    chosen.model_alias = {"tiny"}
    # A host without containers says where the port really is.
    chosen.port = int(os.environ.get("NOSANA_PORT_8000", "8000"))
    chosen.hostnames = ["127.0.0.1" if "NOSANA_NOT_ISOLATED" in os.environ else "0.0.0.0"]
    chosen.n_ctx, chosen.n_parallel, chosen.warmup = 2 * CONTEXT, 2, False
    chosen.cpuparams.n_threads = 1
    if key := os.environ.get("LLAMA_API_KEY"):
        chosen.api_keys = [key]
    server = xllamacpp.Server(chosen)
    print(f"the model answers at {server.listening_address}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
