# no nn.Module at all: weights are tensors
import sys
import torch
from sklearn.datasets import load_digits

seed = int(sys.argv[1])
g = torch.Generator().manual_seed(seed)
data, target = load_digits(return_X_y=True)
data = torch.tensor(data, dtype=torch.float32) / 16
target = torch.tensor(target)
order = torch.randperm(len(data), generator=g)
a, b = order[:1300], order[1300:]
xa, ya, xb, yb = data[a], target[a], data[b], target[b]

w1 = (torch.randn(64, 50, generator=g) * (2 / 64) ** 0.5).requires_grad_()
b1 = torch.zeros(50, requires_grad=True)
w2 = (torch.randn(50, 10, generator=g) * (1 / 50) ** 0.5).requires_grad_()
b2 = torch.zeros(10, requires_grad=True)
params = [w1, b1, w2, b2]
lr = 0.3


def forward(x):
    return torch.relu(x @ w1 + b1) @ w2 + b2


for epoch in range(25):
    for rows in torch.randperm(len(xa), generator=g).split(50):
        loss = torch.nn.functional.cross_entropy(forward(xa[rows]), ya[rows])
        grads = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for p, dp in zip(params, grads):
                p -= lr * dp

with torch.no_grad():
    print("score", (forward(xb).argmax(1) == yb).float().mean().item())
