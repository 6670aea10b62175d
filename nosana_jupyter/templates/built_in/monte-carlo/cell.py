import math

from nosana_jupyter import Executor


def simulate(seed, *, paths, spot=100.0, strike=105.0, rate=0.03, volatility=0.2, years=1.0):
    """Return the mean and the variance of the discounted payoff over some paths."""
    import numpy

    draws = numpy.random.default_rng(seed).standard_normal(paths)
    ends = spot * numpy.exp((rate - volatility**2 / 2) * years + volatility * math.sqrt(years) * draws)
    payoff = math.exp(-rate * years) * numpy.maximum(ends - strike, 0)
    return float(payoff.mean()), float(payoff.var())


with Executor(hosts=hosts, max_cost=cap) as executor:
    found = list(executor.map(simulate, range(parts), constants={"paths": paths}))

price = sum(mean for mean, _ in found) / parts
error = math.sqrt(sum(variance for _, variance in found) / parts / (parts * paths))
print(f"{price:.4f} ± {error:.4f}, from {parts * paths:,} paths")
