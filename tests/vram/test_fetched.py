"""What a cell fetches is found by its names in the cell's text."""

from __future__ import annotations

import pytest

from nosana_jupyter.vram.fetched import fetched


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('AutoModel.from_pretrained("Qwen/Qwen2.5-7B")', [("hub", "Qwen/Qwen2.5-7B")]),
        ('name = "me/m"\npipeline("text-generation", model=name)', [("hub", "me/m")]),
        ('SentenceTransformer("all-MiniLM")', [("hub", "sentence-transformers/all-MiniLM")]),
        ('WhisperModel("large-v3")', [("hub", "Systran/faster-whisper-large-v3")]),
        ('import whisper\nwhisper.load_model("base")', [("whisper", "base")]),
        ('snapshot_download("me/m")\nhf_hub_download(repo_id="me/n")',
         [("hub", "me/m"), ("hub", "me/n")]),
        ('from datasets import load_dataset\nload_dataset("me/x")', [("hub", "datasets/me/x")]),
        ('snapshot_download("me/t", repo_type="dataset")', [("hub", "datasets/me/t")]),
        ('import ollama\nollama.pull("llama3.2")', [("ollama", "llama3.2:latest")]),
        ('import ollama\nollama.chat(model="llama3.2:3b")', [("ollama", "llama3.2:3b")]),
        ("model.generate(inputs)\nrepo.pull('x')\nsnapshot_download(name)", []),
        ("torchvision.models.resnet50(weights='DEFAULT')\n1 +", []),
    ],
)  # fmt: skip
def test_what_is_named_is_found(code: str, found: list[tuple[str, str]]) -> None:
    """As the host's cache names it; what the text does not say is not guessed."""
    assert list(fetched(code, {})) == found


def test_names_of_the_notebook_count() -> None:
    """A name that the notebook holds is as good as one in the cell."""
    assert fetched("AutoModel.from_pretrained(which)", {"which": "me/m"}) == (("hub", "me/m"),)
