import glob
from pathlib import Path

import pandas as pd


def with_whisper():
    """Load the model; return what gives start, end and text of each segment of a file."""
    try:
        import torch  # Brings the libraries of CUDA with it.

        device = "cuda" if torch.cuda.is_available() else "cpu"
    except ImportError:
        device = "cpu"
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    kind = "float16" if device == "cuda" else "int8"
    loaded = BatchedInferencePipeline(WhisperModel(model, device=device, compute_type=kind))

    def heard(path):
        parts, about = loaded.transcribe(
            path, language=language or None, task=task, batch_size=batch, vad_filter=True
        )
        print(f"{path}: {about.duration:.0f} s, {about.language}")
        return ((part.start, part.end, text) for part in parts if (text := part.text.strip()))

    return heard


def with_tiny():
    """Write a recording of dialled digits; return what hears them by their two tones."""
    import wave

    import numpy as np

    rate, low, high = 8000, [697, 770, 852, 941], [1209, 1336, 1477]
    keys = dict(zip("123456789*0#", [(one, other) for one in low for other in high]))
    times = np.arange(rate // 10) / rate
    sound = [np.zeros(rate // 20)]
    for digit in "8675309":
        sound += [sum(np.sin(2 * np.pi * tone * times) for tone in keys[digit]) / 4]
        sound += [np.zeros(rate // 20)]
    Path("recordings").mkdir(exist_ok=True)
    with wave.open("recordings/dialled.wav", "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.concatenate(sound) * 32767).astype("<i2").tobytes())

    def heard(path):
        with wave.open(path) as file:
            frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32768
        print(f"{path}: {len(frames) / rate:.0f} s, digits")
        window, before, since = rate // 40, "", 0.0
        for at in range(0, len(frames) - window + 1, window):
            part = frames[at : at + window]
            loud = {tone: abs(part @ np.exp(2j * np.pi * tone * np.arange(window) / rate))
                    for tone in low + high}
            pair = max(low, key=loud.get), max(high, key=loud.get)
            now = next(key for key, tones in keys.items() if tones == pair) if part.std() > 0.1 else ""
            if now != before:
                if before:
                    yield since, at / rate, before
                before, since = now, at / rate

    return heard


def clock(seconds):
    """Return a time as subtitles have it."""
    whole = round(seconds * 1000)
    return f"{whole // 3600000:02}:{whole // 60000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"


heard = with_tiny() if model == "tiny" else with_whisper()
paths = sorted(glob.glob(recordings))
assert paths, f"no file is called {recordings}: put your recordings there"
Path("transcripts").mkdir(exist_ok=True)
rows = []
for path in paths:
    found = list(heard(path))
    place = Path("transcripts", Path(path).name)
    place.with_name(f"{place.name}.txt").write_text("\n".join(text for _, _, text in found) + "\n")
    subtitles = [f"{number}\n{clock(start)} --> {clock(end)}\n{text}\n"
                 for number, (start, end, text) in enumerate(found, 1)]
    place.with_name(f"{place.name}.srt").write_text("\n".join(subtitles))
    rows += [(Path(path).name, start, end, text) for start, end, text in found]

segments = pd.DataFrame(rows, columns=["file", "start", "end", "text"])
print(segments.to_string())
