"""How far rounding can take SGD's steps apart, for whatever order they are computed in.

Steps act on a state z, (S, K), as z - H (z, -I) = A z + c. A local error d made at step t is taken
by all later steps to A[T] ... A[t + 1] d. So, to first order in the unit roundoff, the error at the
end is at most the sum over the steps of |A[T] ... A[t + 1]| times what step t, or the composition
of several that end with it, can be off by: gamma(k) = k u / (1 - k u) for sums of k products
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1).
"""

import numpy as np

from linexport.numerics._bounds import gamma


def maps_of(batches, num_targets, pace):
    """H of each batch of rows (x, 1, y), and what it is with all numbers made positive."""
    return [
        (
            map_of(rows, num_targets, pace),
            map_of(abs(rows), num_targets, pace),
        )
        for rows in batches
    ]


def map_of(rows, num_targets, pace):
    size = rows.shape[1] - num_targets
    pull = 2 * pace.learning_rate / (len(rows) * num_targets) * rows[:, :size].T @ rows
    pull[:, :size] += pace.learning_rate * pace.weight_decay * np.eye(size)
    if not pace.momentum:
        return pull
    matrix, shift = pull[:, :size], pull[:, size:]
    return np.block(
        [
            [matrix, pace.momentum * np.eye(size), shift],
            [-matrix, (1 - pace.momentum) * np.eye(size), -shift],
        ]
    )


def trajectory(maps, start):
    """The states before and after each step, in float64."""
    states = [start]
    for step, _ in maps:
        states.append(states[-1] - step @ below(states[-1]))
    return states


def below(state):
    return np.vstack([state, -np.eye(state.shape[1])])


def error_bound(maps, start, *, batch_size, unit_roundoff):
    """Bound the error of the last state, in the 2-norm, of steps that are taken or composed."""
    size = len(start)
    largest = max(np.linalg.norm(below(state), 2) for state in trajectory(maps, start))
    later = [np.eye(size)]
    for step, _ in reversed(maps):
        later.append(later[-1] @ (np.eye(size) - step[:, :size]))
    tails = [np.linalg.norm(product, 2) for product in reversed(later)]  # of the steps from t on
    # Of a step: sums over B rows and S + K products, the factor, learning rate, decay and momentum.
    terms = gamma(batch_size + size + start.shape[1] + 6, unit_roundoff=unit_roundoff)
    bound = sum(
        tails[place + 1] * (terms * np.linalg.norm(absolute, 2) + 2 * unit_roundoff) * largest
        for place, (_, absolute) in enumerate(maps)
    )
    composing = gamma(size + 3, unit_roundoff=unit_roundoff)
    return bound + composing_bound([step for step, _ in maps], size, tails, largest, composing)


def composing_bound(steps, size, tails, largest, terms):
    """Of H1 + H2 - H2[:, :S] H1 on every level of a tree over the steps."""
    width, bound = 1, 0.0
    while len(steps) > 1:
        halved, width = [], 2 * width
        for place in range(0, len(steps) - 1, 2):
            first, second = steps[place : place + 2]
            halved.append(first + second - second[:, :size] @ first)
            sizes = [np.linalg.norm(abs(step), 2) for step in (first, second)]
            end = min((place // 2 + 1) * width, len(tails) - 1)
            bound += tails[end] * terms * (sum(sizes) + sizes[0] * sizes[1]) * largest
        steps = halved + steps[2 * len(halved) :]
    return bound
