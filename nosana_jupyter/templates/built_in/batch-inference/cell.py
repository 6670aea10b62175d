import json
import random
import time
from pathlib import Path

import pandas as pd

prompts = [
    "Name a mammal that lays eggs.",
    "What is the capital of Iceland?",
    "Translate to French: good morning.",
    "How many legs has a spider?",
    "Write a haiku about rain.",
]
KEPT = Path("answers.jsonl")


def with_vllm():
    """Load the model; return what answers a list of prompts."""
    from vllm import LLM, SamplingParams

    loaded = LLM(model, max_model_len=context, seed=0)
    sampling = SamplingParams(temperature=temperature, max_tokens=longest, seed=0)

    def answer(some):
        asked = [[{"role": "user", "content": each}] for each in some]
        return [each.outputs[0].text for each in loaded.chat(asked, sampling)]

    return answer


def with_transformers():
    """Load the model; return what answers a list of prompts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device, kind = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    loaded = AutoModelForCausalLM.from_pretrained(model, torch_dtype=kind).to(device).eval()
    how = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}

    def asked(prompt):
        if tokenizer.chat_template is None:
            return prompt
        said = [{"role": "user", "content": prompt}]
        return tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)

    def answer(some):
        given = tokenizer([asked(each) for each in some], return_tensors="pt", padding=True,
                          truncation=True, max_length=context - longest,
                          add_special_tokens=tokenizer.chat_template is None).to(device)
        with torch.inference_mode():
            made = loaded.generate(**given, **how, max_new_tokens=longest,
                                   pad_token_id=tokenizer.pad_token_id)
        return tokenizer.batch_decode(made[:, given["input_ids"].shape[1] :],
                                      skip_special_tokens=True)

    return answer


def with_tiny():
    """Return what answers with words of the prompts, each as likely as after the one before it."""
    follows = {}
    for prompt in prompts:
        words = ["", *prompt.split(), ""]
        for one, next_one in zip(words, words[1:]):
            follows.setdefault(one, []).append(next_one)

    def answer(some):
        made = []
        for prompt in some:
            chance, words, word = random.Random(prompt), [], ""
            while len(words) < longest and (word := chance.choice(follows[word])):
                words.append(word)
            made.append(" ".join(words))
        return made

    return answer


makers = {"vllm": with_vllm, "transformers": with_transformers}
answer = (with_tiny if model == "tiny" else makers[engine])()
began = time.perf_counter()
for at in range(0, len(prompts), at_once):
    some = prompts[at : at + at_once]
    with KEPT.open("a", encoding="utf-8") as file:
        for prompt, text in zip(some, answer(some)):
            file.write(json.dumps({"prompt": prompt, "answer": text}, ensure_ascii=False) + "\n")
    print(f"{min(at + at_once, len(prompts))} of {len(prompts)} prompts, "
          f"{time.perf_counter() - began:.1f} s")

answers = pd.read_json(KEPT, lines=True)
print(answers.head(10).to_string())
