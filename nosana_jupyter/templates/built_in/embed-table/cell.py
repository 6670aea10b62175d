import numpy as np

texts = [
    "A koala sleeps for twenty hours a day.",
    "Solana settles a transfer in less than a second.",
    "Cats are awake at dawn and at dusk.",
    "A GPU multiplies matrices.",
    "Sloths are not as sleepy as people think.",
]


def embed(texts, question):
    """Return a unit vector for each text, and one for the question."""
    if model == "tiny":
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
        made = make_pipeline(words, TruncatedSVD(4, random_state=0)).fit(texts)
        return made.transform(texts), made.transform([question])[0]
    from sentence_transformers import SentenceTransformer

    made = SentenceTransformer(model)
    return made.encode(texts, show_progress_bar=True), made.encode(question)


vectors, asked = embed(texts, question)
likeness = vectors @ asked / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(asked) + 1e-12)
nearest = [(round(float(likeness[number]), 3), texts[number]) for number in likeness.argsort()[::-1]]
for score, text in nearest:
    print(f"{score:6.3f}  {text}")
