import itertools

import pandas as pd
from sklearn.datasets import load_breast_cancer

from nosana_jupyter import Executor

table, target = load_breast_cancer(return_X_y=True)


def train(setting, *, table, target, rounds):
    """Return the accuracy that a setting has by cross-validation."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    rate, depth = setting
    model = GradientBoostingClassifier(
        learning_rate=rate, max_depth=depth, n_estimators=rounds, random_state=0
    )
    return float(cross_val_score(model, table, target, cv=3).mean())


settings = list(itertools.product(map(float, rates.split(",")), map(int, depths.split(","))))
with Executor(hosts=hosts, max_cost=cap, pip=["scikit-learn"]) as executor:
    constants = {"table": table, "target": target, "rounds": rounds}
    scores = list(executor.map(train, settings, constants=constants))

result = pd.DataFrame(settings, columns=["rate", "depth"]).assign(accuracy=scores)
result.sort_values("accuracy", ascending=False, ignore_index=True)
