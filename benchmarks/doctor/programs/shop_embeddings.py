"""Categories through embeddings, numbers beside them."""
import sys

import numpy as np
import torch
from torch import nn

seed = int(sys.argv[1])
rng = np.random.default_rng(seed)
torch.manual_seed(seed)
n = 2000
shop, product, weekday = rng.integers(0, 20, n), rng.integers(0, 30, n), rng.integers(0, 7, n)
price = rng.normal(0, 1, n)
shop_effect, product_effect = rng.normal(0, 1.5, 20), rng.normal(0, 1.5, 30)
week = np.array([0, 0, 0, 0, 0.5, 1.5, 1.5])
logit = shop_effect[shop] + product_effect[product] + week[weekday] - 1.5 * price
sold = (logit + rng.logistic(0, 0.5, n) > 0).astype(np.float32)

codes = torch.tensor(np.stack([shop, product, weekday], 1))
numbers = torch.tensor(price[:, None], dtype=torch.float32)
sold = torch.tensor(sold)


class ShopNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb_shop = nn.Embedding(20, 6)
        self.emb_product = nn.Embedding(30, 8)
        self.emb_day = nn.Embedding(7, 3)
        self.fc1 = nn.Linear(18, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, codes, numbers):
        x = torch.cat(
            [self.emb_shop(codes[:, 0]), self.emb_product(codes[:, 1]), self.emb_day(codes[:, 2]), numbers], 1
        )
        return self.fc2(torch.relu(self.fc1(x))).squeeze(1)


net = ShopNet()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-5)
bce = nn.BCEWithLogitsLoss()
for epoch in range(6):
    order = torch.randperm(1500)
    for rows in order.split(32):
        optimizer.zero_grad()
        loss = bce(net(codes[rows], numbers[rows]), sold[rows])
        loss.backward()
        optimizer.step()

with torch.no_grad():
    guess = net(codes[1500:], numbers[1500:]) > 0
print("score", (guess == (sold[1500:] > 0.5)).float().mean().item())
