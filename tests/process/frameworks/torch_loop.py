# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain PyTorch loop that prints in the words of PyTorch's own mnist example."""
import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(1)
inputs = torch.randn(2048, 20)
labels = (inputs @ torch.randn(20, 4)).argmax(1)
model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)

for epoch in range(1, 5):
    for batch_idx, start in enumerate(range(0, len(inputs), 64)):
        data, target = inputs[start : start + 64], labels[start : start + 64]
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % 4 == 0:
            print(
                "Train Epoch: {} [{}/{} ({:.0f}%)]\tLoss: {:.6f}".format(
                    epoch, start, len(inputs), 100.0 * start / len(inputs), loss.item()
                )
            )
    with torch.no_grad():
        output = model(inputs)
        correct = (output.argmax(1) == labels).sum().item()
        average = functional.cross_entropy(output, labels).item()
    print(
        "\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)\n".format(
            average, correct, len(inputs), 100.0 * correct / len(inputs)
        )
    )
