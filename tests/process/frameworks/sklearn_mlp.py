# SPDX-License-Identifier: GPL-2.0-or-later
"""scikit-learn's perceptron on its own handwritten digits; verbose, nothing else."""
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

images, labels = load_digits(return_X_y=True)
MLPClassifier(max_iter=25, verbose=True, random_state=1).fit(images / 16, labels)
