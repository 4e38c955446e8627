# SPDX-License-Identifier: GPL-2.0-or-later
"""scikit-learn's stochastic gradient descent on its own breast cancer data."""
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

measures, labels = load_breast_cancer(return_X_y=True)
model = SGDClassifier(loss="log_loss", max_iter=20, tol=None, verbose=1, random_state=1)
model.fit(StandardScaler().fit_transform(measures), labels)
