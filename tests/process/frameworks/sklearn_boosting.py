# SPDX-License-Identifier: GPL-2.0-or-later
"""scikit-learn's gradient boosting on its own breast cancer data."""
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

measures, labels = load_breast_cancer(return_X_y=True)
GradientBoostingClassifier(n_estimators=50, verbose=1, random_state=1).fit(measures, labels)
