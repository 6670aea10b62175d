from pathlib import Path

import numpy as np

examples = [
    ("What is a market?", "A group of hosts with the same card and the same price."),
    ("What is a deposit?", "Price times timeout; what is not used comes back."),
    ("What is a session?", "A host that is kept for several cells."),
    ("What is a timeout?", "The longest run that is paid for."),
] * 8


def batches():
    """Return the examples of each step, in a new order in each epoch."""
    order = np.random.default_rng(0)
    for _ in range(epochs):
        mixed = [examples[number] for number in order.permutation(len(examples))]
        yield from (mixed[at : at + batch] for at in range(0, len(mixed), batch))


def fine_tune():
    """Train an adapter of the model; return the loss of each step, and an answer before and after."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device, kind = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    whole = AutoModelForCausalLM.from_pretrained(model, dtype=kind).to(device)
    low = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(whole, low)
    tuned.print_trainable_parameters()

    def asked(question):
        if tokenizer.chat_template is None:
            return f"{question}\n"
        said = [{"role": "user", "content": question}]
        return tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)

    def answer(question):
        given = tokenizer(asked(question), return_tensors="pt", add_special_tokens=False).to(device)
        tuned.eval()
        with torch.no_grad():
            made = tuned.generate(**given, max_new_tokens=64, do_sample=False,
                                  pad_token_id=tokenizer.pad_token_id,
                                  eos_token_id=tokenizer.eos_token_id)
        return tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)

    def loss_of(part):
        texts = [(asked(question), right + tokenizer.eos_token) for question, right in part]
        given = tokenizer([question + right for question, right in texts], return_tensors="pt",
                          padding=True, padding_side="right", add_special_tokens=False).to(device)
        known = given["input_ids"].masked_fill(given["attention_mask"] == 0, -100)
        for row, (question, _) in enumerate(texts):
            known[row, : len(tokenizer(question, add_special_tokens=False)["input_ids"])] = -100
        return tuned(**given, labels=known).loss  # Of the answers alone.

    first = answer(examples[0][0])
    steps = torch.optim.AdamW([each for each in tuned.parameters() if each.requires_grad],
                              lr=learning_rate)
    found = []
    for number, part in enumerate(batches(), 1):
        tuned.train()
        loss = loss_of(part)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
        steps.step()
        steps.zero_grad()
        found.append(loss.item())
        print(f"step {number}: loss {found[-1]:.3f}")
    tuned.save_pretrained("adapter")
    return found, first, answer(examples[0][0])


def tiny():
    """Do the same with a model of letters: a fixed matrix, and an adapter of low rank beside it."""
    random = np.random.default_rng(0)
    look, width = 6, 24  # Letters that are seen before the next, and numbers for each.
    letters = random.normal(size=(look, 256, width)) / np.sqrt(width)
    fixed = random.normal(size=(look * width, 256)) * 0.05
    down, up = random.normal(size=(look * width, rank)) / np.sqrt(rank), np.zeros((rank, 256))

    def seen(text):
        padded = bytes(look) + text.encode()
        return np.stack([
            np.concatenate([letters[place, padded[at + place]] for place in range(look)])
            for at in range(len(padded) - look + 1)
        ])

    def answer(question):
        text = f"{question}\n"
        for _ in range(64):
            last = seen(text)[-1]
            letter = int((last @ fixed + last @ down @ up).argmax())
            if letter in (0, 10):
                break
            text += chr(letter)
        return text.partition("\n")[2]

    first = answer(examples[0][0])
    size = down.size + up.size
    print(f"trainable params: {size:,} || all params: {size + fixed.size:,}")
    moments = [[np.zeros_like(each), np.zeros_like(each)] for each in (down, up)]
    found = []
    for number, part in enumerate(batches(), 1):
        inputs, known = [], []
        for question, right in part:
            text = f"{question}\n{right}\n"
            inputs.append(seen(text[:-1])[len(question) + 1 :])
            known += text.encode()[len(question) + 1 :]
        x = np.concatenate(inputs)
        scores = x @ fixed + x @ down @ up
        chance = np.exp(scores - scores.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        rows = np.arange(len(known))
        found.append(float(-np.log(chance[rows, known]).mean()))
        chance[rows, known] -= 1
        slopes = x.T @ (chance @ up.T) / len(known), (x @ down).T @ chance / len(known)
        for weight, slope, (mean, square) in zip((down, up), slopes, moments):
            mean += 0.1 * (slope - mean)
            square += 0.01 * (slope**2 - square)
            step = mean / (1 - 0.9**number) / (np.sqrt(square / (1 - 0.99**number)) + 1e-8)
            weight -= learning_rate * step
        if number % 20 == 1:
            print(f"step {number}: loss {found[-1]:.3f}")
    Path("adapter").mkdir(exist_ok=True)
    np.savez("adapter/adapter.npz", down=down, up=up)
    return found, first, answer(examples[0][0])


losses, before, after = tiny() if model == "tiny" else fine_tune()
files = sorted(each.name for each in Path("adapter").iterdir())
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, adapter: {', '.join(files)}")
print(f"{examples[0][0]}\n  before: {before!r}\n  after:  {after!r}")
