from pathlib import Path

from IPython.display import display
from PIL import Image

prompts = [
    "a lighthouse on a cliff at dawn, watercolour",
    "a koala reading a newspaper, studio photograph",
]


def with_diffusers():
    """Load the model; return what draws a prompt with some seeds."""
    import torch
    from diffusers import AutoPipelineForText2Image

    device, kind = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)
    loaded = AutoPipelineForText2Image.from_pretrained(
        model, dtype=kind, variant=variant or None
    ).to(device)
    loaded.set_progress_bar_config(desc="steps", mininterval=1)

    def draw(prompt, seeds):
        made = [torch.Generator(device).manual_seed(each) for each in seeds]
        return loaded([prompt] * len(seeds), generator=made, num_inference_steps=steps,
                      guidance_scale=guidance).images

    return draw


def with_tiny():
    """Return what draws a digit for each prompt: noise goes step by step to what digits look like."""
    import numpy as np
    from sklearn.datasets import load_digits

    known, kinds = load_digits(return_X_y=True)
    known = known / 8 - 1

    def draw(prompt, seeds):
        like = known[kinds == len(prompt) % 10]
        made = []
        for each in seeds:
            random = np.random.default_rng(each)
            noises = np.geomspace(10, 0.1, steps + 1)
            picture = random.normal(size=64) * noises[0]
            for noise, less in zip(noises, noises[1:]):
                far = ((picture - like) ** 2).sum(axis=1) / (2 * noise**2)
                near = np.exp(far.min() - far)
                clean = near @ like / near.sum()  # What it most likely is without its noise.
                picture = clean + (picture - clean) * less / noise
            grey = ((picture.reshape(8, 8).clip(-1, 1) + 1) * 127.5).astype(np.uint8)
            made.append(Image.fromarray(grey).resize((128, 128), Image.Resampling.NEAREST))
        return made

    return draw


draw = with_tiny() if model == "tiny" else with_diffusers()
seeds = range(seed, seed + each)
Path("images").mkdir(exist_ok=True)
files = []
for number, prompt in enumerate(prompts):
    drawn = draw(prompt, seeds)
    wide, high = drawn[0].size
    page = Image.new("RGB", (wide * len(drawn), high))
    for place, (picture, its) in enumerate(zip(drawn, seeds)):
        files.append(f"images/{number:03}-seed-{its}.png")
        picture.save(files[-1])
        page.paste(picture, (wide * place, 0))
    page.thumbnail((1024, 1024))
    print(prompt)
    display(page)
print(f"{len(files)} pictures: {', '.join(files)}")
