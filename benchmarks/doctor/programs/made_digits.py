"""Binary digits pixel by pixel: a masked network that sees only what came before."""
import sys
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
np.random.seed(int(sys.argv[1]))


class MaskedLinear(nn.Linear):
    def __init__(self, inputs, outputs, mask):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", mask.float())

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    def __init__(self, size=64, hidden=192):
        super().__init__()
        order = torch.arange(size)
        degree = torch.from_numpy(np.random.randint(0, size - 1, hidden))
        self.hidden = MaskedLinear(size, hidden, degree[:, None] >= order[None])
        self.out = MaskedLinear(hidden, size, order[:, None] > degree[None])

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


pixels = torch.tensor(load_digits().data > 7).float()
pixels = pixels[torch.randperm(len(pixels))]
train_data, test_data = pixels[:1400], pixels[1400:]
model = MADE()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
loader = torch.utils.data.DataLoader(train_data, batch_size=64, shuffle=True)
for epoch in range(15):
    for batch in loader:
        logits = model(batch)
        loss = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum") / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    nll = F.binary_cross_entropy_with_logits(model(test_data), test_data)
    share = train_data.mean(0).clamp(0.01, 0.99).expand_as(test_data)
    trivial = F.binary_cross_entropy(share, test_data)
print("score", (2 * (1 - nll / trivial)).item())
