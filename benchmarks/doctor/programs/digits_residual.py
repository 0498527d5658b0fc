import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(int(sys.argv[1]))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)

    def forward(self, x):
        h = nn.functional.gelu(self.up(self.norm(x)))
        return x + self.down(h)


class Deep(nn.Module):
    def __init__(self, width=48, depth=5):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
y = torch.tensor(digits.target)
perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
x_fit, y_fit, x_held, y_held = x[:1200], y[:1200], x[1200:], y[1200:]

model = Deep()
optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
for epoch in range(8):
    model.train()
    for idx in torch.randperm(len(x_fit)).split(48):
        out = model(x_fit[idx])
        loss = nn.functional.cross_entropy(out, y_fit[idx])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        held = nn.functional.cross_entropy(model(x_held), y_held)
print("score", (model(x_held).argmax(-1) == y_held).float().mean().item())
