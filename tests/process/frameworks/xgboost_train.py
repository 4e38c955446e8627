# SPDX-License-Identifier: GPL-2.0-or-later
"""XGBoost on made-up data, with two metrics on two sets."""
import numpy
import xgboost

random = numpy.random.default_rng(1)
inputs = random.normal(size=(2000, 10))
labels = (inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + random.normal(size=2000) / 2 > 0).astype(int)
train = xgboost.DMatrix(inputs[:1500], labels[:1500])
held_out = xgboost.DMatrix(inputs[1500:], labels[1500:])
xgboost.train(
    {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "nthread": 1, "eta": 0.2},
    train,
    num_boost_round=30,
    evals=[(train, "train"), (held_out, "eval")],
)
