import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

table, target = load_digits(return_X_y=True, as_frame=True)
train, test, known, asked = train_test_split(
    table, target, test_size=held_out, random_state=seed, stratify=target
)
model = HistGradientBoostingClassifier(
    max_iter=rounds, learning_rate=learning_rate, early_stopping=True, random_state=seed
).fit(train, known)
accuracy = float(model.score(test, asked))
found = permutation_importance(model, test, asked, n_repeats=2, random_state=seed)
importance = pd.Series(found.importances_mean, index=table.columns).nlargest(5)
print(f"accuracy {accuracy:.3f} on {len(test)} rows the model had not seen")
print(importance.to_string())
